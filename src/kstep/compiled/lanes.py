"""Lanes: a number of eight replicas at once, which the processor computes with as with one.

Numba knows scalars and arrays; here it learns LLVM's vectors. Code that is written for one replica
then runs for eight in lockstep, whatever it gathers, scatters or recurs. In arrays the lanes are
the last axis.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8
"""Doubles in the widest registers there are; narrower ones take turns."""

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_WHOLE = ir.VectorType(ir.IntType(64), LANES)
_FLAGS = ("contract", "arcp", "nsz")
"""Sums stay in their order, which the exponential is exact by; what is not finite stays so."""
_EXPONENT_BIAS, _EXPONENT_BITS = 1023, 52
_TO_INTEGER = 1.5 * 2.0**52
"""Added to a small whole number it leaves it in the lowest bits."""

Emit = Callable[..., Any]


class LanesType(types.Type):
    """Numba's type of a value in all lanes."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


lanes = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _require_row(kind: Any) -> None:
    """Refuse, while compiling, what holds no lanes side by side."""
    if not (isinstance(kind, types.Array) and (kind.ndim, kind.layout) == (1, "C")):
        raise TypingError(f"lanes lie in rows, not in {kind}")


def _place(context: Any, builder: Any, kind: Any, row: Any) -> Any:
    array = context.make_array(kind)(context, builder, row)
    return builder.bitcast(array.data, _VECTOR.as_pointer())


def _constant(number: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [number] * LANES)


def _in_all_lanes(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """A value that is in all lanes already, or a number put there."""
    if kind == lanes:
        return value
    number = context.cast(builder, value, kind, types.float64)
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, nothing, order)


def octets(replicas: int) -> list[slice]:
    """Who goes together."""
    return [slice(first, min(first + LANES, replicas)) for first in range(0, replicas, LANES)]


def in_lanes(replicas: Float[np.ndarray, "R N 3"]) -> Float[np.ndarray, "N 3 L"]:
    """Up to eight replicas in lanes; what is left over repeats the last of them."""
    chosen = np.minimum(np.arange(LANES), len(replicas) - 1)
    return np.array(replicas[chosen].transpose(1, 2, 0), dtype=np.float64, order="C")


def out_of_lanes(lanes: Float[np.ndarray, "N 3 L"], octet: slice) -> Float[np.ndarray, "R N 3"]:
    """The replicas of an octet."""
    return lanes.transpose(2, 0, 1)[: octet.stop - octet.start]


@intrinsic
def load(typing: Any, row: Any) -> tuple[Any, Emit]:
    """The lanes of a row [L]."""
    _require_row(row)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, sig.args[0], args[0]), align=8)

    return lanes(row), emit


@intrinsic
def store(typing: Any, row: Any, value: Any) -> tuple[Any, Emit]:
    """Put lanes, or a number for all of them, into a row [L]."""
    _require_row(row)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        content = _in_all_lanes(context, builder, args[1], sig.args[1])
        builder.store(content, _place(context, builder, sig.args[0], args[0]), align=8)
        return context.get_dummy_value()

    return types.none(row, value), emit


@intrinsic
def splat(typing: Any, number: Any) -> tuple[Any, Emit]:
    """The same number in all lanes."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _in_all_lanes(context, builder, args[0], sig.args[0])

    return lanes(number), emit


def _teach(operation: Callable[..., Any], name: str) -> None:
    """Let Numba do arithmetic with lanes, and with lanes and numbers."""
    numbers = (types.float64, types.int64)
    mixed = [pair for number in numbers for pair in ((lanes, number), (number, lanes))]
    pairs = [(lanes, lanes), *mixed]

    class _Kinds(ConcreteTemplate):
        key = operation
        cases = tuple(signature(lanes, *pair) for pair in pairs)

    infer_global(operation)(_Kinds)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        operands = [
            _in_all_lanes(context, builder, value, kind)
            for value, kind in zip(args, sig.args, strict=True)
        ]
        return getattr(builder, name)(*operands, flags=_FLAGS)

    for pair in pairs:
        lower_builtin(operation, *pair)(emit)


for _operations, _name in (
    ((operator.add, operator.iadd), "fadd"),
    ((operator.sub, operator.isub), "fsub"),
    ((operator.mul, operator.imul), "fmul"),
    ((operator.truediv, operator.itruediv), "fdiv"),
):
    for _operation in _operations:
        _teach(_operation, _name)


class _Negative(ConcreteTemplate):
    key = operator.neg
    cases = (signature(lanes, lanes),)


infer_global(operator.neg)(_Negative)


@lower_builtin(operator.neg, lanes)
def _negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fsub(_constant(0.0), args[0], flags=_FLAGS)


def _library(name: str, builder: Any, value: Any) -> Any:
    """One of LLVM's own functions of a vector."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR])
    full = f"llvm.{name}.v{LANES}f64"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, full), [value])


@intrinsic
def sqrt(typing: Any, value: Any) -> tuple[Any, Emit]:
    """Square roots."""
    return lanes(value), lambda context, builder, sig, args: _library("sqrt", builder, args[0])


@intrinsic
def floor(typing: Any, value: Any) -> tuple[Any, Emit]:
    """The next whole numbers below."""
    return lanes(value), lambda context, builder, sig, args: _library("floor", builder, args[0])


@intrinsic
def absolute(typing: Any, value: Any) -> tuple[Any, Emit]:
    """Numbers without their signs."""
    return lanes(value), lambda context, builder, sig, args: _library("fabs", builder, args[0])


@intrinsic
def two_to_the(typing: Any, whole: Any) -> tuple[Any, Emit]:
    """2ⁿ of whole numbers n from −1022 to 1023, by their bits."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def whole_constant(number: int) -> ir.Constant:
            return ir.Constant(_WHOLE, [number] * LANES)

        bits = builder.bitcast(builder.fadd(args[0], _constant(_TO_INTEGER)), _WHOLE)
        exponent = builder.add(bits, whole_constant(_EXPONENT_BIAS))
        return builder.bitcast(builder.shl(exponent, whole_constant(_EXPONENT_BITS)), _VECTOR)

    return lanes(whole), emit


@intrinsic
def where_below(typing: Any, value: Any, bound: Any, then: Any, otherwise: Any) -> tuple[Any, Emit]:
    """In each lane `then` if value < bound, `otherwise` if not or if one is no number."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left, right, yes, no = (
            _in_all_lanes(context, builder, value, kind)
            for value, kind in zip(args, sig.args, strict=True)
        )
        return builder.select(builder.fcmp_ordered("<", left, right), yes, no)

    return lanes(value, bound, then, otherwise), emit


@intrinsic
def in_lane(typing: Any, value: Any, lane: Any) -> tuple[Any, Emit]:
    """The number in one lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.extract_element(args[0], args[1])

    return types.float64(value, lane), emit

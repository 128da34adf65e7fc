"""Operations on tensors, recorded and played back without Python between them."""

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

WORTH_RECORDING = 100
"""Calls with one shape after which it is recorded: recording takes the time of some 200 calls with
one replica, and nearly halves that of each that follows."""
_SETTLING = 3
"""Calls in which torch optimises what it recorded."""

Function = Callable[..., Any]
"""Tensors → tuple of tensors; the same operations whatever is in them."""


class Recorder:
    """A function that is recorded, for each shape of its first argument, once it is called often.

    One jump of a small molecule is a thousand small operations, and calling them takes longer
    than doing them. The recording gives the same result to the bit; where it does not, or torch
    cannot record, the function itself is kept. Only on a CPU.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._recorded: dict[torch.Size, Function] = {}
        self._calls: Counter[torch.Size] = Counter()

    def __call__(self, *arguments: Tensor) -> Any:
        """The function's result."""
        shape = arguments[0].shape
        self._calls[shape] += 1
        if self._calls[shape] == WORTH_RECORDING and arguments[0].device.type == "cpu":
            self._recorded[shape] = record(self._function, arguments)
        return self._recorded.get(shape, self._function)(*arguments)


def record(function: Function, arguments: tuple[Tensor, ...]) -> Function:
    """The function's operations on tensors of these shapes, or the function itself.

    (`torch.jit.freeze` would compute once what depends on the molecule alone. That is 5 % faster,
    but in another order: not the same to the bit.)
    """

    def plain(*tensors: Tensor) -> Any:
        return function(*tensors)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that shapes become constants is the purpose
            # Gradients taken inside are spelt out first: torch.jit would not see them. (Not of the
            # function itself: of a method make_fx would count `self` among the arguments.)
            spelt_out = make_fx(plain)(*arguments)
            recorded: Function = torch.jit.trace(spelt_out, arguments, check_trace=False)  # type: ignore[no-untyped-call]
            for _ in range(_SETTLING):
                recorded(*arguments)
    except RuntimeError:
        return function
    pairs = zip(recorded(*arguments), function(*arguments), strict=True)
    return recorded if all(torch.equal(*pair) for pair in pairs) else function

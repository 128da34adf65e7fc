"""How functions become machine code."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from kstep.compiled.cache import CodeCache

Function = TypeVar("Function", bound=Callable[..., object])

# Sums may be reordered; what is not finite must stay so, for the guard to see.
_translate = functools.partial(
    njit, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)
_inline = _translate(forceinline=True)


def compiled(function: Function) -> Function:
    """Compile at the first call and keep the code for the next process (`CodeCache`).

    A constant of another module that the function uses is built into the code: it must be one of
    kstep's rooms that the cache knows, or be written in the function's own file.
    """
    dispatcher: Any = _translate(function)
    dispatcher._cache = CodeCache(function)
    return cast(Function, dispatcher)


def inlined(function: Function) -> Function:
    """Compile into every function that calls it: a call takes as long as many a function here."""
    return cast(Function, _inline(function))

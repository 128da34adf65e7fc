"""How functions become machine code."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba
from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


_ROOMS = ("compiled", "surrogates")
"""Where functions that are compiled, and the constants frozen into them, are written."""


def _cache_folder() -> Path:
    """A folder for the code of these sources, and of no others.

    Numba itself looks at the file of a function alone, and would go on using code into which an
    older version of another file's function was built.
    """
    package = Path(__file__).parents[1]
    sources = sorted(source for room in _ROOMS for source in (package / room).rglob("*.py"))
    content = b"".join(source.read_bytes() for source in sources)
    return Path(__file__).parent / "__pycache__" / hashlib.sha256(content).hexdigest()[:16]


setattr(numba.config, "CACHE_DIR", str(_cache_folder()))  # noqa: B010 (unknown to its types)
# Sums may be reordered; what is not finite must stay so, for the guard to see.
_translate = functools.partial(
    njit, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)
_compile, _inline = _translate(cache=True), _translate(forceinline=True)


def compiled(function: Function) -> Function:
    """Compile at the first call and keep the code beside the source for the next process."""
    return cast(Function, _compile(function))


def inlined(function: Function) -> Function:
    """Compile into every function that calls it: a call takes as long as many a function here."""
    return cast(Function, _inline(function))

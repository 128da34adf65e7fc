"""How functions become machine code."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast, no_type_check

import numba
import numpy as np
from jaxtyping import Float
from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def _cache_folder() -> Path:
    """A folder for the code of these sources, and of no others.

    Numba itself looks at the file of a function alone, and would go on using code into which an
    older version of another file's function was built.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    content = b"".join(source.read_bytes() for source in sources)
    return Path(__file__).parent / "__pycache__" / hashlib.sha256(content).hexdigest()[:16]


setattr(numba.config, "CACHE_DIR", str(_cache_folder()))  # noqa: B010 (unknown to its types)
_compile = njit(
    cache=True,
    error_model="numpy",
    # Sums may be reordered, which lets them be vectorised; what is not finite must stay so, for
    # the guard to see.
    fastmath={"reassoc", "contract", "arcp", "nsz"},
)


def compiled(function: Function) -> Function:
    """Compile at the first call and keep the code beside the source for the next process."""
    return cast(Function, _compile(function))


@compiled
@no_type_check
def clear(row: Float[np.ndarray, " n"]) -> None:
    """Set a row to zero; much faster than an assignment to a slice."""
    for place in range(len(row)):
        row[place] = 0.0

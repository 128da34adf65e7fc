"""A faster linear algebra for programs whose wheels carry the reference one.

tblite's wheels bring the BLAS and LAPACK of netlib. A wheel of PyTorch has MKL inside, whose
routines have the same names: once everything may see them, a program that is loaded later finds
them before its own, and a force takes little more than half the time
(`benchmarks/linear_algebra.py`).
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ROUTINES = ("dgemm_", "dsyevd_", "MKL_Set_Num_Threads_Local")


@cache
def shared_linear_algebra() -> ctypes.CDLL | None:
    """MKL inside PyTorch, from the first call on for everything that is loaded later.

    None without PyTorch, or where its library has no MKL: programs then keep their own.
    """
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return None
    path = str(Path(torch.origin).parent / "lib" / "libtorch_cpu.so")
    try:
        library = ctypes.CDLL(path)
        if not all(hasattr(library, routine) for routine in _ROUTINES):
            return None
        return ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    except OSError:
        return None


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Within, MKL keeps to the thread that calls it.

    The matrices of one molecule are too small to share: two threads take several times as long.
    """
    library = shared_linear_algebra()
    if library is None:
        yield
        return
    before = library.MKL_Set_Num_Threads_Local(1)
    try:
        yield
    finally:
        library.MKL_Set_Num_Threads_Local(before)

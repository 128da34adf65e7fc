"""A faster linear algebra for tblite, and one thread, without a trace on anything else.

tblite's wheels bring the BLAS and LAPACK of netlib, in files beside it. A wheel of PyTorch has MKL
inside, whose routines have the same names, and with which a force takes little more than half the
time (`benchmarks/linear_algebra.py`). So tblite is loaded from a folder of links in which those
files are PyTorch's library: the linker finds MKL where it looks for BLAS, for tblite alone. What
was loaded stays when the folder is gone, and Python's own import of tblite finds it there.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

_ROUTINES = ("dgemm_", "dsyevd_", "MKL_Set_Num_Threads_Local")


@cache
def mkl() -> ctypes.CDLL | None:
    """MKL inside PyTorch; None without PyTorch, or where its library has no MKL."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.origin).parent / "lib" / "libtorch_cpu.so"))
    except OSError:
        return None
    return library if all(hasattr(library, routine) for routine in _ROUTINES) else None


@cache
def load_tblite() -> ctypes.CDLL | None:
    """Tblite's library on PyTorch's MKL where that can be done, else as it came.

    None without tblite, or where it has no library that could be found.
    """
    package = find_spec("tblite")
    if package is None or package.origin is None:
        return None
    own = next(Path(package.origin).parent.glob("_libtblite*.so"), None)
    if own is None:
        return None
    library = mkl()
    if "tblite._libtblite" not in sys.modules and library is not None:
        with TemporaryDirectory() as folder:
            try:
                return ctypes.CDLL(str(_linked(own, library._name, Path(folder))))
            except (OSError, StopIteration):  # no such files, or no links in this file system
                pass
    return ctypes.CDLL(str(own))


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Within, OpenMP in tblite and MKL keep to the thread that calls them.

    The matrices of one molecule are too small to share: two threads take several times as long.
    """
    library, tblite = mkl(), load_tblite()
    threads = None if library is None else library.MKL_Set_Num_Threads_Local(1)
    team = None if tblite is None else tblite.omp_get_max_threads()
    if tblite is not None:
        tblite.omp_set_num_threads(1)
    try:
        yield
    finally:
        if library is not None:
            library.MKL_Set_Num_Threads_Local(threads)
        if tblite is not None:
            tblite.omp_set_num_threads(team)


def _linked(own: Path, mkl_file: str, folder: Path) -> Path:
    """A link to tblite's library, beside what it finds in place of its LAPACK and BLAS.

    Under the name of the former lies MKL, which is searched first; under that of the latter the
    former, for what PyTorch left out of MKL, which asks for the latter by another name.
    """
    (folder / "tblite").mkdir()
    (folder / "tblite.libs").mkdir()
    files = {file.name: file for file in (own.parents[1] / "tblite.libs").iterdir()}
    lapack = next(name for name in files if name.startswith("liblapack-"))
    blas = next(name for name in files if name.startswith("libblas-"))
    other = "_" + blas[1:]
    places = {**files, lapack: Path(mkl_file), other: files[blas]}
    code = places.pop(blas).parent.joinpath(lapack).read_bytes()
    (folder / "tblite.libs" / blas).write_bytes(code.replace(blas.encode(), other.encode()))
    for name, file in places.items():
        (folder / "tblite.libs" / name).symlink_to(file)
    link = folder / "tblite" / own.name
    link.symlink_to(own)
    return link

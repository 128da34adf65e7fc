"""The linear algebra that tight binding takes from PyTorch, and what nobody else notices of it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from kstep.potentials import linear_algebra
from kstep.potentials.linear_algebra import load_tblite, mkl, on_one_thread

USE = """
import ctypes, os, sys
import numpy as np
from kstep.potentials import Xtb
from kstep.system.molecule import Molecule

def seen():
    process = ctypes.CDLL(None)
    names = "dsyevd_", "MKL_Set_Num_Threads_Local"
    return [hasattr(process, name) for name in names], dict(os.environ)

x = np.array([[0.0, 0.0, 0.0], [0.1, 0.01, 0.0], [-0.03, 0.085, 0.02]])
water = Molecule(numbers=np.array([8, 1, 1]), masses=np.array([16.0, 1.0, 1.0]), positions=x)
before = seen()
found = Xtb().of(water).evaluate(x[None])
assert seen() == before
print(float(found.energies[0]).hex(), end=" ")
print("torch" in sys.modules, any("libtorch_cpu" in line for line in open("/proc/self/maps")))
"""
ALONE = "import kstep.potentials.linear_algebra as own; own.mkl = lambda: None\n"


class Library:
    """Threads of the calling thread, as MKL and OpenMP count them."""

    mkl_threads, openmp_threads = 3, 4

    def MKL_Set_Num_Threads_Local(self, threads: int) -> int:  # noqa: N802
        before, self.mkl_threads = self.mkl_threads, threads
        return before

    def omp_get_max_threads(self) -> int:
        return self.openmp_threads

    def omp_set_num_threads(self, threads: int) -> None:
        self.openmp_threads = threads


def printed(code: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_tight_binding_takes_the_routines_inside_pytorch_and_nobody_else_sees_them() -> None:
    if mkl() is None:
        pytest.skip("this PyTorch has no MKL to share")
    shared, own = printed(USE), printed(ALONE + USE)
    assert shared[1:] == ["False", "True"]
    assert own[1:] == ["False", "False"]
    assert float.fromhex(shared[0]) == pytest.approx(float.fromhex(own[0]), abs=1e-6)
    assert shared[0] != own[0]  # another library computed it


def test_links_lead_to_mkl_first(tmp_path: Path) -> None:
    package = find_spec("tblite")
    assert package is not None and package.origin is not None
    own = next(Path(package.origin).parent.glob("_libtblite*.so"))
    link = linear_algebra._linked(own, "/somewhere/libtorch_cpu.so", tmp_path)
    assert link.resolve() == own.resolve()
    beside = {path.name.partition("-")[0]: path for path in (tmp_path / "tblite.libs").iterdir()}
    assert str(beside["liblapack"].readlink()) == "/somewhere/libtorch_cpu.so"
    assert not beside["libblas"].is_symlink()
    assert beside["_ibblas"].resolve().name.startswith("libblas-")


def test_without_pytorch_a_program_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_algebra, "find_spec", lambda name: None)
    assert mkl.__wrapped__() is None
    assert load_tblite.__wrapped__() is None
    monkeypatch.setattr(linear_algebra, "mkl", lambda: None)
    monkeypatch.setattr(linear_algebra, "load_tblite", lambda: None)
    with on_one_thread():
        pass


def test_a_library_that_is_not_there_or_has_other_names_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear_algebra, "_ROUTINES", ("no_such_routine",))
    assert mkl.__wrapped__() is None
    monkeypatch.setattr(linear_algebra, "Path", lambda origin: Path("/nowhere/torch/__init__.py"))
    assert mkl.__wrapped__() is None


def test_threads_are_as_they_were_afterwards_even_when_an_scf_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Library()
    monkeypatch.setattr(linear_algebra, "mkl", lambda: library)
    monkeypatch.setattr(linear_algebra, "load_tblite", lambda: library)

    @on_one_thread()
    def fail() -> None:
        assert (library.mkl_threads, library.openmp_threads) == (1, 1)
        raise RuntimeError("no convergence")

    with pytest.raises(RuntimeError, match="no convergence"):
        fail()
    assert (library.mkl_threads, library.openmp_threads) == (3, 4)

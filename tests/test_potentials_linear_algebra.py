"""The linear algebra that tight binding takes from PyTorch."""

import subprocess
import sys
from pathlib import Path

import pytest

from kstep.potentials import linear_algebra
from kstep.potentials.linear_algebra import on_one_thread, shared_linear_algebra

VISIBLE = "import ctypes; print(hasattr(ctypes.CDLL(None), 'dsyevd_'))"
SHARE = "from kstep.potentials.linear_algebra import shared_linear_algebra as s; found = s() and 1"


class Library:
    """MKL's threads of the calling thread; 0 where nothing was set."""

    threads = 0

    def MKL_Set_Num_Threads_Local(self, threads: int) -> int:  # noqa: N802
        before, self.threads = self.threads, threads
        return before


def printed(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_is_loaded_later_sees_the_routines_inside_pytorch() -> None:
    if shared_linear_algebra() is None:
        pytest.skip("this PyTorch has no MKL to share")
    assert printed(VISIBLE) == "False"
    assert printed(f"{SHARE}; {VISIBLE}") == "True"


def test_without_pytorch_a_program_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_algebra, "find_spec", lambda name: None)
    assert shared_linear_algebra.__wrapped__() is None
    monkeypatch.setattr(linear_algebra, "shared_linear_algebra", lambda: None)
    with on_one_thread():
        pass


def test_a_library_that_is_not_there_or_has_other_names_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear_algebra, "_ROUTINES", ("no_such_routine",))
    assert shared_linear_algebra.__wrapped__() is None
    monkeypatch.setattr(linear_algebra, "Path", lambda origin: Path("/nowhere/torch/__init__.py"))
    assert shared_linear_algebra.__wrapped__() is None


def test_threads_are_as_they_were_afterwards_even_when_an_scf_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Library()
    library.threads = 3
    monkeypatch.setattr(linear_algebra, "shared_linear_algebra", lambda: library)

    @on_one_thread()
    def fail() -> None:
        assert library.threads == 1
        raise RuntimeError("no convergence")

    with pytest.raises(RuntimeError, match="no convergence"):
        fail()
    assert library.threads == 3

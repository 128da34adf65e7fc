"""Parallel tasks: results by name, one failure does not take the others along."""

import contextlib
import os
import signal
from functools import partial

import pytest

from kstep.errors import KstepError, MoleculeError
from kstep.parallel import environment_kept, run_parallel


def square(value: int, report) -> int:
    report(1.0)
    if value < 0:
        raise MoleculeError(f"m{value} is negative.")
    return value * value


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_by_name(workers):
    tasks = {str(value): partial(square, value) for value in (3, 1, 2)}
    assert run_parallel(tasks, workers, "test", [1.0] * 3, "it") == {"3": 9, "1": 1, "2": 4}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_raised_after_the_others_have_finished(workers, tmp_path):
    tasks = {name: partial(touch, tmp_path / name) for name in ("a", "b")}
    with pytest.raises(MoleculeError, match="m-1 is negative"):
        run_parallel({"bad": partial(square, -1), **tasks}, workers, "test", [1.0] * 3, "it")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_several_failures_are_all_told(capsys):
    tasks = {str(value): partial(square, value) for value in (-1, -2)}
    with pytest.raises(KstepError, match="2 molecules failed"):
        run_parallel(tasks, 1, "test", [1.0] * 2, "it")
    assert "m-1 is negative" in capsys.readouterr().err


def test_a_fault_that_all_share_is_told_once(capsys):
    tasks = {name: partial(square, -1) for name in "abc"}
    with pytest.raises(MoleculeError, match=r"^m-1 is negative.$"):
        run_parallel(tasks, 1, "test", [1.0] * 3, "it")
    assert "kstep:" not in capsys.readouterr().err


def test_a_killed_worker_is_one_sentence(tmp_path):
    tasks = {"dies": die, "lives": partial(touch, tmp_path / "a")}
    with pytest.raises(KstepError, match="a worker process of test was killed"):
        run_parallel(tasks, 2, "test", [1.0] * 2, "it")


def test_what_is_set_for_workers_does_not_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    tasks = {name: partial(threads_in_a_worker) for name in "ab"}
    found = run_parallel(tasks, 2, "test", [1.0] * 2, "it")
    assert found == {"a": ("1", "1"), "b": ("1", "1")}
    assert dict(os.environ) == before


def test_the_environment_is_put_back_after_a_failure_too(monkeypatch):
    monkeypatch.setenv("KSTEP_KEPT", "a")
    monkeypatch.setenv("KSTEP_REMOVED", "b")
    before = dict(os.environ)
    with contextlib.suppress(KstepError), environment_kept():
        os.environ.update({"KSTEP_KEPT": "c", "KSTEP_NEW": "d"})
        del os.environ["KSTEP_REMOVED"]
        raise KstepError
    assert dict(os.environ) == before


def threads_in_a_worker(report) -> tuple[str, str]:
    report(1.0)
    return os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]


def die(report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def touch(path, report) -> None:
    path.touch()

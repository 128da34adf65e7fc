"""Parallel tasks: results by name, one failure does not take the others along."""

import os
import signal
from functools import partial

import pytest

from kstep.errors import KstepError, MoleculeError
from kstep.parallel import run_parallel


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


def die(report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def touch(path, report) -> None:
    path.touch()

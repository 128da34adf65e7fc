"""Rate and time left count from the first work that is done."""

import pytest

from kstep.parallel import ns_per_day, run_parallel
from kstep.progress import announce, progress

HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that bars see, s."""
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def test_what_comes_before_the_first_work_is_no_measure_of_the_rest(clock: list[float]) -> None:
    with progress("nvt", 100.0, "ps") as bar:
        clock[0] += HOUR  # compiling
        bar.update(1)
        assert "1/100 ps [00:00<?" in str(bar)
        clock[0] += 10.0
        bar.update(1.0)
        assert "2/100 ps [00:10<16:20" in str(bar)
        clock[0] += 10.0
        bar.update(2.0)
        assert bar.n == 4.0
        assert bar.speed == pytest.approx(3.0 / 20.0)


def test_work_of_an_earlier_run_is_none_of_this_ones(clock: list[float]) -> None:
    with progress("nvt", 100.0, "ps", done=50.0) as bar:
        for _ in range(2):
            clock[0] += 10.0
            bar.update(5.0)
        assert "60/100 ps [00:10<01:20" in str(bar)


def test_the_rate_of_parallel_tasks_counts_from_there_too(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    def task(report):
        clock[0] += HOUR
        report(1.0)
        for _ in range(9):
            clock[0] += 86.4
            report(1.0)

    run_parallel({"a": task}, 1, "nvt", [10.0], "ps", ns_per_day)
    said = capsys.readouterr().err
    assert "1 ns/day" in said
    assert "10/10 ps" in said


def test_an_announcement_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    announce("compiling.")
    assert capsys.readouterr().err == "kstep: compiling.\n"

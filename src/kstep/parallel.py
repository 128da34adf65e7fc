"""Independent tasks in parallel processes, with one progress bar over all of them."""

import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from kstep.errors import KstepError
from kstep.progress import progress
from kstep.units import PS_PER_NS, SECONDS_PER_DAY

Result = TypeVar("Result")
Report = Callable[[float], None]
"""Called by a task with the amount of work just done, in the bar's unit."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENMM_CPU_THREADS")
_reports: Any = None

PATIENCE_S = 5.0
"""How long a worker may take to end when it is told to."""


def ns_per_day(ps_per_second: float) -> str:
    """The rate of a simulation as people in the field say it."""
    return f"{ps_per_second * SECONDS_PER_DAY / PS_PER_NS:.3g} ns/day"


def available_cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


def processes(workers: int) -> int:
    """How many processes a setting of `workers` means: 0 is one per core."""
    return workers or available_cores()


def run_parallel(
    tasks: Mapping[str, Callable[[Report], Result]],
    workers: int,
    label: str,
    totals: Sequence[float],
    unit: str,
    rate: Callable[[float], str] | None = None,
) -> dict[str, Result]:
    """Run named tasks in worker processes of one thread each; results by name.

    A single task, or a single worker, needs no process of its own and runs in this one.

    A task that fails with a KstepError does not stop the others; when all have ended, one
    KstepError tells of every failure. Any other exception, Ctrl-C included, stops the pool.

    Args:
        tasks: picklable callables (`functools.partial` of a module-level function) that take
            a `Report`.
        workers: processes; 0 means one per core.
        label: of the progress bar.
        totals: the amount of work of each task, for the bar.
        unit: of the amounts.
        rate: amount per second → what the bar says of it, beside its own rate.
    """
    count = min(processes(workers), len(tasks))
    with progress(label, sum(totals), unit) as bar:

        def advance(amount: float) -> None:
            bar.update(min(amount, sum(totals) - bar.n))
            if rate is not None and bar.speed is not None:
                bar.set_postfix_str(rate(bar.speed), refresh=False)

        if count <= 1:
            outcomes = {name: _attempt(task, advance) for name, task in tasks.items()}
        else:
            outcomes = _run_in_pool(tasks, count, label, advance)
    return _collect(outcomes)


def _run_in_pool(
    tasks: Mapping[str, Callable[[Report], Result]], count: int, label: str, advance: Report
) -> dict[str, Result | KstepError]:
    context = multiprocessing.get_context("spawn")
    with _listening(context, advance) as reports, _one_thread_each():
        pool = ProcessPoolExecutor(count, context, initializer=_start_worker, initargs=(reports,))
        try:
            futures = {pool.submit(_run, task): name for name, task in tasks.items()}
            ended: dict[str, Result | KstepError] = {}
            for future in as_completed(futures):
                error = future.exception()
                ended[futures[future]] = error if isinstance(error, KstepError) else future.result()
        except BrokenProcessPool:
            raise KstepError(
                f"a worker process of {label} was killed, perhaps for want of memory: lower the "
                "number of workers; the same command goes on from the last finished block."
            ) from None
        except BaseException:
            _stop(list(pool._processes.values()))
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return {name: ended[name] for name in tasks}


@contextmanager
def environment_kept() -> Iterator[None]:
    """Put environment variables that are set, changed or removed meanwhile back as they were."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({n: v for n, v in before.items() if os.environ.get(n) != v})


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile run on one thread."""
    with environment_kept():
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        yield


@contextmanager
def _listening(context: SpawnContext, update: Report) -> Iterator[Any]:
    """A queue for the workers' reports; what comes is passed on as it comes."""
    reports = context.Queue()
    stop = threading.Event()
    listener = threading.Thread(target=_listen, args=(reports, update, stop), daemon=True)
    listener.start()
    try:
        yield reports
    finally:
        stop.set()
        listener.join()


def _stop(processes: Sequence[BaseProcess]) -> None:
    """End worker processes, and those that do not listen by force."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE_S)
        if process.is_alive():
            process.kill()


def _start_worker(reports: Any) -> None:
    global _reports
    _reports = reports


def _run(task: Callable[[Report], Result]) -> Result:
    return task(_reports.put)


def _attempt(task: Callable[[Report], Result], report: Report) -> Result | KstepError:
    try:
        return task(report)
    except KstepError as error:
        return error


def _listen(reports: Any, update: Report, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            update(reports.get(timeout=0.2))
        except queue.Empty:
            continue


def _collect(outcomes: Mapping[str, Result | KstepError]) -> dict[str, Result]:
    results: dict[str, Result] = {}
    failures: list[KstepError] = []
    for name, outcome in outcomes.items():
        if isinstance(outcome, KstepError):
            failures.append(outcome)
        else:
            results[name] = outcome
    distinct = list({str(failure): failure for failure in failures}.values())
    if len(distinct) == 1:  # one failure, or one fault that all tasks share
        raise distinct[0]
    if distinct:
        for failure in distinct[:-1]:
            print(f"kstep: {failure}", file=sys.stderr)
        raise type(distinct[-1])(f"{distinct[-1]} ({len(failures)} molecules failed; see above.)")
    return results

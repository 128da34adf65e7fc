"""What the hybrid costs: force calls, wall-clock time, and when it would pay.

With c the cost of a base step, k' base steps and n force calls per macro-step and t the
hybrid's time per macro-step outside force calls, the hybrid gains k'c / (t + nc). It breaks
even at c* = t / (k' - n): the (t_network + overhead) / (k' - 1) of one call per jump, with the
calls that were really counted. c is what the fastest baseline spends on a base step, so at
today's c the formula gives the wall-clock ratio measured.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from kstep.artifacts import read_json
from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.compared import Side, recorded
from kstep.referee.metrics import CostMetrics, LearningRound, Pair
from kstep.units import PS_PER_NS, SECONDS_PER_MINUTE

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SecondsPerPs = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Timing(BaseModel):
    """What is read of `<name>.timing.json` of a hybrid run."""

    wall_s: dict[str, Seconds]
    s_per_ps: SecondsPerPs
    baseline_s_per_ps: SecondsPerPs
    platform: str
    training_minutes: Seconds | None = None


def load_timing(path: Path) -> Timing:
    """Read the wall-clock times of a hybrid run; ArtifactError when they are no times."""
    try:
        return Timing.model_validate(read_json(path))
    except ValidationError as error:
        raise ArtifactError(
            f"{path} {fault_of(error)}: delete the molecule's hybrid files and run `kstep run` "
            "again."
        ) from None


def fault_of(error: ValidationError) -> str:
    """What is wrong with a file of wall-clock times, in words."""
    fault = error.errors()[0]
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"lacks the wall-clock times ({key} is not there)"
    return f"holds a wrong {key} ({fault['input']!r})"


def cost(config: EvalConfig, baseline: Side, candidate: Side, timing: Timing) -> CostMetrics:
    """Savings, wall-clock ratio and break-even cost of one hybrid run.

    The record of the candidate holds the counts of macro-steps, force calls, rejected jumps and
    Metropolis tests, those of its starting states, and what a network made for this molecule cost;
    where it does not say, the network was trained on the bursts beside the baseline.
    """
    path, record = candidate.path, candidate.trajectory.record
    macro_steps, calls, rejected = (
        _count(path, record, key) for key in ("macro_steps", "force_calls", "rejected_jumps")
    )
    refused = rejected + int(record.get("proposals", 0)) - int(record.get("acceptances", 0))
    if not macro_steps or not calls:
        raise ArtifactError(
            f"{path} holds no macro-step: lengthen hybrid.length_ps and run `kstep run` again."
        )
    dt_ps = float(recorded(path, candidate.trajectory, "dt_ps"))
    counted = float(recorded(path, candidate.trajectory, "counted_saving"))
    # The saving counts base steps of simulated time per force call.
    steps_per_macro, calls_per_macro = counted * calls / macro_steps, calls / macro_steps
    step_cost = timing.baseline_s_per_ps * dt_ps
    macro_cost = timing.s_per_ps * dt_ps * steps_per_macro
    overhead = max(0.0, macro_cost - calls_per_macro * step_cost)
    gained = steps_per_macro - calls_per_macro
    training: int | None = record.get("training_calls")
    if training is None:
        training = baseline.trajectory.record.get("burst_calls")
    starting: int | None = record.get("starting_calls")
    with_starts = None if starting is None else (counted * calls + starting) / (calls + starting)
    with_training = None if training is None else counted * calls / (calls + training)
    return CostMetrics(
        nominal_saving=float(record["nominal_saving"]),
        counted_saving=counted,
        starting_calls=starting,
        saving_with_starts=with_starts,
        training_calls=training,
        saving_with_training=with_training,
        shown_saving=with_training if config.count_training and with_training else counted,
        break_even_ns=_break_even_ns(training, counted, dt_ps),
        training_minutes=timing.training_minutes,
        break_even_clock_ns=_break_even_clock_ns(timing),
        training_rounds=[LearningRound(**entry) for entry in record.get("training_rounds", ())],
        wall_ratio=timing.baseline_s_per_ps / timing.s_per_ps,
        s_per_ps=Pair[float](baseline=timing.baseline_s_per_ps, candidate=timing.s_per_ps),
        parts={part: seconds for part, seconds in timing.wall_s.items() if part != "total"},
        rejected_share=refused / macro_steps,
        steps_per_macro=steps_per_macro,
        calls_per_macro=calls_per_macro,
        step_cost_s=step_cost,
        overhead_s=overhead,
        break_even_s=overhead / gained if gained > 0.0 else None,
        platform=timing.platform,
    )


def _break_even_ns(training: int | None, counted: float, dt_ps: float) -> float | None:
    """Plain MD spends a call a step; what is saved must first pay for the training."""
    if training is None or counted <= 1.0:
        return None
    return training * dt_ps / (1.0 - 1.0 / counted) / PS_PER_NS


def _break_even_clock_ns(timing: Timing) -> float | None:
    """The same for wall-clock time."""
    saved = timing.baseline_s_per_ps - timing.s_per_ps
    if timing.training_minutes is None or saved <= 0.0:
        return None
    return SECONDS_PER_MINUTE * timing.training_minutes / saved / PS_PER_NS


def speed_up(metrics: CostMetrics, step_cost_s: float) -> float:
    """Baseline time / hybrid time if a base step cost `step_cost_s` seconds."""
    hybrid = metrics.overhead_s + metrics.calls_per_macro * step_cost_s
    return metrics.steps_per_macro * step_cost_s / hybrid


def _count(path: Path, record: dict[str, Any], key: str) -> int:
    value = record.get(key)
    if not isinstance(value, int):
        raise ArtifactError(f"{path} does not say its {key}: delete it and run `kstep run` again.")
    return value

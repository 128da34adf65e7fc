"""Cost, efficiency, time to basin and the controls in `metrics.json`."""

from pydantic import Field

from kstep.referee.metrics.base import Frozen, Outcome, Pair


class LearningRound(Frozen):
    """How well a network knew the forces in the course of its adaptation."""

    labels: int = Field(description="true-force calls learned from so far")
    force_error: float = Field(
        description="relative RMS error of its force on states not learned from"
    )


class CostMetrics(Frozen):
    """What the candidate costs and what it saves."""

    nominal_saving: float = Field(description="base steps per force call if no jump is rejected")
    counted_saving: float = Field(description="base steps of simulated time per force call counted")
    starting_calls: int | None = Field(
        description="force calls of the true dynamics that made the starting states, "
        "minimisations apart; null: unknown"
    )
    saving_with_starts: float | None = Field(
        description="base steps per force call with those on both sides, as plain MD needs them too"
    )
    training_calls: int | None = Field(
        description="force calls spent on training for this molecule: its bursts, or its whole "
        "adaptation; 0 for a network that came trained; null: unknown"
    )
    saving_with_training: float | None = Field(
        description="base steps of simulated time per force call, training's included"
    )
    shown_saving: float = Field(
        description="the one shown first: counted_saving, or with training if eval.count_training"
    )
    break_even_ns: float | None = Field(
        description="simulated time after which run and training together have made fewer force "
        "calls than plain MD, ns"
    )
    training_minutes: float | None = Field(
        description="wall-clock minutes of the adaptation, force calls included; null: none or "
        "unknown"
    )
    break_even_clock_ns: float | None = Field(
        description="simulated time after which run and adaptation together have taken less time "
        "than plain MD, ns; null: never, or no adaptation"
    )
    training_rounds: list[LearningRound] = Field(
        description="how the adaptation learned, from before its first label on"
    )
    wall_ratio: float = Field(
        description="baseline time / candidate time for the same simulated time; above 1 the "
        "candidate is faster on the clock"
    )
    s_per_ps: Pair[float] = Field(description="wall-clock seconds per simulated ps")
    parts: dict[str, float] = Field(description="wall-clock seconds of the candidate by part")
    rejected_share: float = Field(
        description="jumps refused by the guard or a Metropolis test / macro-steps"
    )
    steps_per_macro: float = Field(description="base steps per macro-step, corrector included")
    calls_per_macro: float = Field(description="force calls per macro-step, fallback included")
    step_cost_s: float = Field(description="baseline's wall-clock time per base step, s")
    overhead_s: float = Field(description="time per macro-step outside force calls, s")
    break_even_s: float | None = Field(
        description="cost of a force call above which the candidate is faster, s; null: never"
    )
    platform: str = Field(description="OpenMM platform of the candidate's force calls")


class EfficiencyMetrics(Frozen):
    """Independent samples of the slowest torsion or distance, and what they cost."""

    observable: str = Field(description="the slowest observable of the baseline")
    independent: Pair[float] = Field(description="effective number of samples")
    per_1000_calls: Pair[float] = Field(description="effective samples per 1000 force calls")
    per_second: Pair[float] | None = Field(
        description="effective samples per second of wall-clock time; null without timing"
    )


class BasinSide(Frozen):
    """How soon runs of one side reach the best known minimum."""

    force_calls: list[int | None] = Field(description="per start; null: not reached")
    wall_s: list[float | None] = Field(description="wall-clock seconds per start; null likewise")
    reached_share: float = Field(description="starts that reached the basin")
    at_once_share: float = Field(description="starts already in the basin at their first quench")
    median_force_calls: float | None = Field(
        description="median over all starts; null unless more than half reached it"
    )
    median_wall_s: float | None = Field(description="median wall-clock seconds, likewise")


class BasinMetrics(Frozen):
    """Time to basin: from randomised starts to the best known minimum."""

    best_energy: float = Field(description="best minimum of both sides' quenches, kJ/mol")
    sides: Pair[BasinSide] = Field(description="both sides")
    trivial: bool = Field(
        description="true: every start of both sides is in the basin at once, so this molecule "
        "cannot tell the two apart"
    )


class MethodErrors(Frozen):
    """Deviations of one way to run dynamics from the limit of small steps."""

    sampled_ps: float = Field(description="simulated time behind them, ps")
    temperature_error: float = Field(description="mean temperature / target - 1")
    width_error: float | None = Field(
        description="largest relative deviation of the width of a bond or angle"
    )
    divergence: float | None = Field(
        description="largest Jensen-Shannon divergence of a coordinate beyond noise, nats"
    )
    divergence_of: str | None = Field(description="that coordinate")


class MethodMetrics(Frozen):
    """One way to run dynamics, scored against the limit of small steps."""

    name: str = Field(description="integrator, step and masses")
    dt_fs: float | None = Field(description="base time step, fs; null: unknown")
    simulated_ps: float = Field(description="NVT sampling, ps")
    force_calls: int | None = Field(description="force calls of that sampling; null: unknown")
    s_per_ns: float | None = Field(description="wall-clock seconds per simulated ns")
    drift: float | None = Field(
        description="typical size of the NVE drift at this step, kJ/mol/ps per atom"
    )
    fluctuation: float | None = Field(description="median fluctuation of Etot in NVE, kJ/mol")
    equal_time: MethodErrors | None = Field(
        description="over equal simulated time; null for the reference itself"
    )
    equal_calls: MethodErrors | None = Field(
        description="over as many force calls as the candidate's; null for the reference itself, "
        "and where the calls of either are unknown"
    )
    per_1000_calls: float | None = Field(
        description="effective samples of the reference's slowest observable per 1000 force calls; "
        "null: calls unknown, or no observable"
    )
    per_second: float | None = Field(description="the same per second of wall-clock time")
    outcome: Outcome | None = Field(
        description="verdict of the acceptance rule against the reference; null for itself"
    )

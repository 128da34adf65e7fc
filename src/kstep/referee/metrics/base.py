"""What all parts of `metrics.json` are made of: pairs, estimates, checks, claims."""

from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

SIDES = ("baseline", "candidate")


class Outcome(StrEnum):
    """What the acceptance rule can say."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "not enough data"


class Frozen(BaseModel):
    """Base of all metrics: immutable, unknown fields refused, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T")


class Pair(Frozen, Generic[T]):
    """The same measurement on both trajectories, made by the same code."""

    baseline: T = Field(description="of the baseline")
    candidate: T = Field(description="of what is judged")


UNBOUNDED = 1e9
"""End of an interval that nothing bounds: JSON has no infinity."""


class Estimate(Frozen):
    """A number with its 90% confidence interval.

    A deviation whose 90% interval lies inside ±margin passes two one-sided tests at 5%.
    """

    value: float = Field(description="estimate")
    low: float = Field(description="lower end of the 90% interval; -1e9: unbounded")
    high: float = Field(description="upper end of the 90% interval; 1e9: unbounded")

    @property
    def bounded(self) -> bool:
        """Whether the data say anything about the interval."""
        return self.high < UNBOUNDED and self.low > -UNBOUNDED


class Check(Frozen):
    """One deviation from the baseline (or from the exact value), and whether it is allowed."""

    label: str = Field(description="what is compared")
    unit: str = Field(description="unit of the deviation; empty for a relative one")
    deviation: Estimate = Field(description="candidate minus baseline, or minus the exact value")
    margin: float = Field(description="deviation allowed")
    p_beyond: float = Field(
        description="probability of so large a deviation if the true one were just the margin, "
        "corrected for all checks of the molecule (Benjamini-Hochberg)"
    )
    outcome: Outcome = Field(description="accepted, rejected or not enough data")
    needed: bool = Field(
        description="false: the check can condemn, but is too insensitive to be asked to acquit"
    )
    more_ns: float | None = Field(
        description="further sampling of both sides that would decide it if the deviation stayed "
        "as it is, ns; null: decided, or no length would"
    )


class Claim(Frozen):
    """One question of the acceptance rule and its answer."""

    name: str = Field(description="what is judged")
    outcome: Outcome = Field(description="accepted, rejected or not enough data")
    sentence: str = Field(description="why, in plain words with the numbers")
    checks: list[Check] = Field(description="the checks behind it, the most telling first")
    more_ns: float | None = Field(
        description="further sampling that would decide it, ns; null: decided, or none would"
    )


class Verdict(Frozen):
    """The answer of the acceptance rule for one molecule."""

    outcome: Outcome = Field(description="the worst of the claims")
    sentence: str = Field(description="in one sentence")
    claims: list[Claim] = Field(description="the answers behind it")


class Sampling(Frozen):
    """How much of one side was scored."""

    replicas: int = Field(description="independent constant-temperature runs")
    nvt_frames: int = Field(description="frames at constant temperature, equilibration left out")
    nvt_ps: float = Field(description="their simulated time, ps")
    discarded_ps: float = Field(
        description="left out at the start of the runs as not yet in equilibrium, ps"
    )
    nve_windows: int = Field(description="NVE windows")
    motion_windows: int = Field(description="densely saved NVE windows")
    velocities: bool = Field(description="whether the trajectory holds velocities")

"""From deviations to outcomes: equivalence tests with margins, corrected for their number.

A check is *accepted* when its 90% interval lies inside ±margin (two one-sided tests at 5%), and
*rejected* when the deviation is surely beyond the margin, at 5% for all checks of a molecule
together, and enough independent blocks say so. Anything else is *not enough data*. Accepting
needs no correction for the number of checks, because all must pass (Berger & Hsu, Stat. Sci. 11,
283 (1996)); rejecting does, because one suffices: p-values are adjusted after Benjamini & Hochberg
(J. R. Stat. Soc. B 57, 289 (1995)), which bounds the chance that a faultless candidate is rejected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from kstep.referee.metrics import Check, Outcome
from kstep.referee.statistics.estimates import Uncertain
from kstep.units import PS_PER_NS

ENERGY = "energy is conserved"
MECHANICS = "momenta and constraints hold"
TEMPERATURE = "temperature is right"
EQUIPARTITION = "every motion is equally warm"
ENSEMBLE = "energies are distributed canonically"
STRUCTURE = "structure is right"
DYNAMICS = "motion is right"
CLAIMS = (ENERGY, MECHANICS, TEMPERATURE, EQUIPARTITION, ENSEMBLE, STRUCTURE, DYNAMICS)

NEGATED = {
    ENERGY: "energy is not conserved",
    MECHANICS: "momenta or constraints do not hold",
    TEMPERATURE: "the temperature is wrong",
    EQUIPARTITION: "some motions are too warm or too cold",
    ENSEMBLE: "energies are not distributed canonically",
    STRUCTURE: "the structure is wrong",
    DYNAMICS: "the motion is wrong",
}
"""What a rejected claim means."""

REJECTION_LEVEL = 0.05
"""Chance, at most, that some check of a faultless molecule is rejected."""

LEAST_FREEDOM = 5.0
"""Degrees of freedom behind an error that may condemn: fewer blocks may all have missed the same
slow motion."""

LONGEST_NS = 1e4
"""Nobody samples longer to settle one check."""


@dataclass(frozen=True)
class Measured:
    """A deviation that awaits its judgement.

    Attributes:
        claim: the question it belongs to, one of `CLAIMS`.
        label: what is compared, in words.
        unit: of the deviation; empty for a relative one.
        deviation: candidate minus baseline, or minus the exact value.
        margin: deviation allowed.
        needed: false for a check too insensitive to be asked to acquit.
        sampled_ps: simulated time of the candidate behind it; None where more is no cure.
    """

    claim: str
    label: str
    unit: str
    deviation: Uncertain
    margin: float
    needed: bool = True
    sampled_ps: float | None = None


def adjudicate(measured: Sequence[Measured]) -> list[Check]:
    """The outcome of every deviation of one molecule, in the order given."""
    if not measured:
        return []
    adjusted = stats.false_discovery_control(
        [beyond(one.deviation, one.margin) for one in measured], method="bh"
    )
    return [_check(one, float(p)) for one, p in zip(measured, adjusted, strict=True)]


def beyond(deviation: Uncertain, margin: float) -> float:
    """Chance to find so large a deviation if the true one were just the margin."""
    return float(stats.t.sf(deviation.distance(margin), deviation.dof))


def _check(one: Measured, p_beyond: float) -> Check:
    interval = one.deviation.estimate()
    outcome = Outcome.UNDECIDED
    certain = one.deviation.error == 0.0 or one.deviation.dof >= LEAST_FREEDOM
    if p_beyond <= REJECTION_LEVEL and certain:
        outcome = Outcome.REJECTED
    elif -one.margin <= interval.low and interval.high <= one.margin:
        outcome = Outcome.ACCEPTED
    return Check(
        label=one.label,
        unit=one.unit,
        deviation=interval,
        margin=one.margin,
        p_beyond=p_beyond,
        outcome=outcome,
        needed=one.needed,
        more_ns=_more_ns(one) if outcome is Outcome.UNDECIDED else None,
    )


def _more_ns(one: Measured) -> float | None:
    """Further sampling of both sides that shrinks the interval clear of the margin."""
    distance = abs(one.deviation.distance(one.margin))
    if one.sampled_ps is None or distance == 0.0 or not np.isfinite(one.deviation.error):
        return None
    # Errors fall with the root of the length; the quantile is that of long runs.
    longer = (float(stats.norm.ppf(0.95)) / distance) ** 2
    more = one.sampled_ps / PS_PER_NS * max(longer - 1.0, 0.1)
    return more if more < LONGEST_NS else None


def badness(outcome: Outcome) -> int:
    """Rank of an outcome, the worst highest."""
    return [Outcome.ACCEPTED, Outcome.UNDECIDED, Outcome.REJECTED].index(outcome)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes: rejected before not enough data before accepted."""
    return max(outcomes, key=badness)

"""The acceptance rule: when a candidate counts as right, wrong, or not yet known.

Every claim is a set of checks (`checks`: equivalence tests with margins). A claim is rejected
when one of its checks is, accepted when all that are needed are, and otherwise there is not
enough data. A molecule gets the worst of its claims, a run the worst of its molecules. Cost is
reported, never judged: a fast wrong answer is wrong. The map of phase space is not judged
either: what it does to energies, temperatures and motion is.

Version 3: size, mean and largest of the NVE drift, largest change of the energy, and the
kinetic-energy slope; momenta (of Systems that are free in space) and constraints; temperature and
the width of the kinetic energy; kinetic energy by element, bonded role and mode; potential
energies at two temperatures; means, widths, effective frequencies and divergences of internal
coordinates, populations of torsional wells; transition rates and the bands of the spectrum.
"""

from collections.abc import Collection, Sequence

from kstep.referee.claims.checks import (
    CLAIMS,
    DYNAMICS,
    ENERGY,
    ENSEMBLE,
    EQUIPARTITION,
    NEGATED,
    STRUCTURE,
    TEMPERATURE,
    Measured,
    adjudicate,
    badness,
    worst,
)
from kstep.referee.claims.words import length_in_words, span
from kstep.referee.metrics import Check, Claim, MoleculeMetrics, Outcome, Verdict

ACCEPTANCE_VERSION = 3

OPTIONAL = (ENERGY, ENSEMBLE, STRUCTURE, DYNAMICS)
"""Claims that are not asked where nothing was measured for them: at one temperature, of a rigid
molecule, whose constraints are its structure, or in generalised hybrid Monte Carlo, which is no
dynamics."""


OF_VELOCITIES = (TEMPERATURE, EQUIPARTITION)
"""Claims that nothing can be said of where only positions are sampled: velocities are drawn."""


def verdict(measured: Sequence[Measured], optional: Collection[str] = OPTIONAL) -> Verdict:
    """Judge one molecule; optional claims are asked only where something was measured for them."""
    checks = adjudicate(measured)
    claims = []
    for name in CLAIMS:
        own = [c for m, c in zip(measured, checks, strict=True) if m.claim == name]
        if own or name not in optional:
            claims.append(_claim(name, own))
    outcome = worst(claim.outcome for claim in claims)
    return Verdict(outcome=outcome, sentence=_summary(claims, outcome), claims=claims)


def _summary(claims: Sequence[Claim], outcome: Outcome) -> str:
    """Which claims decided, and for an open one what it takes."""
    those = [claim for claim in claims if claim.outcome is outcome]
    names = "; ".join(claim.name for claim in those)
    if outcome is Outcome.ACCEPTED:
        return names
    if outcome is Outcome.REJECTED:
        return "; ".join(NEGATED[claim.name] for claim in those)
    longest = [claim.more_ns for claim in those if claim.more_ns is not None]
    curable = longest and len(longest) == len(those)
    more = f" (about {length_in_words(max(longest))} more of both would)" if curable else ""
    return f"the data do not tell whether {names.replace('; ', ', whether ')}{more}"


def _claim(name: str, checks: Sequence[Check]) -> Claim:
    deciding = [c for c in checks if c.needed or c.outcome is Outcome.REJECTED]
    if not deciding:
        missing = (
            "what was measured is too uncertain to acquit"
            if checks
            else "nothing was measured: velocities or densely saved windows are missing"
        )
        return Claim(
            name=name, outcome=Outcome.UNDECIDED, sentence=missing, checks=list(checks),
            more_ns=None,
        )  # fmt: skip
    outcome = worst(check.outcome for check in deciding)
    culprits = sorted(
        (check for check in deciding if check.outcome is outcome), key=_reach, reverse=True
    )
    longest = [check.more_ns for check in culprits if check.more_ns is not None]
    more_ns = max(longest) if longest and len(longest) == len(culprits) else None
    sentence = _sentence(culprits[0], len(culprits), outcome)
    if outcome is Outcome.UNDECIDED and culprits[0].deviation.bounded:
        sentence += _why_open(culprits[0])
        if more_ns is not None:
            sentence += f"; about {length_in_words(more_ns)} more of both would"
    shown = sorted(checks, key=lambda c: (badness(c.outcome), c.needed, _reach(c)))[::-1]
    return Claim(name=name, outcome=outcome, sentence=sentence, checks=shown, more_ns=more_ns)


def _why_open(check: Check) -> str:
    low, high = check.deviation.low, check.deviation.high
    if low > check.margin or high < -check.margin:
        return ", beyond that, but not surely so among so many checks or from so few blocks"
    return ", which the data cannot tell"


def _reach(check: Check) -> float:
    """How far the interval reaches, in margins."""
    return max(abs(check.deviation.low), abs(check.deviation.high)) / check.margin


def _sentence(check: Check, count: int, outcome: Outcome) -> str:
    several = outcome is not Outcome.ACCEPTED and count > 1
    others = f" (the worst of {count})" if several else ""
    unit = f" {check.unit}" if check.unit else ""
    margin = f"{_shown(check.margin, check).lstrip('+')}{unit}"
    value, low, high = (
        _shown(number, check)
        for number in (check.deviation.value, check.deviation.low, check.deviation.high)
    )
    if not check.deviation.bounded:
        return f"{check.label}{others} is unknown: there are too few windows or independent blocks"
    if check.deviation.low == check.deviation.high:
        return f"{check.label}{others} is {value.lstrip('+')}{unit}, allowed {margin}"
    return (
        f"{check.label}{others} is off by {value}{unit} (90%: {low} to {high}), allowed ± {margin}"
    )


def _shown(number: float, check: Check) -> str:
    """Three digits; deviations without a unit in per cent."""
    return f"{number:+.3g}" if check.unit else f"{100.0 * number:+.3g}%"


def overall(molecules: Sequence[MoleculeMetrics]) -> tuple[Outcome, str]:
    """The outcome of a run and one sentence that says it, with what it costs."""
    outcome = worst(molecule.verdict.outcome for molecule in molecules)
    those = [m.name for m in molecules if m.verdict.outcome is outcome]
    candidates = sorted({molecule.candidate for molecule in molecules})
    who = "the hybrid" if candidates == ["hybrid"] else ", ".join(candidates)
    share = f"{', '.join(those)} ({len(those)} of {len(molecules)} molecules)"
    said = {
        Outcome.ACCEPTED: f"{who} is accepted on {share}",
        Outcome.REJECTED: f"{who} is rejected: it gets {share} wrong",
        Outcome.UNDECIDED: f"there is not enough data to judge {who} on {share}",
    }[outcome]
    if candidates == ["hybrid"] or outcome is Outcome.UNDECIDED:
        said = said[0].upper() + said[1:]  # the name of a file stays as it is
    return outcome, f"{said}{_cost_clause(molecules)}."


def _cost_clause(molecules: Sequence[MoleculeMetrics]) -> str:
    """What it saves and costs, in words; the range over molecules."""
    costs = [molecule.cost for molecule in molecules if molecule.cost is not None]
    if not costs:
        return "; its cost was not measured"
    calls = span([cost.shown_saving for cost in costs])
    faster = [cost.wall_ratio for cost in costs if cost.wall_ratio >= 1.0]
    slower = [1.0 / cost.wall_ratio for cost in costs if cost.wall_ratio < 1.0]
    clock = [f"{span(faster)} times faster" if faster else ""]
    clock += [f"{span(slower)} times slower" if slower else ""]
    times = " or ".join(part for part in clock if part)
    return f"; it makes {calls} times fewer force calls, and on the clock it is {times}"

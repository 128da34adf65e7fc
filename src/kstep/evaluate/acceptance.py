"""The acceptance rule: when a hybrid counts as right, wrong, or not yet known.

The rule is an equivalence test. "No significant difference" from little data proves nothing, so
each claim has a margin, and its 95% interval decides: wholly inside the margin is *accepted*,
wholly outside is *rejected*, anything else is *not enough data*. Divergences are judged by what
exceeds the baseline's own noise floor. A molecule gets the worst of its claims, a run the worst
of its molecules. Cost is reported, never judged: a fast wrong answer is wrong.

Version 1: NVE drift, temperature, kinetic energy by element (NVT, and its shares in NVE),
distributions of bonds, angles, dihedrals and heavy-atom distances.
"""

from collections.abc import Iterable, Sequence

from kstep.config import EvalConfig
from kstep.evaluate.metrics import (
    Claim,
    Divergence,
    EnergyMetrics,
    Estimate,
    MoleculeMetrics,
    Outcome,
    Pair,
    StructureMetrics,
    TemperatureMetrics,
    Verdict,
)

ACCEPTANCE_VERSION = 1
MIN_WINDOWS = 3
"""NVE windows of each side below which the median drift means nothing."""

MIN_CROSSINGS = 20
"""Crossings of a torsional well's rim by one side from which its population can be judged."""

_BADNESS = [Outcome.ACCEPTED, Outcome.UNDECIDED, Outcome.REJECTED]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes: rejected before not enough data before accepted."""
    return max(outcomes, key=_BADNESS.index)


def within(interval: Estimate, margin: float) -> Outcome:
    """Whether a deviation from zero is surely inside ±margin, surely outside, or neither."""
    if -margin <= interval.low and interval.high <= margin:
        return Outcome.ACCEPTED
    if interval.low > margin or interval.high < -margin:
        return Outcome.REJECTED
    return Outcome.UNDECIDED


def verdict(
    config: EvalConfig,
    energy: Pair[EnergyMetrics],
    temperature: TemperatureMetrics,
    structure: StructureMetrics,
) -> Verdict:
    """Judge one molecule."""
    claims = [
        judge_energy(energy, config.max_drift),
        judge_temperature(temperature, config.max_temperature_error),
        judge_equipartition(temperature, config),
        judge_structure(structure, config.max_divergence),
    ]
    outcome = worst(claim.outcome for claim in claims)
    if outcome is Outcome.ACCEPTED:
        sentence = "energy, temperature, equipartition and structure agree with the baseline"
    else:
        sentence = "; ".join(claim.sentence for claim in claims if claim.outcome is outcome)
    return Verdict(outcome=outcome, sentence=sentence, claims=claims)


def judge_energy(energy: Pair[EnergyMetrics], margin: float) -> Claim:
    """Median size of the NVE drift, kJ/mol/ps per atom."""
    name = "energy is conserved"
    ours, reference = energy.hybrid.size, energy.baseline.size
    windows = min(len(energy.hybrid.windows), len(energy.baseline.windows))
    if ours is None or reference is None or windows < MIN_WINDOWS:
        return Claim(
            name=name,
            outcome=Outcome.UNDECIDED,
            sentence=f"{windows} NVE windows of one side do not tell its energy drift "
            f"({MIN_WINDOWS} are needed)",
        )
    outcome = within(ours, margin)
    if within(reference, margin) is Outcome.REJECTED:
        outcome = Outcome.UNDECIDED
    said = {
        Outcome.ACCEPTED: "within the allowed",
        Outcome.REJECTED: "above the allowed",
        Outcome.UNDECIDED: "not surely below the allowed",
    }[outcome]
    sentence = (
        f"in NVE the energy drifts by {ours.value:.2g} kJ/mol/ps per atom (95%: {ours.low:.2g} to "
        f"{ours.high:.2g}; baseline {reference.value:.2g}), {said} {margin:g}"
    )
    return Claim(name=name, outcome=outcome, sentence=sentence)


def judge_temperature(temperature: TemperatureMetrics, margin: float) -> Claim:
    """Mean kinetic temperature in NVT against the thermostat's."""
    name = "temperature is right"
    if within(temperature.error.baseline, margin) is Outcome.REJECTED:
        return Claim(
            name=name,
            outcome=Outcome.UNDECIDED,
            sentence=f"the baseline itself is at {temperature.mean_K.baseline.value:.0f} K instead "
            f"of {temperature.target_K:.0f} K and cannot serve as reference",
        )
    ours = temperature.mean_K.hybrid
    sentence = (
        f"in NVT the temperature is {ours.value:.0f} K (95%: {ours.low:.0f} to {ours.high:.0f}) "
        f"for a target of {temperature.target_K:.0f} K ± {margin:.0%}"
    )
    return Claim(name=name, outcome=within(temperature.error.hybrid, margin), sentence=sentence)


def judge_equipartition(temperature: TemperatureMetrics, config: EvalConfig) -> Claim:
    """Kinetic energy per atom by element against the baseline's, in NVT and NVE.

    NVE windows are few and each keeps the energy it started with, so there a broad interval
    does not stand in the way; an interval wholly beyond the margin condemns.
    """
    name = "elements are equally warm"
    found: list[tuple[Outcome, str, str, Estimate]] = []
    for element in temperature.elements:
        outcome = within(element.error, config.max_element_error)
        found.append((outcome, element.element, "NVT", element.error))
        if element.nve_error is not None:
            outcome = within(element.nve_error, config.max_share_error)
            if outcome is Outcome.REJECTED:
                found.append((outcome, element.element, "NVE", element.nve_error))
    outcome = worst(entry[0] for entry in found)
    _, symbol, ensemble, error = max(
        (entry for entry in found if entry[0] is outcome), key=lambda entry: abs(entry[3].value)
    )
    margin = config.max_element_error if ensemble == "NVT" else config.max_share_error
    sentence = (
        f"in {ensemble} the kinetic energy of {symbol} is off by {error.value:+.1%} (95%: "
        f"{error.low:+.1%} to {error.high:+.1%}) of the baseline's, allowed ± {margin:.0%}"
    )
    return Claim(name=name, outcome=outcome, sentence=sentence)


def judge_structure(structure: StructureMetrics, margin: float) -> Claim:
    """Jensen-Shannon divergences beyond the noise floor, nats."""
    name = "structure is right"
    if not structure.coordinates:
        return Claim(
            name=name,
            outcome=Outcome.UNDECIDED,
            sentence="the molecule has no internal coordinate that is free to move",
        )
    torsions_differ = any(_crossed_rarely(entry, margin) for entry in structure.coordinates)
    judged = [
        (judge_divergence(entry, margin, torsions_differ), entry) for entry in structure.coordinates
    ]
    outcome = worst(found for found, _ in judged)
    culprits = [entry for found, entry in judged if found is outcome]
    shown = max(culprits, key=lambda entry: entry.excess)
    several = outcome is not Outcome.ACCEPTED and len(culprits) > 1
    count = f" (worst of {len(culprits)})" if several else ""
    sentence = (
        f"the {shown.kind} {shown.label}{count} differs from the baseline by {shown.js:.2g} nats "
        f"against {shown.noise:.2g} of noise (95%: {shown.noise_95:.2g}), allowed {margin:g} more"
    )
    if shown.crossings is not None and _crossed_rarely(shown, margin):
        sentence += (
            ", but its barrier is crossed too rarely to tell "
            f"({shown.crossings.baseline:.3g} times by the baseline, "
            f"{shown.crossings.hybrid:.3g} by the hybrid; {MIN_CROSSINGS} needed)"
        )
    elif outcome is Outcome.UNDECIDED:
        sentence += ", which so short a run cannot tell from noise"
    return Claim(name=name, outcome=outcome, sentence=sentence)


def judge_divergence(divergence: Divergence, margin: float, torsions_differ: bool) -> Outcome:
    """One coordinate: beyond the margin even after the largest likely noise, or within it.

    Where the baseline's own noise is as large as the margin nothing is decided in favour. A
    torsion that neither side crosses often is not held against the hybrid, nor are then the
    distances (`torsions_differ`), which follow from the torsions.
    """
    if divergence.js - divergence.noise_95 > margin:
        excused = _crossed_rarely(divergence, margin) or (
            torsions_differ and divergence.kind == "distance"
        )
        return Outcome.UNDECIDED if excused else Outcome.REJECTED
    if divergence.excess <= margin and divergence.noise_95 <= margin:
        return Outcome.ACCEPTED
    return Outcome.UNDECIDED


def _crossed_rarely(divergence: Divergence, margin: float) -> bool:
    """Whether a difference may be chance because both sides hardly ever cross the barrier.

    If one of them crosses it often the other should too: then the difference stands.
    """
    crossed = divergence.crossings
    return (
        divergence.excess > margin
        and crossed is not None
        and max(crossed.baseline, crossed.hybrid) < MIN_CROSSINGS
    )


def overall(molecules: Sequence[MoleculeMetrics]) -> tuple[Outcome, str]:
    """The outcome of a run and one sentence that says it, with what it costs."""
    outcome = worst(molecule.verdict.outcome for molecule in molecules)
    those = [m.name for m in molecules if m.verdict.outcome is outcome]
    share = f"{', '.join(those)} ({len(those)} of {len(molecules)} molecules)"
    said = {
        Outcome.ACCEPTED: f"The hybrid is accepted on {share}",
        Outcome.REJECTED: f"The hybrid is rejected: it gets {share} wrong",
        Outcome.UNDECIDED: f"There is not enough data to judge the hybrid on {share}",
    }[outcome]
    return outcome, f"{said}{_cost_clause(molecules)}."


def _cost_clause(molecules: Sequence[MoleculeMetrics]) -> str:
    """What it saves and costs, in words; the range over molecules."""
    costs = [molecule.cost for molecule in molecules if molecule.cost is not None]
    if not costs:
        return "; its cost was not measured"
    calls = _span([cost.counted_saving for cost in costs])
    faster = [cost.wall_ratio for cost in costs if cost.wall_ratio >= 1.0]
    slower = [1.0 / cost.wall_ratio for cost in costs if cost.wall_ratio < 1.0]
    clock = [f"{_span(faster)} times faster" if faster else ""]
    clock += [f"{_span(slower)} times slower" if slower else ""]
    times = " or ".join(part for part in clock if part)
    return f"; it makes {calls} times fewer force calls, and on the clock it is {times}"


def _span(values: Sequence[float]) -> str:
    low, high = (f"{end:.2g}" if end < 100 else f"{end:.0f}" for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"

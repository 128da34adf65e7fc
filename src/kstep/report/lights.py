"""Traffic lights: every claim and what it costs, in words a chemist reads without a legend."""

from collections.abc import Sequence
from dataclasses import dataclass

from kstep.evaluate.acceptance import worst
from kstep.evaluate.metrics import BasinMetrics, CostMetrics, Metrics, Outcome

_STATES = {Outcome.ACCEPTED: "good", Outcome.UNDECIDED: "open", Outcome.REJECTED: "bad"}


@dataclass(frozen=True)
class Light:
    """A traffic light: colour, sign and words, so that it reads without colour too.

    Attributes:
        name: what it is about.
        state: `good`, `open` or `bad`; `plain` for a fact that is neither.
        word: the state in words.
        sentence: the reason.
    """

    name: str
    state: str
    word: str
    sentence: str

    @property
    def sign(self) -> str:
        """A mark beside the colour."""
        return {"good": "✓", "open": "?", "bad": "✗", "plain": "•"}[self.state]


def outcome_light(name: str, outcome: Outcome, sentence: str) -> Light:
    """The light of a claim that the acceptance rule has answered."""
    return Light(name, _STATES[outcome], outcome.value, sentence)


def overall_lights(metrics: Metrics) -> list[Light]:
    """One light per claim over all molecules, then those of cost."""
    names = [claim.name for claim in metrics.molecules[0].verdict.claims]
    lights = []
    for index, name in enumerate(names):
        claims = [(m.name, m.verdict.claims[index]) for m in metrics.molecules]
        outcome = worst(claim.outcome for _, claim in claims)
        those = [(molecule, claim) for molecule, claim in claims if claim.outcome is outcome]
        count = f"{len(those)} of {len(claims)} molecules; for example " if len(claims) > 1 else ""
        example = f"{those[0][0]}: {those[0][1].sentence}"
        lights.append(outcome_light(name, outcome, f"{count}{example}."))
    costs = [m.cost for m in metrics.molecules if m.cost is not None]
    return [*lights, *(cost_lights(costs) if costs else [])]


def cost_lights(costs: Sequence[CostMetrics]) -> list[Light]:
    """Does it save force calls, and does it save time."""
    fewest = min(cost.counted_saving for cost in costs)
    saves = Light(
        "fewer force calls",
        "good" if fewest > 1.0 else "bad",
        "yes" if fewest > 1.0 else "no",
        f"{span([c.counted_saving for c in costs])} base steps per force call counted "
        f"(nominal {span([c.nominal_saving for c in costs])}); "
        f"{span([100.0 * c.rejected_share for c in costs])}% of the jumps were refused.",
    )
    faster = sum(cost.wall_ratio > 1.0 for cost in costs)
    state, word = {0: ("bad", "no"), len(costs): ("good", "yes")}.get(faster, ("open", "in part"))
    clock = Light("faster on the clock", state, word, clock_sentence(costs))
    return [saves, clock]


def clock_sentence(costs: Sequence[CostMetrics]) -> str:
    """Whether the hybrid gains or loses time here, and from which force cost on it would gain."""
    parts = []
    faster = [cost.wall_ratio for cost in costs if cost.wall_ratio > 1.0]
    slower = [1.0 / cost.wall_ratio for cost in costs if cost.wall_ratio <= 1.0]
    if slower:
        parts.append(
            f"On this machine and this force field the hybrid is {span(slower)} times SLOWER than "
            "plain MD: a force call costs less than what it saves."
        )
    if faster:
        parts.append(f"The hybrid is {span(faster)} times faster than plain MD.")
    even = [cost.break_even_s * 1e3 for cost in costs if cost.break_even_s is not None]
    now = [cost.step_cost_s * 1e3 for cost in costs]
    if even:
        parts.append(
            f"It breaks even when a force call costs {span(even)} ms (here: {span(now)} ms)."
        )
    if len(even) < len(costs):
        parts.append("Where it saves no force calls it can never break even.")
    return " ".join(parts)


def basin_light(basin: BasinMetrics) -> Light:
    """Which side finds the best minimum with fewer force calls."""
    name, sides = "finds the minimum sooner", basin.sides
    if basin.trivial:
        sentence = (
            "Every start of both sides is in the best basin at its first quench: the molecule is "
            "too small or too rigid for this measure to tell them apart."
        )
        return Light(name, "plain", "does not apply", sentence)
    shares = (
        f"reached by {sides.hybrid.reached_share:.0%} of the hybrid's starts and "
        f"{sides.baseline.reached_share:.0%} of the baseline's"
    )
    ours, reference = sides.hybrid.median_force_calls, sides.baseline.median_force_calls
    if ours is None or reference is None:
        sentence = f"The best minimum is {shares}: too few for a median on both sides."
        return Light(name, "open", "not enough data", sentence)
    sentence = f"Median force calls {ours:g} against {reference:g} of the baseline; {shares}."
    sooner = ours < reference
    return Light(name, "good" if sooner else "bad", "yes" if sooner else "no", sentence)


def span(values: Sequence[float]) -> str:
    """One number, or the range of several, to two or three digits."""
    low, high = (f"{value:.3g}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"

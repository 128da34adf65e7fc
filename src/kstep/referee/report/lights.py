"""Traffic lights: every claim and what it costs, in words a chemist reads without a legend."""

from collections.abc import Sequence
from dataclasses import dataclass

from kstep.referee.claims.checks import CLAIMS, worst
from kstep.referee.claims.words import span
from kstep.referee.metrics import BasinMetrics, CostMetrics, Metrics, Outcome
from kstep.referee.report.reading import candidate_name, sentence
from kstep.referee.report.tables.form import SIGNS, TONES

_STATES = {outcome: TONES[sign] for outcome, sign in SIGNS.items()}
_SIGNS = {"plain": "•", **{state: sign for sign, state in TONES.items()}}


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
        return _SIGNS[self.state]


def outcome_light(name: str, outcome: Outcome, reason: str) -> Light:
    """The light of what the acceptance rule has answered."""
    return Light(name, _STATES[outcome], outcome.value, sentence(reason))


def overall_lights(metrics: Metrics) -> list[Light]:
    """One light per claim over all molecules, then those of cost."""
    claims = [(m.name, claim) for m in metrics.molecules for claim in m.verdict.claims]
    lights = []
    for name in CLAIMS:
        own = [(molecule, claim) for molecule, claim in claims if claim.name == name]
        if not own:
            continue
        outcome = worst(claim.outcome for _, claim in own)
        molecule, example = next(entry for entry in own if entry[1].outcome is outcome)
        text = example.sentence
        if len(own) > 1:
            share = sum(claim.outcome is outcome for _, claim in own)
            text = f"{share} of {len(own)} molecules, such as {molecule}: {text}"
        lights.append(outcome_light(name, outcome, text))
    costs = [m.cost for m in metrics.molecules if m.cost is not None]
    return [*lights, *(cost_lights(costs, candidate_name(metrics)) if costs else [])]


def cost_lights(costs: Sequence[CostMetrics], candidate: str) -> list[Light]:
    """Does it save force calls, and does it save time."""
    fewest = min(cost.shown_saving for cost in costs)
    trained = [c.saving_with_training for c in costs if c.saving_with_training is not None]
    training = f", {span(trained)} with the training's" if trained else ""
    saves = Light(
        "fewer force calls",
        "good" if fewest > 1.0 else "bad",
        "yes" if fewest > 1.0 else "no",
        f"{span([c.counted_saving for c in costs])} base steps per force call counted{training} "
        f"(nominal {span([c.nominal_saving for c in costs])}); "
        f"{span([100.0 * c.rejected_share for c in costs])}% of the jumps were refused.",
    )
    faster = sum(cost.wall_ratio > 1.0 for cost in costs)
    state, word = {0: ("bad", "no"), len(costs): ("good", "yes")}.get(faster, ("open", "in part"))
    clock = Light("faster on the clock", state, word, clock_sentence(costs, candidate))
    return [saves, clock]


def clock_sentence(costs: Sequence[CostMetrics], candidate: str) -> str:
    """Whether the candidate gains or loses time here, and what force call it would gain with."""
    parts = []
    faster = [cost.wall_ratio for cost in costs if cost.wall_ratio > 1.0]
    slower = [1.0 / cost.wall_ratio for cost in costs if cost.wall_ratio <= 1.0]
    if slower:
        parts.append(
            f"On this machine and this force field the {candidate} is {span(slower)} times SLOWER "
            "than plain MD: a force call costs less than what it saves."
        )
    if faster:
        parts.append(f"The {candidate} is {span(faster)} times faster than plain MD.")
    even = [cost.break_even_s * 1e3 for cost in costs if cost.break_even_s is not None]
    now = [cost.step_cost_s * 1e3 for cost in costs]
    if even:
        parts.append(
            f"It breaks even when a force call costs {span(even)} ms (here: {span(now)} ms)."
        )
    if len(even) < len(costs):
        parts.append("Where it saves no force calls it can never break even.")
    return " ".join(parts)


def basin_light(basin: BasinMetrics, candidate: str) -> Light:
    """Which side finds the best minimum with fewer force calls."""
    name, sides = "finds the minimum sooner", basin.sides
    if basin.trivial:
        sentence = (
            "Every start of both sides is in the best basin at its first quench: the molecule is "
            "too small or too rigid for this measure to tell them apart."
        )
        return Light(name, "plain", "does not apply", sentence)
    shares = (
        f"reached by {sides.candidate.reached_share:.0%} of the {candidate}'s starts and "
        f"{sides.baseline.reached_share:.0%} of the baseline's"
    )
    ours, reference = sides.candidate.median_force_calls, sides.baseline.median_force_calls
    if ours is None or reference is None:
        sentence = f"The best minimum is {shares}: too few for a median on both sides."
        return Light(name, "open", "not enough data", sentence)
    sentence = f"Median force calls {ours:g} against {reference:g} of the baseline; {shares}."
    sooner = ours < reference
    return Light(name, "good" if sooner else "bad", "yes" if sooner else "no", sentence)

"""What the HTML page says: lights, tables, wording. The template only lays it out."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kstep import __version__
from kstep.evaluate.acceptance import worst
from kstep.evaluate.metrics import (
    BasinMetrics,
    CostMetrics,
    Estimate,
    Metrics,
    MoleculeMetrics,
    Outcome,
)

WORST_SHOWN = 12
"""Rows of a structure table."""


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


@dataclass(frozen=True)
class Table:
    """A table: headings (units included) and rows of finished text."""

    caption: str
    headings: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Picture:
    """An inlined figure with its caption."""

    source: str
    caption: str


@dataclass(frozen=True)
class Chapter:
    """Everything about one molecule."""

    title: str
    subtitle: str
    verdict: Light
    lights: list[Light]
    tables: dict[str, Table] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)


CAPTIONS = {
    "drift": "Energy drift of every NVE window of every molecule: a violin and a box for each "
    "side, each window a point. The dotted line is the largest median size accepted.",
    "energy": "Total energy in the NVE windows. Left: both on one scale. Right: the same data, "
    "enlarged to the baseline's range.",
    "temperature": "Kinetic temperature and kinetic energy by element, with 95 % intervals. "
    "Constraints leave hydrogen fewer degrees of freedom, so elements differ in height; what "
    "counts is that hybrid and baseline agree for each.",
    "coordinates": "The bonds, angles and dihedrals whose distributions differ most (atom serial "
    "numbers as in molecule.pdb; ×n: n equivalent ones pooled).",
    "rdf": "Intramolecular pair density of heavy atoms: the radial distribution of an isolated "
    "molecule, per pair and per volume of the spherical shell (there is no bulk density to "
    "divide by).",
    "cost": "Left: wall-clock time by part. Right: how much faster the hybrid would be if a force "
    "call cost more, its other costs unchanged; below the blue line it is slower.",
    "basin": "Share of randomised starts that have found the best known minimum, against force "
    "calls and wall-clock time spent.",
}


def page(metrics: Metrics, metrics_hash: str, images: Mapping[str, bytes]) -> str:
    """The whole report as one HTML text; `images` are SVG bytes by figure name."""
    environment = Environment(
        loader=PackageLoader("kstep.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        version=__version__,
        metrics=metrics,
        metrics_hash=metrics_hash,
        verdict=_verdict_light("verdict", metrics.outcome, metrics.sentence),
        lights=overall_lights(metrics),
        overview=overview_table(metrics),
        drift=_pictures(images, "").get("drift"),
        chapters=[chapter(molecule, images) for molecule in metrics.molecules],
        sources=Table(
            "Files read, SHA-256",
            ["file", "hash"],
            [[name, value] for name, value in sorted(metrics.source_hashes.items())],
        ),
        records={
            f"{name}, {side}": json.dumps(getattr(pair, side), indent=1, sort_keys=True)
            for name, pair in sorted(metrics.provenance.items())
            for side in ("baseline", "hybrid")
        },
        config=yaml.safe_dump(metrics.config, sort_keys=False, allow_unicode=True),
    )


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
        lights.append(_verdict_light(name, outcome, f"{count}{example}."))
    costs = [m.cost for m in metrics.molecules if m.cost is not None]
    return [*lights, *(_cost_lights(costs) if costs else [])]


def _cost_lights(costs: Sequence[CostMetrics]) -> list[Light]:
    fewest = min(cost.counted_saving for cost in costs)
    saves = Light(
        "fewer force calls",
        "good" if fewest > 1.0 else "bad",
        "yes" if fewest > 1.0 else "no",
        f"{_span([c.counted_saving for c in costs])} base steps per force call counted "
        f"(nominal {_span([c.nominal_saving for c in costs])}); "
        f"{_span([100.0 * c.rejected_share for c in costs])} % of the jumps were refused.",
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
            f"On this machine and this force field the hybrid is {_span(slower)} times SLOWER than "
            "plain MD: a force call costs less than what it saves."
        )
    if faster:
        parts.append(f"The hybrid is {_span(faster)} times faster than plain MD.")
    even = [cost.break_even_s * 1e3 for cost in costs if cost.break_even_s is not None]
    now = [cost.step_cost_s * 1e3 for cost in costs]
    if even:
        parts.append(
            f"It breaks even when a force call costs {_span(even)} ms (here: {_span(now)} ms)."
        )
    if len(even) < len(costs):
        parts.append("Where it saves no force calls it can never break even.")
    return " ".join(parts)


def overview_table(metrics: Metrics) -> Table:
    """One row per molecule."""
    headings = [
        "molecule", "k", "force-call saving, counted", "wall-clock gain", "NVE drift, baseline "
        "(J/mol/ps per atom)", "NVE drift, hybrid (J/mol/ps per atom)", "T, baseline (K)",
        "T, hybrid (K)", "worst JS beyond noise (nats)", "jumps refused (%)", "verdict",
    ]  # fmt: skip
    rows = []
    for m in metrics.molecules:
        cost, mean, worst_entry = m.cost, m.temperature.mean_K, m.structure.coordinates[:1]
        rows.append(
            [
                m.name,
                str(m.k_steps),
                "–" if cost is None else f"{cost.counted_saving:.2f}×",
                "–" if cost is None else f"{cost.wall_ratio:.2g}×",
                *(_milli(getattr(m.energy, side).size) for side in ("baseline", "hybrid")),
                _interval(mean.baseline, ".0f"),
                _interval(mean.hybrid, ".0f"),
                f"{worst_entry[0].excess:.3f}" if worst_entry else "–",
                "–" if cost is None else f"{100.0 * cost.rejected_share:.1f}",
                m.verdict.outcome.value,
            ]
        )
    return Table("All molecules", headings, rows)


def chapter(molecule: MoleculeMetrics, images: Mapping[str, bytes]) -> Chapter:
    """Lights, tables and pictures of one molecule."""
    verdict = molecule.verdict
    lights = [_verdict_light(c.name, c.outcome, f"{c.sentence}.") for c in verdict.claims]
    sampling = molecule.sampling
    tables = {
        "energy": energy_table(molecule),
        "temperature": temperature_table(molecule),
        "structure": structure_table(molecule),
    }
    if molecule.cost is not None:
        lights += _cost_lights([molecule.cost])
        tables["cost"] = cost_table(molecule.cost)
    if molecule.basin is not None:
        lights.append(basin_light(molecule.basin))
        tables["basin"] = basin_table(molecule.basin)
    return Chapter(
        title=molecule.name,
        subtitle=f"{molecule.smiles}: {molecule.n_atoms} atoms, k = {molecule.k_steps}, corrector "
        f"{molecule.corrector}, base step {molecule.dt_ps * 1e3:g} fs; scored: "
        f"{sampling.baseline.nvt_ps:g} ps of baseline and {sampling.hybrid.nvt_ps:g} ps of hybrid "
        f"in NVT, {sampling.baseline.nve_windows} and {sampling.hybrid.nve_windows} NVE windows.",
        verdict=_verdict_light("verdict", verdict.outcome, f"{verdict.sentence}."),
        lights=lights,
        tables=tables,
        pictures=_pictures(images, f"{molecule.name}_"),
    )


def basin_light(basin: BasinMetrics) -> Light:
    """Which side finds the best minimum with fewer force calls."""
    name, sides = "finds the minimum sooner", basin.sides
    if basin.trivial:
        sentence = (
            "Every start is in the best basin at once: the molecule is so rigid that this "
            "measure says nothing about either side."
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

"""The metrics as a small table for the terminal."""

from collections.abc import Sequence

from kstep.referee.claims.words import momenta_not_judged
from kstep.referee.metrics import Estimate, Metrics, MoleculeMetrics

HEADINGS = (
    ("", "", "calls", "clock", "drift, J/mol/ps/atom", "T, K", "worst", "jumps", ""),
    ("molecule", "k", "saved", "gain", "base / own", "base / own", "JS", "refused", "verdict"),
)
NAME_WIDTH = 20


def summary_table(metrics: Metrics) -> str:
    """One row per molecule, at most 110 columns.

    *calls saved*: base steps per counted force call; *clock gain*: baseline time / hybrid time;
    *drift*: typical size in NVE; *worst JS*: largest Jensen-Shannon divergence beyond noise, nats.
    """
    rows = [*HEADINGS, *(_row(molecule) for molecule in metrics.molecules)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS[0]))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(len(HEADINGS), "─" * max(len(line) for line in lines))
    notes = [
        f"{molecule.name}: momenta are not judged: {momenta_not_judged(molecule)}."
        for molecule in metrics.molecules
        if molecule.external_forces
    ]
    return "\n".join([*lines, "", *notes, metrics.sentence])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    last = len(row) - 1
    cells = [
        cell.ljust(width) if column in (0, last) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _row(molecule: MoleculeMetrics) -> tuple[str, ...]:
    name = molecule.name
    short = name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"
    cost, energy = molecule.cost, molecule.energy
    temperature = None if molecule.temperature is None else molecule.temperature.mean_K
    coordinates = molecule.structure.coordinates
    return (
        short,
        "–" if molecule.k_steps is None else str(molecule.k_steps),
        "–" if cost is None else f"{cost.shown_saving:.1f}×",
        "–" if cost is None else f"{cost.wall_ratio:.2g}×",
        f"{_joules(energy.baseline.size)} / {_joules(energy.candidate.size)}",
        "–"
        if temperature is None
        else f"{temperature.baseline.value:.0f} / {temperature.candidate.value:.0f}",
        f"{coordinates[0].excess:.3f}" if coordinates else "–",
        "–" if cost is None else f"{cost.rejected_share:.1%}",
        molecule.verdict.outcome.value,
    )


def _joules(drift: Estimate | None) -> str:
    if drift is None:
        return "–"
    joules = drift.value * 1000.0
    return f"{joules:.0f}" if joules >= 10.0 else f"{joules:.2g}"

"""The verdict at a glance: every claim's most telling checks in units of their margins."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import Check, Estimate, MoleculeMetrics, Outcome
from kstep.referee.report.figures.style import (
    MARGIN_BAND,
    MARGIN_COLOUR,
    WIDTH,
    scaled,
    shortened,
    whisker,
)

SHOWN = 5
"""Checks drawn for each claim."""

FURTHEST = 300.0
"""Margins: deviations beyond are drawn here."""

_MARKS = {
    Outcome.ACCEPTED: ("#009E73", "o"),
    Outcome.UNDECIDED: ("#8a5a00", "D"),
    Outcome.REJECTED: ("#a3210c", "X"),
}


def checks_against_margins(molecule: MoleculeMetrics) -> Figure | None:
    """Deviations with intervals, divided by what is allowed: inside the band is accepted."""
    rows: list[Check | str] = []
    for claim in molecule.verdict.claims:
        if claim.checks:
            rows += [claim.name, *claim.checks[:SHOWN]]
    if not rows:
        return None
    figure = Figure(figsize=(WIDTH, 0.9 + 0.19 * len(rows)))
    axes = figure.subplots()
    axes.axvspan(-1.0, 1.0, color=MARGIN_BAND, zorder=0.3)
    axes.axvline(0.0, color=MARGIN_COLOUR, lw=0.8)
    named: set[Outcome] = set()
    for row, entry in enumerate(rows):
        if isinstance(entry, Check):
            colour, marker = _MARKS[entry.outcome]
            label = None if entry.outcome in named else entry.outcome.value
            whisker(axes, float(row), _in_margins(entry), colour, marker, label)
            named.add(entry.outcome)
    _label(axes, rows)
    return figure


def _in_margins(check: Check) -> Estimate:
    """The deviation in units of its margin; what lies further out than the figure, at its edge."""
    found = scaled(check.deviation, 1.0 / check.margin)
    value, low, high = np.clip((found.value, found.low, found.high), -FURTHEST, FURTHEST).tolist()
    return Estimate(value=value, low=low, high=high)


def _label(axes: Axes, rows: list[Check | str]) -> None:
    texts = [shortened(r.label if isinstance(r, Check) else r, 52) for r in rows]
    axes.set_yticks(range(len(rows)), texts, fontsize=7.5)
    for tick, entry in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("normal" if isinstance(entry, Check) else "bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    # Linear where it is decided, logarithmic beyond: some faults are a hundred margins large.
    axes.set_xscale("symlog", linthresh=1.5, linscale=1.5)
    reach = max(1.6, *(abs(end) for end in axes.get_xlim()))
    axes.set_xlim(-reach, reach)
    ticks = [tick for tick in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0) if tick <= reach]
    marks = [*(-tick for tick in reversed(ticks)), 0.0, *ticks]
    axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axes.minorticks_off()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("deviation / what is allowed")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)

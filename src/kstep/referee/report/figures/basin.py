"""Time to basin: the share of starts that have arrived, against what they spent."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import BasinMetrics, MoleculeMetrics
from kstep.referee.report.figures.style import SIDE_COLOURS, SIDE_LINES, panels
from kstep.referee.report.reading import side_names


def basin_arrivals(molecule: MoleculeMetrics) -> Figure | None:
    """Share of starts in the best basin against force calls and against wall-clock time."""
    if molecule.basin is None:
        return None
    figure, (calls, clock) = panels(1, 2, 2.6)
    _arrivals(calls, molecule, molecule.basin, "force_calls")
    calls.set_xlabel("force calls spent")
    _arrivals(clock, molecule, molecule.basin, "wall_s")
    clock.set_xlabel("wall-clock time spent (s)")
    calls.set_ylabel("starts in the best basin (%)")
    calls.legend(loc="lower right")
    return figure


def _arrivals(axes: Axes, molecule: MoleculeMetrics, basin: BasinMetrics, spent: str) -> None:
    latest = 0.0
    for side, name in side_names(molecule).items():
        values = getattr(getattr(basin.sides, side), spent)
        arrived = np.sort([float(value) for value in values if value is not None])
        share = 100.0 * np.arange(1, len(arrived) + 1) / len(values)
        latest = max(latest, float(arrived[-1]) if len(arrived) else 0.0)
        axes.step(
            np.concatenate([[0.0], arrived]), np.concatenate([[0.0], share]), where="post",
            color=SIDE_COLOURS[side], linestyle=SIDE_LINES[side], marker="o", markersize=3,
            label=name,
        )  # fmt: skip
    axes.set_xlim(0.0, 1.05 * latest if latest else 1.0)
    axes.set_ylim(0.0, 105.0)

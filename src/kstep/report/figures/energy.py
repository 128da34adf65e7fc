"""NVE energy: traces of every window, and the drifts of all molecules."""

from collections.abc import Mapping

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.evaluate.metrics import SIDES, Metrics, MoleculeMetrics
from kstep.report.figures.style import MARGIN_COLOUR, SIDE_COLOURS, WIDTH, panels

SMALLEST = 1e-8
"""Drifts below this, kJ/mol/ps per atom, are drawn here: a logarithm has no zero."""


def energy_traces(molecule: MoleculeMetrics, curves: Mapping[str, np.ndarray]) -> Figure | None:
    """Total energy per atom in every NVE window: on one scale, and enlarged to the baseline's."""
    windows = {side: len(getattr(molecule.energy, side).windows) for side in SIDES}
    if not any(windows.values()):
        return None
    figure, (whole, enlarged) = panels(1, 2, 2.8)
    for axes in (whole, enlarged):
        for side in reversed(SIDES):
            for index in range(windows[side]):
                axes.plot(
                    curves[f"energy/{side}/trace/{index}/times"],
                    curves[f"energy/{side}/trace/{index}/energy"],
                    color=SIDE_COLOURS[side],
                    lw=0.8,
                    alpha=0.65,
                    label=side if index == 0 else None,
                )
        axes.set_xlabel("time in the NVE window (ps)")
        axes.set_ylabel("energy since the start (kJ/mol per atom)")
    whole.set_title("all windows, one scale")
    whole.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
    enlarged.set_title("the same, enlarged to the baseline's range")
    _enlarge(enlarged, curves, windows["baseline"])
    return figure


def _enlarge(axes: Axes, curves: Mapping[str, np.ndarray], windows: int) -> None:
    if windows:
        traces = [curves[f"energy/baseline/trace/{index}/energy"] for index in range(windows)]
        reach = max(1e-6, 1.3 * max(float(np.abs(trace).max()) for trace in traces))
        axes.set_ylim(-reach, reach)


def drift_distributions(metrics: Metrics, margin: float) -> Figure | None:
    """Size of the drift of every NVE window: violins with boxes and the windows themselves."""
    rows = [
        (molecule.name, side, max(SMALLEST, abs(window.drift)))
        for molecule in metrics.molecules
        for side in SIDES
        for window in getattr(molecule.energy, side).windows
    ]
    if not rows:
        return None
    columns = zip(*rows, strict=True)
    data = dict(zip(("molecule", "side", "drift"), map(list, columns), strict=True))
    figure = Figure(figsize=(WIDTH, 1.6 + 0.6 * len(metrics.molecules)))
    axes = figure.subplots()
    common = {"data": data, "x": "drift", "y": "molecule", "hue": "side", "hue_order": SIDES,
              "ax": axes, "orient": "h", "log_scale": True}  # fmt: skip
    sns.violinplot(
        **common,
        palette=SIDE_COLOURS,
        inner=None,
        cut=0,
        density_norm="width",
        linewidth=0.8,
        alpha=0.35,
        legend=False,
    )
    sns.boxplot(
        **common, gap=0.65, fill=False, linewidth=1.0, fliersize=0, legend=False,
        palette=SIDE_COLOURS,
    )  # fmt: skip
    sns.stripplot(
        data=data, x="drift", y="molecule", hue="side", hue_order=SIDES, ax=axes, orient="h",
        log_scale=True, dodge=True, jitter=False, size=3.5, palette=SIDE_COLOURS,
    )  # fmt: skip
    axes.axvline(margin, color=MARGIN_COLOUR, linestyle=":", label=f"accepted up to {margin:g}")
    axes.set_xlabel("size of the NVE energy drift (kJ/mol/ps per atom)")
    axes.set_ylabel("")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, title=None)
    return figure

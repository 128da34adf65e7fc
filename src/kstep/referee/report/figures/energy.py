"""NVE energy: traces of every window, and the drifts of all molecules."""

from collections.abc import Iterator

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import SIDES, Metrics, MoleculeMetrics
from kstep.referee.report.figures.style import (
    MARGIN_COLOUR,
    RESCALED_COLOUR,
    SIDE_COLOURS,
    WIDTH,
    Curves,
    panels,
)
from kstep.referee.report.reading import candidate_name, settings_of, side_names

SMALLEST = 1e-8
"""Drifts below this, kJ/mol/ps per atom, are drawn here: a logarithm has no zero."""


def energy_traces(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Total energy per atom in every NVE window: one scale, enlarged, and with rescaling."""
    traces = {side: list(_traces(curves, f"{side}/trace")) for side in SIDES}
    rescaled = list(_traces(curves, "candidate/rescaled"))
    if not any(traces.values()):
        return None
    figure, axes = panels(1, 3 if rescaled else 2, 2.8)
    names = side_names(molecule)
    for panel in axes[:2]:
        for side in reversed(SIDES):
            _draw(panel, traces[side], SIDE_COLOURS[side], names[side])
    axes[0].set_title("all windows, one scale")
    axes[0].set_ylabel("energy since the start\n(kJ/mol per atom)")
    axes[1].set_title("the same, enlarged")
    _enlarge(axes[1], [energy for _, energy in traces["baseline"]])
    if rescaled:
        _draw(axes[2], rescaled, RESCALED_COLOUR, f"{molecule.candidate}, rescaled")
        axes[2].set_title("rescaled after each jump")
    for panel in axes:
        panel.set_xlabel("time in the window (ps)")
    for panel in (axes[0], *axes[2:]):
        panel.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def _traces(curves: Curves, prefix: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and energies of the windows that the curves hold, in order."""
    index = 0
    while f"energy/{prefix}/{index}/times" in curves:
        start = f"energy/{prefix}/{index}"
        yield curves[f"{start}/times"], curves[f"{start}/energy"]
        index += 1


def _draw(axes: Axes, traces: list[tuple[np.ndarray, np.ndarray]], colour: str, label: str) -> None:
    for index, (times, energy) in enumerate(traces):
        # Rasterised: tens of thousands of line ends would make the page heavy.
        axes.plot(
            times, energy, color=colour, lw=0.8, alpha=0.65, rasterized=True,
            label=label if index == 0 else None,
        )  # fmt: skip


def _enlarge(axes: Axes, energies: list[np.ndarray]) -> None:
    """Show the range of the given energies alone."""
    if energies:
        reach = max(1e-6, 1.3 * max(float(np.abs(energy).max()) for energy in energies))
        axes.set_ylim(-reach, reach)


def drift_distributions(metrics: Metrics) -> Figure | None:
    """Size of the drift of every NVE window: violins with boxes and the windows themselves."""
    colours = {
        "baseline": SIDE_COLOURS["baseline"],
        candidate_name(metrics): SIDE_COLOURS["candidate"],
        "rescaled": RESCALED_COLOUR,
    }
    rows = [
        (molecule.name, kind, max(SMALLEST, abs(window.drift)))
        for molecule in metrics.molecules
        for kind, windows in zip(
            colours,
            (
                molecule.energy.baseline.windows,
                molecule.energy.candidate.windows,
                molecule.energy.candidate.rescaled_windows,
            ),
            strict=True,
        )
        for window in windows
    ]
    if not rows:
        return None
    columns = zip(*rows, strict=True)
    data = dict(zip(("molecule", "side", "drift"), map(list, columns), strict=True))
    palette = {kind: colour for kind, colour in colours.items() if kind in data["side"]}
    figure = Figure(figsize=(WIDTH, 1.6 + 0.75 * len(metrics.molecules)))
    axes = figure.subplots()
    common = {"data": data, "x": "drift", "y": "molecule", "hue": "side", "palette": palette,
              "hue_order": list(palette), "ax": axes, "orient": "h", "log_scale": True}  # fmt: skip
    sns.violinplot(
        **common, inner=None, cut=0, density_norm="width", linewidth=0.8, alpha=0.35, legend=False
    )
    sns.boxplot(**common, gap=0.65, fill=False, linewidth=1.0, fliersize=0, legend=False)
    sns.stripplot(**common, dodge=True, jitter=False, size=3.0)
    margin = settings_of(metrics)["max_drift"]
    axes.axvline(margin, color=MARGIN_COLOUR, linestyle=":", label=f"accepted up to {margin:g}")
    axes.set_xlabel("size of the NVE energy drift (kJ/mol/ps per atom)")
    axes.set_ylabel("")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, title=None)
    return figure

"""Distributions of internal coordinates, and heavy-atom pair densities."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.evaluate.metrics import SIDES, Divergence, MoleculeMetrics
from kstep.report.figures.style import panels, step_line

COLUMNS = 4
_UNITS = {"bond": "nm", "angle": "degrees", "dihedral": "degrees"}


def coordinate_histograms(
    molecule: MoleculeMetrics, curves: Mapping[str, np.ndarray]
) -> Figure | None:
    """The bonds, angles and dihedrals that differ most, a row for each kind."""
    worst = {
        kind: [c for c in molecule.structure.coordinates if c.kind == kind][:COLUMNS]
        for kind in _UNITS
    }
    kinds = [kind for kind, entries in worst.items() if entries]
    if not kinds:
        return None
    figure, axes = panels(len(kinds), COLUMNS, 1.95)
    for row, kind in enumerate(kinds):
        own = axes[row * COLUMNS : (row + 1) * COLUMNS]
        for panel, entry in zip(own, worst[kind], strict=False):
            _draw(panel, curves, entry, f"{kind} ({_UNITS[kind]})")
            if kind == "dihedral":
                panel.set_xticks([-180, 0, 180])
        own[0].set_ylabel(f"probability (1/{'nm' if kind == 'bond' else 'degree'})")
        for panel in own[len(worst[kind]) :]:
            panel.set_visible(False)
    axes[0].legend(loc="upper left", fontsize=7, handlelength=1.2)
    _raise_ceiling(axes[0])
    return figure


def pair_densities(molecule: MoleculeMetrics, curves: Mapping[str, np.ndarray]) -> Figure | None:
    """Intramolecular pair density by element pair (the RDF of an isolated molecule)."""
    pairs = sorted(
        (c for c in molecule.structure.coordinates if c.kind == "distance"),
        key=lambda entry: entry.label,
    )
    if not pairs:
        return None
    columns = min(3, len(pairs))
    figure, axes = panels(-(-len(pairs) // columns), columns, 2.2)
    for panel, entry in zip(axes, pairs, strict=False):
        _draw(panel, curves, entry, "distance (nm)")
        panel.set_xlim(left=0.1, right=_last_occupied(curves, entry))
    for panel in axes[::columns]:
        panel.set_ylabel("pair density (nm⁻³)")
    for panel in axes[len(pairs) :]:
        panel.set_visible(False)
    axes[0].legend()
    return figure


def _draw(axes: Axes, curves: Mapping[str, np.ndarray], entry: Divergence, xlabel: str) -> None:
    prefix = f"{entry.kind}/{entry.label}"
    for side in SIDES:
        step_line(axes, curves[f"{prefix}/edges"], curves[f"{prefix}/{side}"], side)
    times = f" (×{entry.members})" if entry.members > 1 else ""
    axes.set_title(f"{entry.label}{times}\nJS {entry.js:.2g}, noise {entry.noise:.2g}")
    axes.title.set_fontsize(7.5)
    axes.set_xlabel(xlabel)


def _last_occupied(curves: Mapping[str, np.ndarray], entry: Divergence) -> float:
    prefix = f"{entry.kind}/{entry.label}"
    occupied = np.flatnonzero(curves[f"{prefix}/baseline"] + curves[f"{prefix}/hybrid"])
    last = int(occupied[-1]) + 3 if len(occupied) else 0
    edges = curves[f"{prefix}/edges"]
    return float(edges[min(last, len(edges) - 1)])


def _raise_ceiling(axes: Axes) -> None:
    """Room above the curves for the legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + 1.35 * (high - low))

"""Distributions of internal coordinates, pair densities, and dihedral free energies."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import SIDES, Divergence, MoleculeMetrics
from kstep.referee.report.figures.style import (
    SIDE_COLOURS,
    Curves,
    panels,
    panels_for,
    raise_ceiling,
    side_line,
    step_line,
)
from kstep.referee.report.reading import side_names

COLUMNS = 4
PROFILES_SHOWN = 6
_UNITS = {"bond": "nm", "angle": "degrees", "dihedral": "degrees"}


def coordinate_histograms(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """The bonds, angles and dihedrals that differ most, a row for each kind."""
    worst = {kind: _entries(molecule, curves, kind)[:COLUMNS] for kind in _UNITS}
    kinds = [kind for kind, entries in worst.items() if entries]
    if not kinds:
        return None
    columns = max(2, *(len(entries) for entries in worst.values()))
    figure, axes = panels(len(kinds), columns, 1.95)
    for row, kind in enumerate(kinds):
        own = axes[row * columns : (row + 1) * columns]
        for panel, entry in zip(own, worst[kind], strict=False):
            _draw(panel, curves, entry, molecule)
            panel.set_xlabel(f"{kind} ({_UNITS[kind]})")
            if kind == "dihedral":
                panel.set_xticks([-180, 0, 180])
        own[0].set_ylabel(f"probability (1/{'nm' if kind == 'bond' else 'degree'})")
        for panel in own[len(worst[kind]) :]:
            panel.set_visible(False)
    axes[0].legend(loc="upper left", fontsize=7, handlelength=1.4)
    raise_ceiling(axes[0])
    return figure


def pair_densities(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Pair density by element pair (the RDF of an isolated molecule), and all distances h(r)."""
    pairs = sorted(_entries(molecule, curves, "distance"), key=lambda entry: entry.label)
    whole = _entries(molecule, curves, "all distances")
    if not pairs and not whole:
        return None
    figure, axes = panels_for(len(pairs) + len(whole), 3, 2.3)
    for panel, entry in zip(axes, [*pairs, *whole], strict=True):
        _draw(panel, curves, entry, molecule)
        panel.set_xlabel("distance (nm)")
        panel.set_xlim(*_occupied(curves, entry))
        is_pair = entry.kind == "distance"
        panel.set_ylabel("pair density (nm⁻³)" if is_pair else "h(r) (1/nm)")
    axes[0].legend(loc="upper right")
    raise_ceiling(axes[0])
    return figure


def free_energies(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Free-energy profiles of dihedrals, with bands of one standard error."""
    listed = [c.label for c in molecule.structure.coordinates if f"fes/{c.label}/angle" in curves]
    labels = list(dict.fromkeys(listed))[:PROFILES_SHOWN]
    if not labels:
        return None
    figure, axes = panels_for(len(labels), 3, 2.3)
    for panel, label in zip(axes, labels, strict=True):
        angle, peaks = curves[f"fes/{label}/angle"], list[float]()
        for side, name in side_names(molecule).items():
            profile, error = curves[f"fes/{label}/{side}"], curves[f"fes/{label}/{side}_error"]
            peaks.append(float(np.nanmax(profile)))
            panel.fill_between(
                angle, profile - error, profile + error, color=SIDE_COLOURS[side], alpha=0.2, lw=0
            )
            side_line(panel, angle, profile, side, name)
        panel.set_title(label, fontsize=8)
        # By the profiles: the bands of bins that were hardly ever visited are enormous.
        panel.set_ylim(-0.08 * max(peaks), 1.3 * max(peaks))
        panel.set_xlim(-180.0, 180.0)
        panel.set_xticks([-180, -90, 0, 90, 180])
        panel.set_xlabel("dihedral (degrees)")
    axes[0].set_ylabel("free energy (kJ/mol)")
    axes[0].legend(loc="upper left", ncols=2)
    return figure


def _entries(molecule: MoleculeMetrics, curves: Curves, kind: str) -> list[Divergence]:
    """The coordinates of a kind that have curves, worst first."""
    return [
        entry
        for entry in molecule.structure.coordinates
        if entry.kind == kind and f"{kind}/{entry.label}/edges" in curves
    ]


def _draw(axes: Axes, curves: Curves, entry: Divergence, molecule: MoleculeMetrics) -> None:
    prefix = f"{entry.kind}/{entry.label}"
    for side, name in side_names(molecule).items():
        step_line(axes, curves[f"{prefix}/edges"], curves[f"{prefix}/{side}"], side, name)
    times = f" (×{entry.members})" if entry.members > 1 else ""
    axes.set_title(f"{entry.label}{times}\nJS {entry.js:.2g}, noise {entry.noise:.2g}")
    axes.title.set_fontsize(7.5)


def _occupied(curves: Curves, entry: Divergence) -> tuple[float, float]:
    """The range of distances that occur, with a little room."""
    prefix = f"{entry.kind}/{entry.label}"
    edges = curves[f"{prefix}/edges"]
    filled = np.flatnonzero(sum(curves[f"{prefix}/{side}"] for side in SIDES))
    if not len(filled):
        return float(edges[0]), float(edges[-1])
    first, last = max(0, int(filled[0]) - 2), min(int(filled[-1]) + 3, len(edges) - 1)
    return float(edges[first]), float(edges[last])

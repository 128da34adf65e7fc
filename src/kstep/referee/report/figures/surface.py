"""The free-energy surface over two torsions: both sides, and their difference in errors."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from kstep.referee.metrics import SIDES, MoleculeMetrics
from kstep.referee.report.figures.style import WIDTH, Curves
from kstep.referee.report.reading import side_names

CEILING = 20.0
"""Free energies above are shown alike, kJ/mol."""

FURTHEST = 4.0
"""Differences beyond are shown alike, standard errors."""


def free_energy_surfaces(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Maps of F of both sides, and of the difference over its standard error."""
    if "surface/angle" not in curves:
        return None
    figure = Figure(figsize=(WIDTH, 2.75))
    axes = figure.subplots(1, 3)
    names = side_names(molecule)
    for panel, side in zip(axes, SIDES, strict=False):
        image = _map(panel, curves[f"surface/{side}"], "viridis", 0.0, CEILING)
        panel.set_title(names[side])
    figure.colorbar(image, ax=axes[:2], label="free energy (kJ/mol)", shrink=0.85)
    errors = np.hypot(*(curves[f"surface/{side}_error"] for side in SIDES))
    difference = curves["surface/candidate"] - curves["surface/baseline"]
    with np.errstate(invalid="ignore", divide="ignore"):
        image = _map(axes[2], difference / errors, "RdBu_r", -FURTHEST, FURTHEST)
    axes[2].set_title("difference")
    figure.colorbar(image, ax=axes[2], label="standard errors", shrink=0.85)
    for panel in axes:
        panel.set_xlabel(f"{curves['surface/first']} (°)", fontsize=7.5)
    axes[0].set_ylabel(f"{curves['surface/second']} (°)", fontsize=7.5)
    return figure


def _map(axes: Axes, values: np.ndarray, colours: str, low: float, high: float) -> AxesImage:
    axes.grid(False)
    axes.set_xticks([-180, 0, 180])
    axes.set_yticks([-180, 0, 180])
    axes.set_aspect("equal")
    return axes.imshow(
        values.T, origin="lower", extent=(-180, 180, -180, 180), cmap=colours, vmin=low, vmax=high
    )

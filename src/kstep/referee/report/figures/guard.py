"""Calibration of the guard: what it sees of a jump against how wrong the jump is."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import MoleculeMetrics
from kstep.referee.report.figures.style import MARGIN_COLOUR, SIDE_COLOURS, Curves, panels

WORST_SHARE = 0.1
"""The jumps that a guard should refuse: this share of all, those with the largest true error."""


def guard_calibration(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """True error against the energy error; worst jumps caught against jumps refused."""
    if molecule.map is None or not len(curves.get("map/guard_energy", ())):
        return None
    energy, error = curves["map/guard_energy"], curves["map/true_error"]
    figure, (scatter, caught) = panels(1, 2, 2.8)
    _scatter(scatter, energy, error, curves["map/refused"].astype(bool))
    _caught(caught, energy, error)
    return figure


def _scatter(axes: Axes, energy: np.ndarray, error: np.ndarray, refused: np.ndarray) -> None:
    kinds = ((~refused, "o", SIDE_COLOURS["baseline"], "kept"),
             (refused, "x", SIDE_COLOURS["candidate"], "refused"))  # fmt: skip
    for chosen, marker, colour, label in kinds:
        axes.plot(
            np.abs(energy[chosen]), error[chosen], marker, color=colour, markersize=3.5, alpha=0.7,
            label=f"{label} ({int(chosen.sum())})",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("energy error, which the guard sees (kJ/mol)")
    axes.set_ylabel("true relative error\nof the velocities")
    axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")


def _caught(axes: Axes, energy: np.ndarray, error: np.ndarray) -> None:
    worst = error >= np.quantile(error, 1.0 - WORST_SHARE)
    order = np.argsort(-np.abs(energy), kind="stable")
    share = np.concatenate([[0.0], np.cumsum(worst[order]) / worst.sum()])
    refused = np.linspace(0.0, 100.0, len(share))
    axes.plot(refused, 100.0 * share, color=SIDE_COLOURS["candidate"], label="this guard")
    axes.plot([0, 100], [0, 100], color=MARGIN_COLOUR, linestyle=":", label="chance")
    axes.set_xlabel("jumps refused (%)")
    axes.set_ylabel(f"of the {WORST_SHARE:.0%} worst jumps,\nrefused (%)")
    axes.legend(loc="lower right")

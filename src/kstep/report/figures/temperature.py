"""Kinetic temperature and how it is shared out over the elements."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.evaluate.metrics import SIDES, ElementKinetics, Estimate, MoleculeMetrics
from kstep.report.figures.style import MARGIN_COLOUR, SIDE_COLOURS, panels, step_line

_MARKERS = {"baseline": "o", "hybrid": "s"}


def temperatures(molecule: MoleculeMetrics, curves: Mapping[str, np.ndarray]) -> Figure:
    """Histogram of the temperature, kinetic energy by element in NVT, and its shares in NVE."""
    elements = molecule.temperature.elements
    has_shares = any(element.nve_share is not None for element in elements)
    figure, axes = panels(1, 3 if has_shares else 2, 2.7)
    for side in SIDES:
        step_line(axes[0], curves["temperature/edges"], curves[f"temperature/{side}"], side)
    axes[0].axvline(molecule.temperature.target_K, color=MARGIN_COLOUR, linestyle=":")
    axes[0].set_xlabel("kinetic temperature, NVT (K)")
    axes[0].set_ylabel("probability (1/K)")
    axes[0].legend()
    _by_element(
        axes[1],
        elements,
        {side: [getattr(e.kinetic_energy, side) for e in elements] for side in SIDES},
        "kinetic energy, NVT\n(kJ/mol per atom)",
    )
    if has_shares:
        shares = {
            side: [None if e.nve_share is None else getattr(e.nve_share, side) for e in elements]
            for side in SIDES
        }
        label = "kinetic energy, NVE\n(relative to the mean atom)"
        _by_element(axes[2], elements, shares, label)
    return figure


def _by_element(
    axes: Axes,
    elements: Sequence[ElementKinetics],
    estimates: Mapping[str, Sequence[Estimate | None]],
    ylabel: str,
) -> None:
    for side, offset in zip(SIDES, (-0.12, 0.12), strict=True):
        for index, estimate in enumerate(estimates[side]):
            if estimate is not None:
                axes.errorbar(
                    index + offset,
                    estimate.value,
                    yerr=[[estimate.value - estimate.low], [estimate.high - estimate.value]],
                    color=SIDE_COLOURS[side],
                    marker=_MARKERS[side],
                    markersize=4.5,
                    capsize=3,
                )
    axes.set_xticks(range(len(elements)), [element.element for element in elements])
    axes.set_xlim(-0.6, len(elements) - 0.4)
    axes.set_xlabel("element")
    axes.set_ylabel(ylabel)

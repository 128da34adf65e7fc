"""All figures of the report, drawn from `metrics.json` and `curves.npz` alone.

`style` sets the look; one module per subject draws it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from kstep.evaluate.metrics import Metrics, MoleculeMetrics
from kstep.report.figures.basin import basin_arrivals
from kstep.report.figures.cost import costs
from kstep.report.figures.energy import drift_distributions, energy_traces
from kstep.report.figures.structure import coordinate_histograms, pair_densities
from kstep.report.figures.style import house_style, render
from kstep.report.figures.temperature import temperatures

FORMATS = ("png", "svg")
OVERVIEW = "drift"
"""Name of the one figure that shows all molecules."""


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    Attributes:
        name: file name without ending: `drift`, or `<molecule>_<subject>`.
        images: bytes by format.
    """

    name: str
    images: dict[str, bytes]


def draw_all(metrics: Metrics, curves: Mapping[str, np.ndarray]) -> Iterator[Drawing]:
    """Every figure the data allow, one at a time."""
    margin = float(metrics.config["eval"]["max_drift"])
    with house_style():
        overview = drift_distributions(metrics, margin)
        if overview is not None:
            yield _finish(OVERVIEW, overview)
        for molecule in metrics.molecules:
            prefix = f"{molecule.name}/"
            own = {k.removeprefix(prefix): v for k, v in curves.items() if k.startswith(prefix)}
            for subject, figure in _of_molecule(molecule, own):
                if figure is not None:
                    yield _finish(f"{molecule.name}_{subject}", figure)


def _of_molecule(
    molecule: MoleculeMetrics, curves: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, Figure | None]]:
    yield "energy", energy_traces(molecule, curves)
    yield "temperature", temperatures(molecule, curves)
    yield "coordinates", coordinate_histograms(molecule, curves)
    yield "rdf", pair_densities(molecule, curves)
    yield "cost", costs(molecule)
    yield "basin", basin_arrivals(molecule)


def _finish(name: str, figure: Figure) -> Drawing:
    return Drawing(name, {kind: render(figure, kind) for kind in FORMATS})

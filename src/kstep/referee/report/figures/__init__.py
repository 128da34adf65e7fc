"""All figures of the report, drawn from `metrics.json` and `curves.npz` alone.

`style` sets the look; one module per subject draws it. A figure whose data are missing is left
out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from kstep.referee.metrics import Metrics, MoleculeMetrics
from kstep.referee.report.figures.basin import basin_arrivals
from kstep.referee.report.figures.claims import checks_against_margins
from kstep.referee.report.figures.cost import costs
from kstep.referee.report.figures.dynamics import spectra, torsion_memory
from kstep.referee.report.figures.energy import drift_distributions, energy_traces
from kstep.referee.report.figures.ensemble import energy_ratio
from kstep.referee.report.figures.guard import guard_calibration
from kstep.referee.report.figures.methods import method_comparison
from kstep.referee.report.figures.structure import (
    coordinate_histograms,
    free_energies,
    pair_densities,
)
from kstep.referee.report.figures.style import Curves, house_style, render
from kstep.referee.report.figures.surface import free_energy_surfaces
from kstep.referee.report.figures.temperature import equipartition, temperatures
from kstep.referee.report.reading import Settings, settings_of

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


def draw_all(metrics: Metrics, curves: Curves) -> Iterator[Drawing]:
    """Every figure the data allow, one at a time."""
    with house_style():
        overview = drift_distributions(metrics)
        if overview is not None:
            yield _finish(OVERVIEW, overview)
        for molecule in metrics.molecules:
            own = curves_of_molecule(curves, molecule.name)
            for subject, figure in _of_molecule(molecule, own, settings_of(metrics)):
                if figure is not None:
                    yield _finish(f"{molecule.name}_{subject}", figure)


def curves_of_molecule(curves: Curves, name: str) -> Curves:
    """The curves of one molecule, without its name in front."""
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in curves.items() if k.startswith(prefix)}


def _of_molecule(
    molecule: MoleculeMetrics, curves: Curves, settings: Settings
) -> Iterator[tuple[str, Figure | None]]:
    yield "claims", checks_against_margins(molecule)
    yield "energy", energy_traces(molecule, curves)
    yield "temperature", temperatures(molecule, curves, settings)
    yield "equipartition", equipartition(molecule, settings)
    yield "ensemble", energy_ratio(molecule, curves)
    yield "coordinates", coordinate_histograms(molecule, curves)
    yield "rdf", pair_densities(molecule, curves)
    yield "fes", free_energies(molecule, curves)
    yield "surface", free_energy_surfaces(molecule, curves)
    yield "spectrum", spectra(molecule, curves)
    yield "memory", torsion_memory(molecule, curves)
    yield "guard", guard_calibration(molecule, curves)
    yield "cost", costs(molecule, settings)
    yield "methods", method_comparison(molecule)
    yield "basin", basin_arrivals(molecule)


def _finish(name: str, figure: Figure) -> Drawing:
    return Drawing(name, {kind: render(figure, kind) for kind in FORMATS})

"""Kinetic temperature and its share-out over the elements.

A constraint takes a degree of freedom from two atoms of different elements at once, so an
element's temperature has no simple formula. Its mean kinetic energy per atom needs none: at
equal temperature it must equal the baseline's. In NVE no temperature is set, so there the
element's share is compared: its kinetic energy per atom over that of all atoms.
"""

import numpy as np
from jaxtyping import Float

from kstep.evaluate.coordinates import symbol
from kstep.evaluate.metrics import SIDES, ElementKinetics, Estimate, Pair, TemperatureMetrics
from kstep.evaluate.sides import Side
from kstep.evaluate.statistics import correlated_mean, independent_mean, relative_error
from kstep.mechanics import internal_degrees_of_freedom, remove_centre_of_mass
from kstep.molecule import Molecule
from kstep.trajectory import Trajectory
from kstep.units import BOLTZMANN

TEMPERATURE_BINS = 50
MIN_WINDOWS = 3
"""NVE windows needed for an interval of their shares."""


def atomic_kinetic_energies(trajectory: Trajectory) -> Float[np.ndarray, "T N"]:
    """½ m v² of every atom with the centre of mass at rest, kJ/mol."""
    masses = trajectory.masses.astype(np.float64)
    velocities = remove_centre_of_mass(trajectory.vel.astype(np.float64), masses)
    return np.asarray(0.5 * masses * np.einsum("tni,tni->tn", velocities, velocities))


def compare_temperatures(
    molecule: Molecule, baseline: Side, hybrid: Side, target_K: float
) -> tuple[TemperatureMetrics, dict[str, np.ndarray]]:
    """Temperatures of both sides, whole and by element, and their histograms for the figures.

    Curves: `temperature/edges` (K) and `temperature/{baseline,hybrid}` (probability per K).
    """
    sides = (baseline, hybrid)
    energies = [atomic_kinetic_energies(side.trajectory) for side in sides]
    freedom = internal_degrees_of_freedom(molecule.n_atoms, len(molecule.constraints))
    to_kelvin = 2.0 / (freedom * BOLTZMANN)
    kelvin = [
        [to_kelvin * e[frames].sum(axis=1) for frames in side.nvt]
        for e, side in zip(energies, sides, strict=True)
    ]
    means = [correlated_mean(series) for series in kelvin]
    metrics = TemperatureMetrics(
        target_K=target_K,
        degrees_of_freedom=freedom,
        mean_K=_pair(means),
        error=_pair([_relative_to(mean, target_K) for mean in means]),
        elements=[
            _element(int(number), molecule.numbers, energies, sides)
            for number in np.unique(molecule.numbers)
        ],
    )
    return metrics, _histograms([np.concatenate(series) for series in kelvin])


def _element(
    number: int,
    numbers: np.ndarray,
    energies: list[Float[np.ndarray, "_ N"]],
    sides: tuple[Side, Side],
) -> ElementKinetics:
    atoms = np.flatnonzero(numbers == number)
    nvt = [
        correlated_mean([e[np.ix_(frames, atoms)].mean(axis=1) for frames in side.nvt])
        for e, side in zip(energies, sides, strict=True)
    ]
    shares = None
    if all(len(side.nve) >= MIN_WINDOWS for side in sides):
        shares = [
            independent_mean(np.array([e[np.ix_(f, atoms)].mean() / e[f].mean() for f in side.nve]))
            for e, side in zip(energies, sides, strict=True)
        ]
    return ElementKinetics(
        element=symbol(number),
        n_atoms=len(atoms),
        kinetic_energy=_pair(nvt),
        error=relative_error(nvt[1], nvt[0]),
        nve_share=None if shares is None else _pair(shares),
        nve_error=None if shares is None else relative_error(shares[1], shares[0]),
    )


def _pair(estimates: list[Estimate]) -> Pair[Estimate]:
    baseline, hybrid = estimates
    return Pair[Estimate](baseline=baseline, hybrid=hybrid)


def _relative_to(estimate: Estimate, reference: float) -> Estimate:
    value, low, high = (
        number / reference - 1.0 for number in (estimate.value, estimate.low, estimate.high)
    )
    return Estimate(value=value, low=low, high=high)


def _histograms(kelvin: list[Float[np.ndarray, " _"]]) -> dict[str, np.ndarray]:
    low, high = min(k.min() for k in kelvin), max(k.max() for k in kelvin)
    edges = np.linspace(low, np.nextafter(high, np.inf), TEMPERATURE_BINS + 1)
    histograms = [np.histogram(k, bins=edges, density=True)[0] for k in kelvin]
    return {
        "temperature/edges": edges,
        **{f"temperature/{s}": h for s, h in zip(SIDES, histograms, strict=True)},
    }

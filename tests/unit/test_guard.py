"""The guard: bounds on energies by the size of a molecule, on distances by the length of a jump."""

import numpy as np
import pytest

from kstep.config import GuardConfig
from kstep.integrators.guard import energy_is_kept, landing_is_sane

SCATTER = np.random.default_rng(0).normal(0.0, 2.5, (400, 400))
"""Independent errors of atoms, kJ/mol·√(atoms)⁻¹ of a molecule of 20."""


@pytest.mark.parametrize("n_atoms", [2, 13, 20])
def test_small_molecules_have_the_bounds_as_they_stand(n_atoms: int) -> None:
    config = GuardConfig(max_energy_error=4.0, max_energy_debt=9.0)
    error, debt = np.array([3.9, 4.1, -4.1, 1.0, np.nan]), np.array([0.0, 0.0, 0.0, -9.1, 0.0])
    kept = energy_is_kept(config, error, debt, n_atoms)
    assert kept.tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("column", [0, 1])
def test_bounds_grow_with_the_root_of_the_number_of_atoms(column: int) -> None:
    pair = [np.array([19.9, 20.1]), np.zeros(2)]
    kept = energy_is_kept(GuardConfig(), pair[column], pair[1 - column], 80)
    assert kept.tolist() == [True, False]


def test_errors_of_one_size_an_atom_are_refused_alike_in_every_molecule() -> None:
    refused = []
    for n_atoms in (20, 80, 400):
        error = SCATTER[:, :n_atoms].sum(1) / np.sqrt(20)
        kept = energy_is_kept(GuardConfig(max_energy_error=3.0), error, np.zeros(400), n_atoms)
        refused.append(1.0 - kept.mean())
    assert np.ptp(refused) < 0.1
    assert 0.15 < refused[0] < 0.35


def test_a_guard_that_is_off_lets_all_finite_energies_through() -> None:
    huge = np.array([1e9, np.inf])
    assert energy_is_kept(GuardConfig(enabled=False), huge, huge, 20).tolist() == [True, False]


@pytest.mark.parametrize(
    ("duration", "distance", "sane"),
    [(0.016, 0.59, True), (0.016, 0.61, False), (1.0, 9.0, True), (1.0, 11.0, False)],
)
def test_a_long_jump_may_lead_farther_from_free_flight(
    duration: float, distance: float, sane: bool
) -> None:
    """A hydrogen flies 2 nm in a ps: forces that turn it round take it as far from that."""
    flight = np.zeros((1, 2, 3))
    x = flight + np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
    found = landing_is_sane(GuardConfig(max_displacement_nm=0.6), flight, x, flight, duration)
    assert found.tolist() == [sane]

"""Momenta, energies and temperatures for any molecule and any state."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kstep.system.mechanics import (
    angular_momentum,
    centre_of_mass,
    cross,
    inertia_tensor,
    kinetic_energy,
    kinetic_temperature,
    maxwell_boltzmann,
    remove_centre_of_mass,
    with_momenta,
)


@st.composite
def states(draw, batch: bool = False):
    """(positions, velocities, masses) of 3 to 12 atoms, not all on one line."""
    n_atoms = draw(st.integers(3, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 4)), n_atoms, 3) if batch else (n_atoms, 3)
    masses = rng.choice([1.008, 12.011, 14.007, 15.999, 35.45], n_atoms)
    return rng.normal(0, 0.3, shape), rng.normal(0, 1.0, shape), masses


VECTORS = arrays(np.float64, (3,), elements=st.floats(-50, 50))


@given(states(batch=True), VECTORS, VECTORS)
def test_with_momenta_gives_exactly_the_momenta_asked_for(state, momentum, angular):
    x, v, masses = state
    wanted = np.broadcast_to(momentum, (len(x), 3)), np.broadcast_to(angular, (len(x), 3))
    fixed = with_momenta(x, v, masses, *wanted)
    np.testing.assert_allclose(masses.sum() * centre_of_mass(fixed, masses), wanted[0], atol=1e-9)
    scale = 1 + np.abs(fixed).max()
    np.testing.assert_allclose(angular_momentum(x, fixed, masses), wanted[1], atol=1e-8 * scale)


@given(states())
def test_with_momenta_adds_a_rigid_motion_only(state):
    """Distances do not feel it: relative velocities along every pair stay as they were."""
    x, v, masses = state
    added = with_momenta(x, v, masses, np.array([1.0, 2.0, 3.0]), np.ones(3)) - v
    pairs_x, pairs_v = x[:, None] - x[None], added[:, None] - added[None]
    along = np.einsum("ijk,ijk->ij", pairs_x, pairs_v)
    assert np.abs(along).max() < 1e-8 * (1 + np.abs(added).max())


def test_linear_molecules_keep_finite_velocities():
    x = np.array([[-0.1, 0, 0], [0, 0, 0], [0.1, 0, 0.0]])
    v = np.random.default_rng(0).normal(size=(3, 3))
    masses = np.array([16.0, 12.0, 16.0])
    fixed = with_momenta(x, v, masses, np.zeros(3), np.zeros(3))
    assert np.abs(fixed).max() < 10
    np.testing.assert_allclose(angular_momentum(x, fixed, masses), 0, atol=1e-9)


@given(states())
def test_koenigs_theorem(state):
    _, v, masses = state
    internal = kinetic_energy(remove_centre_of_mass(v, masses), masses)
    centre = 0.5 * masses.sum() * (centre_of_mass(v, masses) ** 2).sum()
    np.testing.assert_allclose(kinetic_energy(v, masses), internal + centre, rtol=1e-10)


@given(states(), VECTORS)
def test_rigid_rotation_has_the_angular_momentum_of_its_inertia(state, omega):
    x, _, masses = state
    arms = remove_centre_of_mass(x, masses)
    v = cross(omega[None], arms)
    expected = inertia_tensor(arms, masses) @ omega
    np.testing.assert_allclose(angular_momentum(x, v, masses), expected, atol=1e-8)


@given(VECTORS, VECTORS)
def test_cross_agrees_with_numpy(a, b):
    np.testing.assert_allclose(cross(a, b), np.cross(a, b))


def test_maxwell_boltzmann_has_its_temperature():
    masses = np.array([1.008, 12.011, 15.999])
    v = maxwell_boltzmann(np.random.default_rng(0), masses, 300.0, (200_000,))
    temperature = kinetic_temperature(v, masses, 9).mean()
    assert abs(temperature - 300.0) < 4 * 300.0 * np.sqrt(2 / 9 / 200_000)
    by_atom = (v**2).mean(axis=(0, 2)) * masses
    np.testing.assert_allclose(by_atom, by_atom.mean(), rtol=0.01)

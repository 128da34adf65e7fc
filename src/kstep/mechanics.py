"""Mechanics of point masses: momenta, energies, temperature, and putting them right.

All functions are pure and broadcast over leading dimensions (frames, replicas); arrays are
[..., N, 3] with masses [N], in nm, ps, Da, kJ/mol.
"""

import numpy as np
from jaxtyping import Float

from kstep.units import BOLTZMANN

Vectors = Float[np.ndarray, "*batch N 3"]
Masses = Float[np.ndarray, " N"]


def kinetic_energy(velocities: Vectors, masses: Masses) -> Float[np.ndarray, "*batch"]:
    """½ Σ m v², kJ/mol."""
    return np.asarray(0.5 * np.einsum("...ni,...ni,n->...", velocities, velocities, masses))


def centre_of_mass(vectors: Vectors, masses: Masses) -> Float[np.ndarray, "*batch 3"]:
    """Mass-weighted mean of positions (nm) or velocities (nm/ps)."""
    return np.asarray(np.einsum("...ni,n->...i", vectors, masses) / masses.sum())


def remove_centre_of_mass(vectors: Vectors, masses: Masses) -> Vectors:
    """Positions about the centre of mass, or velocities relative to it."""
    return np.asarray(vectors - centre_of_mass(vectors, masses)[..., None, :])


def angular_momentum(
    positions: Vectors, velocities: Vectors, masses: Masses
) -> Float[np.ndarray, "*batch 3"]:
    """Angular momentum about the centre of mass, Da·nm²/ps."""
    arms = remove_centre_of_mass(positions, masses)
    return np.asarray(np.einsum("n,...ni->...i", masses, np.cross(arms, velocities)))


def inertia_tensor(positions: Vectors, masses: Masses) -> Float[np.ndarray, "*batch 3 3"]:
    """Inertia tensor about the centre of mass, Da·nm²."""
    arms = remove_centre_of_mass(positions, masses)
    outer = np.einsum("n,...ni,...nj->...ij", masses, arms, arms)
    trace = np.trace(outer, axis1=-2, axis2=-1)
    return np.asarray(trace[..., None, None] * np.eye(3) - outer)


def with_momenta(
    positions: Vectors,
    velocities: Vectors,
    masses: Masses,
    momentum: Float[np.ndarray, "*batch 3"],
    angular: Float[np.ndarray, "*batch 3"],
) -> Vectors:
    """The velocities nearest to the given ones that have these linear and angular momenta.

    Nearest in the mass-weighted norm: a rigid translation and rotation are added. The rotation
    is ω = I⁻¹ ΔL; the pseudo-inverse leaves linear molecules' missing axis alone.

    Args:
        positions: nm.
        velocities: nm/ps.
        masses: Da.
        momentum: wanted total momentum, Da·nm/ps.
        angular: wanted angular momentum about the centre of mass, Da·nm²/ps.
    """
    drift = momentum / masses.sum() - centre_of_mass(velocities, masses)
    shifted = velocities + drift[..., None, :]
    missing = angular - angular_momentum(positions, shifted, masses)
    inverse = np.linalg.pinv(inertia_tensor(positions, masses), rcond=1e-10, hermitian=True)
    omega = np.einsum("...ij,...j->...i", inverse, missing)
    arms = remove_centre_of_mass(positions, masses)
    return np.asarray(shifted + np.cross(omega[..., None, :], arms))


def internal_degrees_of_freedom(n_atoms: int, n_constraints: int) -> int:
    """Degrees of freedom of the velocities once the centre of mass is at rest."""
    return 3 * n_atoms - n_constraints - 3


def kinetic_temperature(
    velocities: Vectors, masses: Masses, degrees_of_freedom: int
) -> Float[np.ndarray, "*batch"]:
    """2 K / (f k_B), K; the velocities must be free of whatever `degrees_of_freedom` leaves out."""
    return np.asarray(2.0 * kinetic_energy(velocities, masses) / (degrees_of_freedom * BOLTZMANN))


def maxwell_boltzmann(
    rng: np.random.Generator, masses: Masses, temperature: float, batch: tuple[int, ...] = ()
) -> Vectors:
    """Velocities drawn from the canonical distribution of unconstrained atoms, nm/ps.

    Constraints are for the caller: the mass-weighted projection onto their tangent space
    (OpenMM's `applyVelocityConstraints`) turns this into the constrained distribution.
    """
    width = np.sqrt(BOLTZMANN * temperature / masses)[:, None]
    return np.asarray(rng.standard_normal((*batch, len(masses), 3)) * width)

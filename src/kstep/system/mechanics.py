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
    return np.asarray(masses @ vectors / masses.sum())


def remove_centre_of_mass(vectors: Vectors, masses: Masses) -> Vectors:
    """Positions about the centre of mass, or velocities relative to it."""
    return np.asarray(vectors - centre_of_mass(vectors, masses)[..., None, :])


def cross(a: Float[np.ndarray, "*a 3"], b: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*c 3"]:
    """Cross product over the last axis; many times faster on small arrays than `numpy.cross`."""
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)


def angular_momentum(
    positions: Vectors, velocities: Vectors, masses: Masses
) -> Float[np.ndarray, "*batch 3"]:
    """Angular momentum about the centre of mass, Da·nm²/ps."""
    arms = remove_centre_of_mass(positions, masses)
    return np.asarray(masses @ cross(arms, velocities))


def inertia_tensor(arms: Vectors, masses: Masses) -> Float[np.ndarray, "*batch 3 3"]:
    """Inertia tensor about the origin of `arms` (the centre of mass, usually), Da·nm²."""
    outer = np.swapaxes(arms, -1, -2) @ (masses[:, None] * arms)
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

    Nearest in the mass-weighted norm: a rigid translation and the rotation ω = I⁻¹ ΔL are
    added. A trace-sized 1e-12 on the diagonal keeps I⁻¹ finite for linear molecules, about
    whose axis there is nothing to put right.

    Args:
        positions: nm.
        velocities: nm/ps.
        masses: Da.
        momentum: wanted total momentum, Da·nm/ps.
        angular: wanted angular momentum about the centre of mass, Da·nm²/ps.
    """
    arms = remove_centre_of_mass(positions, masses)
    drift = momentum / masses.sum() - centre_of_mass(velocities, masses)
    missing = angular - masses @ cross(arms, velocities)
    inertia = inertia_tensor(arms, masses)
    ridge = 1e-12 * np.trace(inertia, axis1=-2, axis2=-1)[..., None, None] * np.eye(3)
    omega = np.linalg.solve(inertia + ridge, missing[..., None])[..., 0]
    rigid = drift[..., None, :] + cross(omega[..., None, :], arms)
    return np.asarray(velocities + rigid)


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

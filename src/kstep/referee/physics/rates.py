"""Rates of change of bonds and angles from velocities: what makes a stiffness of a width.

For a harmonic coordinate q the RMS rate over the RMS displacement is its angular frequency. Both
scatter with the energy of the vibration, their ratio does not, so it tells a wrong force constant
or a wrong velocity from few frames.
"""

import numpy as np
from jaxtyping import Float, Int


def bond_rates(
    positions: Float[np.ndarray, "T N 3"],
    velocities: Float[np.ndarray, "T N 3"],
    bonds: Int[np.ndarray, "members 2"],
) -> Float[np.ndarray, "T members"]:
    """d|r|/dt of every bond, nm/ps."""
    first, second = bonds.T
    arms = positions[:, second] - positions[:, first]
    relative = velocities[:, second] - velocities[:, first]
    along = np.einsum("tmi,tmi->tm", arms, relative)
    return np.asarray(along / np.sqrt(np.einsum("tmi,tmi->tm", arms, arms)))


def angle_rates(
    positions: Float[np.ndarray, "T N 3"],
    velocities: Float[np.ndarray, "T N 3"],
    angles: Int[np.ndarray, "members 3"],
) -> Float[np.ndarray, "T members"]:
    """dθ/dt of every angle, degrees/ps.

    From cos θ = u·w of the unit arms: dθ/dt = -(u̇·w + u·ẇ) / sin θ, and u̇ is the part of the
    relative velocity across u, over the arm's length.
    """
    first, centre, last = angles.T
    cosine = np.zeros((len(positions), len(angles)))
    turning = np.zeros_like(cosine)
    units, lengths, relative = [], [], []
    for end in (first, last):
        arms = positions[:, end] - positions[:, centre]
        length = np.sqrt(np.einsum("tmi,tmi->tm", arms, arms))
        units.append(arms / length[..., None])
        lengths.append(length)
        relative.append(velocities[:, end] - velocities[:, centre])
    cosine = np.einsum("tmi,tmi->tm", *units)
    for own, other in ((0, 1), (1, 0)):
        across = units[other] - cosine[..., None] * units[own]
        turning += np.einsum("tmi,tmi->tm", across, relative[own]) / lengths[own]
    sine = np.sqrt(np.clip(1.0 - cosine**2, 1e-12, None))
    return np.asarray(np.degrees(-turning / sine))

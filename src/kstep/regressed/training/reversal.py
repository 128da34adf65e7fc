"""Time-reversed windows: the same trajectory run backwards, which teaches reversibility.

A window from (x_t, v_t) to t + k steps gives one from (x_tk, −v_tk) to (x_t, −v_t). With the
half-step landing the reversed path goes on for half a step beyond t, that is to the leapfrog
velocity between t − 1 and t, reversed:

    u = −v_t + dt/2 (F/m + constraint forces) = v_t_half − 2 v_t + bond corrections

The corrections are there because the constraint forces of the step forwards and of the step
backwards from t differ slightly. They act along the bonds at x_t, and are what puts
x_t + dt u back on the constraints. Left out, they would be an error of 1–2 % of Δv.
"""

import numpy as np
from jaxtyping import Float, Int

RIGID_NM = 1e-5
"""A pair of atoms whose distance varies less than this over all windows is constrained, nm."""
SWEEPS = 30
TOLERANCE_NM = 1e-9


def rigid_pairs(x: Float[np.ndarray, "W N 3"]) -> Int[np.ndarray, "C 2"]:
    """Pairs of atoms at a constant distance: the constraints, as the data show them.

    A single window shows nothing, so it has none.
    """
    n_atoms = x.shape[1]
    first, second = np.triu_indices(n_atoms, 1)
    if len(x) < 2:
        return np.empty((0, 2), dtype=np.int64)
    sample = x[:: max(1, len(x) // 1000)].astype(np.float64)
    distance = np.linalg.norm(sample[:, first] - sample[:, second], axis=-1)
    rigid = np.ptp(distance, axis=0) < RIGID_NM
    return np.stack((first[rigid], second[rigid]), axis=1)


def reversed_half_velocity(
    x: Float[np.ndarray, "W N 3"],
    v: Float[np.ndarray, "W N 3"],
    v_half: Float[np.ndarray, "W N 3"],
    masses: Float[np.ndarray, " N"],
    dt: float,
) -> Float[np.ndarray, "W N 3"]:
    """Leapfrog velocity of the reversed path, half a step beyond (x, −v), nm/ps.

    Solved like SHAKE: the constraints are visited in turn until all bonds of x + dt·u have
    their length.
    """
    pairs = rigid_pairs(x)
    start = x.astype(np.float64)
    u = v_half.astype(np.float64) - 2.0 * v.astype(np.float64)
    if len(pairs) == 0:
        return u
    inverse = 1.0 / masses
    bonds = start[:, pairs[:, 0]] - start[:, pairs[:, 1]]  # [W, C, 3]
    lengths = np.mean(np.sum(bonds**2, axis=-1), axis=0)  # squared
    for _ in range(SWEEPS):
        worst = 0.0
        for number, (i, j) in enumerate(pairs):
            bond = bonds[:, number]
            now = bond + dt * (u[:, i] - u[:, j])
            excess = np.sum(now**2, axis=-1) - lengths[number]
            slope = 2.0 * dt * (inverse[i] + inverse[j]) * np.sum(now * bond, axis=-1)
            pull = (excess / slope)[:, None] * bond
            u[:, i] -= inverse[i] * pull
            u[:, j] += inverse[j] * pull
            worst = max(worst, float(np.max(np.abs(excess))))
        if worst < TOLERANCE_NM * np.sqrt(lengths.max()):
            break
    return u

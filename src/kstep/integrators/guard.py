"""The guard: no jump that is not finite, goes too far or breaks the energy gets through."""

import math

import numpy as np
from jaxtyping import Bool, Float

from kstep.config import GUARDED_ATOMS, GuardConfig
from kstep.integrators.state import Replicas

SHORT_PS = 0.08
"""Jumps up to here have the bound on displacements as it stands."""

FASTEST = 10.0
"""nm/ps, of an atom: four times a hydrogen's thermal velocity. A jump longer than `SHORT_PS` may
lead as much farther from free flight as that takes an atom in the rest of its time."""


def landing_is_sane(
    config: GuardConfig, free_flight: Replicas, x: Replicas, v: Replicas, duration: float
) -> Bool[np.ndarray, " R"]:
    """Before any force is spent: finite, and no atom too far from its free flight.

    Args:
        config: the bound for short jumps, nm.
        free_flight: where atoms would be without forces, nm.
        x: where they are, nm.
        v: nm/ps.
        duration: of the jump, ps.
    """
    finite = np.isfinite(x).all(axis=(1, 2)) & np.isfinite(v).all(axis=(1, 2))
    if not config.enabled:
        return np.asarray(finite)
    distance = np.linalg.norm(np.where(np.isfinite(x), x, 0.0) - free_flight, axis=-1)
    farthest = config.max_displacement_nm + FASTEST * max(duration - SHORT_PS, 0.0)
    return np.asarray(finite & (distance.max(axis=1) <= farthest))


def energy_is_kept(
    config: GuardConfig,
    error: Float[np.ndarray, " R"],
    debt: Float[np.ndarray, " R"],
    n_atoms: int,
) -> Bool[np.ndarray, " R"]:
    """After the corrector: finite, and the energy within the stated bounds (kJ/mol).

    `error` is what this macro-step changed the total energy by, `debt` what all of them would
    have with it. The second bound stops what the first cannot see: many small errors of one
    sign. Errors of many atoms add up like independent ones, and so do the bounds.
    """
    finite = np.isfinite(error)
    if not config.enabled:
        return np.asarray(finite)
    size = math.sqrt(max(1.0, n_atoms / GUARDED_ATOMS))
    small = np.abs(error) <= size * config.max_energy_error
    return np.asarray(finite & small & (np.abs(debt) <= size * config.max_energy_debt))

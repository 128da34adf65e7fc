"""The guard: no jump that is not finite, goes too far or breaks the energy gets through."""

import numpy as np
from jaxtyping import Bool, Float

from kstep.config import GuardConfig
from kstep.hybrid.state import Replicas


def landing_is_sane(
    config: GuardConfig, free_flight: Replicas, x: Replicas, v: Replicas
) -> Bool[np.ndarray, " R"]:
    """Before any force is spent: finite, and no atom too far (nm) from its free flight."""
    finite = np.isfinite(x).all(axis=(1, 2)) & np.isfinite(v).all(axis=(1, 2))
    if not config.enabled:
        return np.asarray(finite)
    distance = np.linalg.norm(np.where(np.isfinite(x), x, 0.0) - free_flight, axis=-1)
    return np.asarray(finite & (distance.max(axis=1) <= config.max_displacement_nm))


def energy_is_kept(
    config: GuardConfig, before: Float[np.ndarray, " R"], after: Float[np.ndarray, " R"]
) -> Bool[np.ndarray, " R"]:
    """After the corrector: finite, and the total energy (kJ/mol) within the stated bound."""
    finite = np.isfinite(after)
    if not config.enabled:
        return np.asarray(finite)
    return np.asarray(finite & (np.abs(after - before) <= config.max_energy_error))

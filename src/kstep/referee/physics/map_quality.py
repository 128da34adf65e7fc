"""The macro-step as a map of phase space, from the file that a hybrid run leaves of it."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy import stats

from kstep.artifacts import read_npz
from kstep.errors import ArtifactError
from kstep.referee.metrics import MapMetrics
from kstep.referee.statistics.estimates import mean_of

SCHEMA = "kstep.map"
SCHEMA_VERSION = 1
WORST = 0.1
"""Share of jumps that the guard ought to catch."""

MIN_GUARD_STATES = 20
"""Fewer have no worst tenth to speak of, and no rank correlation."""

_MAP = ("reversal_x", "reversal_v", "symplectic_defect", "log_det")
_GUARD = ("guard_energy", "true_error_x", "true_error_v", "refused")

Curves = dict[str, np.ndarray]


def map_quality(path: Path) -> tuple[MapMetrics | None, Curves]:
    """Reversibility, volume and symplecticity of a run's map, and how well its guard judges.

    Curves: `map/{guard_energy,true_error,refused}` by state: size of the energy error (kJ/mol),
    true relative error of the velocities, and whether the guard refused the jump.

    States at which the map leads to no finite numbers are left out, and counted neither as
    samples nor as guard samples. Metrics are None without a file or with fewer than two states.

    Raises ArtifactError when the file is not what it should be.
    """
    if not path.is_file():
        return None, {}
    arrays, _ = read_npz(path, SCHEMA, SCHEMA_VERSION, (*_MAP, *_GUARD))
    measured = _finite(path, arrays, _MAP)
    guarded = _finite(path, arrays, _GUARD)
    energy, error = np.abs(guarded["guard_energy"]), guarded["true_error_v"]
    curves = {
        "map/guard_energy": energy,
        "map/true_error": error,
        "map/refused": guarded["refused"].astype(bool),
    }
    if len(measured["log_det"]) < 2 or len(error) < 2:
        return None, curves
    means = {name: mean_of(values).estimate() for name, values in measured.items()}
    metrics = MapMetrics(
        samples=len(measured["log_det"]),
        guard_samples=len(error),
        guard_rank=_rank(energy, error),
        guard_caught=_caught(energy, error),
        true_error=mean_of(error).estimate(),
        **means,
    )
    return metrics, curves


def _finite(
    path: Path, arrays: dict[str, np.ndarray], names: tuple[str, ...]
) -> dict[str, Float[np.ndarray, " S"]]:
    """The named arrays at the states where all of them are finite."""
    if len({arrays[name].shape for name in names}) > 1 or arrays[names[0]].ndim != 1:
        raise ArtifactError(
            f"{path} has arrays of different lengths: delete it and run `kstep run` again."
        )
    if any(arrays[name].dtype.kind not in "bfiu" for name in names):
        raise ArtifactError(
            f"{path} has arrays that are not of numbers: delete it and run `kstep run` again."
        )
    chosen = {name: arrays[name].astype(np.float64) for name in names}
    whole = np.flatnonzero(np.isfinite(np.stack(list(chosen.values()))).all(axis=0))
    return {name: values[whole] for name, values in chosen.items()}


def _rank(energy: Float[np.ndarray, " S"], error: Float[np.ndarray, " S"]) -> float | None:
    """Spearman's correlation; None where there is nothing to order."""
    if len(error) < MIN_GUARD_STATES or np.ptp(energy) == 0.0 or np.ptp(error) == 0.0:
        return None
    return float(stats.spearmanr(energy, error).statistic)


def _caught(energy: Float[np.ndarray, " S"], error: Float[np.ndarray, " S"]) -> float | None:
    """Share of the worst tenth that is among the tenth with the largest energy errors."""
    if len(error) < MIN_GUARD_STATES:
        return None
    count = round(WORST * len(error))
    worst, suspected = (set(np.argsort(values)[-count:].tolist()) for values in (error, energy))
    return len(worst & suspected) / count

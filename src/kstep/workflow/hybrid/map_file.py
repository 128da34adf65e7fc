"""The file `<name>.map.npz`: the quality of a run's map, measured along its trajectory."""

from pathlib import Path

import numpy as np

from kstep.artifacts import Record, read_npz, write_npz
from kstep.integrators.map_quality import BareMap, volume_and_defect
from kstep.system.trajectory import NVE, NVT, Trajectory
from kstep.workflow.hybrid.setup import HybridRun

SCHEMA = "kstep.map"
SCHEMA_VERSION = 1
GUARD_STATES = 64
"""States at which the guard is held against the truth."""

_KEYS = ("reversal_x", "reversal_v", "symplectic_defect", "log_det",
         "guard_energy", "true_error_x", "true_error_v", "refused")  # fmt: skip


def map_of(trajectory: Path) -> Path:
    """Where the map's quality of a trajectory file lies."""
    return trajectory.with_name(f"{trajectory.name.removesuffix('.npz')}.map.npz")


def load_map_record(path: Path) -> Record:
    """The record of such a file; ArtifactError when it is not whole."""
    return read_npz(path, SCHEMA, SCHEMA_VERSION, _KEYS)[1]


def save_map(run: HybridRun, trajectory: Trajectory, own: Record, path: Path) -> None:
    """Measure at states of a run's trajectory and write the file.

    Reversal, volume and symplecticity at `hybrid.map_samples` states, the guard at up to 64,
    spread over the NVT frames at the first temperature (over its NVE frames if there are none).
    The record takes in `own`, and the true-force calls that the measurement cost.
    """
    run.sampler.forget()  # a resumed run begins here
    hybrid, calls = run.config.hybrid, run.dynamics.calls
    kelvin = hybrid.temperatures[0]
    frames = np.concatenate(trajectory.segments(NVT, kelvin) or trajectory.segments(NVE, kelvin))
    bare = BareMap(run.jump, run.dynamics, hybrid, run.molecule.constraints)
    x, v = _states(trajectory, frames, hybrid.map_samples)
    reversal_x, reversal_v = bare.reversal(x, v)
    found = [volume_and_defect(bare.jacobian(*state, kelvin)) for state in zip(x, v, strict=True)]
    guard = bare.guard_calibration(*_states(trajectory, frames, GUARD_STATES))
    arrays = {
        "reversal_x": reversal_x,
        "reversal_v": reversal_v,
        "log_det": np.array([log_det for log_det, _ in found]),
        "symplectic_defect": np.array([defect for _, defect in found]),
        "guard_energy": guard.energy,
        "true_error_x": guard.error_x,
        "true_error_v": guard.error_v,
        "refused": guard.refused,
    }
    record = {
        **run.record,
        **own,
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "map_samples": hybrid.map_samples,
        "temperature_K": kelvin,
        "true_force_calls": run.dynamics.calls - calls,
    }
    write_npz(path, arrays, record)


def _states(
    trajectory: Trajectory, frames: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(x, v) of at most `count` of the frames, spread evenly."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(np.int64)
    return trajectory.pos[frames[chosen]], trajectory.vel[frames[chosen]]

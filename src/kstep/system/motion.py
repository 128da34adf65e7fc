"""Densely saved NVE windows: the velocities that vibrational spectra are made of.

They lie beside a trajectory, as `<name>.motion.npz`: a frame for every step that the integrator
takes (a base step of the baseline, a macro-step of the hybrid), too many for the trajectory.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from kstep.artifacts import Record, read_npz, write_npz
from kstep.errors import ArtifactError

SCHEMA = "kstep.motion"
SCHEMA_VERSION = 1
_KEYS = {"vel": "vel", "epot": "Epot", "ekin": "Ekin", "spacing": "spacing_ps"}


@dataclass(frozen=True, eq=False)
class Motion:
    """Velocities and energies of NVE windows at equal spacing.

    Attributes:
        vel: nm/ps, synchronous with the potential energy [W, F, N, 3].
        epot, ekin: kJ/mol [W, F].
        spacing: time between frames, ps.
        record: provenance, as the trajectory's.
    """

    vel: Float32[np.ndarray, "W F N 3"]
    epot: Float[np.ndarray, "W F"]
    ekin: Float[np.ndarray, "W F"]
    spacing: float
    record: Record

    def every(self, stride: int) -> "Motion":
        """The same with only every `stride`-th frame."""
        return Motion(
            self.vel[:, ::stride],
            self.epot[:, ::stride],
            self.ekin[:, ::stride],
            self.spacing * stride,
            self.record,
        )

    def save(self, path: Path) -> None:
        """Write as NPZ."""
        arrays = {"vel": self.vel, "Epot": self.epot, "Ekin": self.ekin}
        write_npz(path, {**arrays, "spacing_ps": np.array(self.spacing)}, self.record)


def motion_of(trajectory: Path) -> Path:
    """Where the motion of a trajectory file lies."""
    return trajectory.with_name(f"{trajectory.name.removesuffix('.npz')}.motion.npz")


def motion_record(**content: object) -> Record:
    """The record of a motion file: its schema and what the caller knows of its provenance."""
    return {**content, "schema": SCHEMA, "schema_version": SCHEMA_VERSION}


def load_motion(path: Path) -> Motion:
    """Read a motion file and check that it is whole.

    Raises ArtifactError for a missing, truncated or foreign file, for arrays of another type or
    whose lengths disagree, for values that are not finite, for a spacing that is not positive and
    where there is no window of two frames.
    """
    arrays, record = read_npz(path, SCHEMA, SCHEMA_VERSION, _KEYS.values())
    vel, epot, ekin, spacing = (arrays[key] for key in ("vel", "Epot", "Ekin", "spacing_ps"))
    if vel.dtype != np.float32 or any(a.dtype.kind != "f" for a in (epot, ekin, spacing)):
        raise ArtifactError(
            f"{path} has arrays of the wrong type: delete it and run its stage again."
        )
    if vel.ndim != 4 or not vel.shape[:2] == epot.shape == ekin.shape:
        raise ArtifactError(
            f"{path} has arrays of different lengths: delete it and run its stage again."
        )
    if not (np.isfinite(vel).all() and np.isfinite(epot).all() and np.isfinite(ekin).all()):
        raise ArtifactError(
            f"{path} holds values that are not finite: delete it and run its stage again."
        )
    if spacing.shape != () or not 0.0 < spacing < np.inf:
        raise ArtifactError(
            f"{path} holds spacing_ps={spacing}, not one positive time: "
            "delete it and run its stage again."
        )
    n_windows, n_frames = epot.shape
    if n_windows < 1 or n_frames < 2:
        raise ArtifactError(
            f"{path} holds {n_windows} windows of {n_frames} frames, 1 window of 2 is needed: "
            "lengthen motion.window_ps, delete it and run its stage again."
        )
    return Motion(vel, epot, ekin, float(spacing), record)

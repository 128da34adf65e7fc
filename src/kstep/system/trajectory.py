"""The one trajectory type: baseline and hybrid write it, the evaluation reads it.

Because both have the same type, nothing downstream can treat one more kindly than the other.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from kstep.artifacts import Record, read_npz, write_npz
from kstep.errors import ArtifactError

SCHEMA = "kstep.trajectory"
SCHEMA_VERSION = 2
NVT, NVE, NVE_RESCALED = 0, 1, 2
"""Values of `segment_kind`: constant-temperature sampling, constant-energy window, and the same
with velocities rescaled to the energy after every macro-step."""

_KEYS = {
    "pos": "pos", "vel": "vel", "box": "box", "epot": "Epot", "ekin": "Ekin", "etot": "Etot",
    "times": "times_ps", "segment": "segment", "segment_kind": "segment_kind",
    "segment_temperature": "segment_temperature_K",
    "force_calls": "force_calls", "numbers": "numbers", "masses": "masses",
}  # fmt: skip
_WHOLE = ("segment", "segment_kind", "force_calls", "numbers")
"""Fields of whole numbers; the others are real."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Saved states of one molecule, possibly in several segments and replicas.

    A *segment* is a stretch of consecutive frames of one replica in one ensemble. Positions,
    velocities and energies of a frame belong to the same instant.

    Attributes:
        pos: nm [T, N, 3].
        vel: nm/ps [T, N, 3], synchronous with `pos`; NaN where `has_velocities` is false, and
            with them `ekin` and `etot`.
        box: box vectors, nm [T, 3, 3]; zeros for an isolated molecule.
        epot, ekin, etot: kJ/mol [T].
        times: ps since the start of the frame's segment [T].
        segment: index of the frame's segment [T], non-decreasing from 0.
        segment_kind: `NVT`, `NVE` or `NVE_RESCALED` for every segment [S].
        segment_temperature: of the thermostat, or of the ensemble it started from, K [S].
        force_calls: true-force evaluations spent within the segment up to the frame [T].
        numbers: atomic numbers [N].
        masses: Da [N].
        record: provenance (schema, molecule, config hash, seeds, versions).
    """

    pos: Float[np.ndarray, "T N 3"]
    vel: Float[np.ndarray, "T N 3"]
    box: Float[np.ndarray, "T 3 3"]
    epot: Float[np.ndarray, " T"]
    ekin: Float[np.ndarray, " T"]
    etot: Float[np.ndarray, " T"]
    times: Float[np.ndarray, " T"]
    segment: Int[np.ndarray, " T"]
    segment_kind: Int[np.ndarray, " S"]
    segment_temperature: Float[np.ndarray, " S"]
    force_calls: Int[np.ndarray, " T"]
    numbers: Int[np.ndarray, " N"]
    masses: Float[np.ndarray, " N"]
    record: Record

    def trajectory(self) -> "Trajectory":
        """Itself: whatever has frames gives them by this name."""
        return self

    @property
    def n_frames(self) -> int:
        """Number of saved frames over all segments."""
        return len(self.times)

    @property
    def has_velocities(self) -> bool:
        """Whether the file they came from held velocities (DCD and XTC never do)."""
        return bool(self.record.get("velocities", True))

    def segments(self, kind: int, temperature: float | None = None) -> list[np.ndarray]:
        """Frame indices of every segment of one kind, in order; of one temperature if given."""
        right = self.segment_kind == kind
        if temperature is not None:
            right &= self.segment_temperature == temperature
        wanted = np.flatnonzero(right)
        return [np.flatnonzero(self.segment == index) for index in wanted]

    def frames(self, kind: int) -> Int[np.ndarray, " F"]:
        """Indices of all frames of one kind."""
        return np.flatnonzero(self.segment_kind[self.segment] == kind)

    def save(self, path: Path, extra: dict[str, np.ndarray] | None = None) -> None:
        """Write as NPZ; `extra` arrays (bursts, quenched energies) travel in the same file."""
        arrays = {key: getattr(self, field) for field, key in _KEYS.items()}
        write_npz(path, {**arrays, **(extra or {})}, self.record)


def trajectory_record(**content: object) -> Record:
    """The record of a trajectory: its schema and what the caller knows of its provenance."""
    return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **content}


def load_trajectory(path: Path) -> Trajectory:
    """Read a trajectory and check that it is whole.

    Raises ArtifactError for a missing, truncated or foreign file, for arrays of another type or
    whose lengths disagree, for values that are not finite, and for segments, times or entries of
    the record that no run leaves.
    """
    arrays, record = read_npz(path, SCHEMA, SCHEMA_VERSION, _KEYS.values())
    content = {field: arrays[key] for field, key in _KEYS.items()}
    _check_arrays(path, content)
    _check_record(path, record)
    trajectory = Trajectory(**content, record=record)
    _check_segments(path, trajectory)
    measured = ("vel", "ekin") if trajectory.has_velocities else ()
    for name in ("pos", "epot", *measured):
        if not np.isfinite(content[name]).all():
            raise ArtifactError(
                f"{path} holds values of {_KEYS[name]} that are not finite: "
                "delete it and run its stage again with a shorter time step."
            )
    return trajectory


def _check_arrays(path: Path, content: dict[str, np.ndarray]) -> None:
    """Type and shape of every array, before anything is computed from it."""
    for name, values in content.items():
        if values.dtype.kind not in ("iu" if name in _WHOLE else "f"):
            raise ArtifactError(
                f"{path} holds {_KEYS[name]} of type {values.dtype}: "
                "delete it and run its stage again."
            )
    n_frames, n_atoms = content["times"].size, content["masses"].size
    per_atom, per_segment = (n_atoms,), (content["segment_kind"].size,)
    shapes = {
        "pos": (n_frames, n_atoms, 3), "vel": (n_frames, n_atoms, 3), "box": (n_frames, 3, 3),
        "numbers": per_atom, "masses": per_atom,
        "segment_kind": per_segment, "segment_temperature": per_segment,
    }  # fmt: skip
    if any(values.shape != shapes.get(name, (n_frames,)) for name, values in content.items()):
        raise ArtifactError(
            f"{path} has arrays of different lengths: delete it and run its stage again."
        )


def _check_segments(path: Path, trajectory: Trajectory) -> None:
    """Every segment has frames, in order, at times that increase and at a temperature."""
    segment, count = trajectory.segment, len(trajectory.segment_kind)
    steps = np.diff(segment)
    if not len(segment):
        wrong = "holds no frames"
    elif not np.array_equal(segment[[0, -1]], [0, count - 1]):
        wrong = f"does not number its {count} segments from 0 to {count - 1}"
    elif not np.isin(steps, (0, 1)).all():
        wrong = "has segments that are out of order or without frames"
    elif not np.isin(trajectory.segment_kind, (NVT, NVE, NVE_RESCALED)).all():
        wrong = "has segments of an unknown kind"
    elif not _positive(trajectory.segment_temperature.tolist()):
        wrong = "has segments whose temperature is not a positive number"
    elif not np.isfinite(trajectory.times).all():
        wrong = "holds times that are not finite"
    elif not (np.diff(trajectory.times)[steps == 0] > 0.0).all():
        wrong = "holds times that do not increase within a segment"
    else:
        return
    raise ArtifactError(f"{path} {wrong}: delete it and run its stage again.")


def _check_record(path: Path, record: Record) -> None:
    """Temperatures and time step, where the record tells them, are numbers to reckon with."""
    temperatures = record.get("temperatures_K", [1.0])
    if not (isinstance(temperatures, list) and temperatures and _positive(temperatures)):
        wrong, value = "temperatures_K", temperatures
    elif not _positive([record.get("dt_ps", 1.0)]):
        wrong, value = "dt_ps", record["dt_ps"]
    else:
        return
    raise ArtifactError(
        f"{path} says that its {wrong} is {value!r}: delete it and run its stage again."
    )


def _positive(values: list[Any]) -> bool:
    """Whether all are finite numbers above zero."""
    return all(isinstance(value, int | float) and 0.0 < value < np.inf for value in values)

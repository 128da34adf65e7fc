"""Reading trajectory files: whatever the units in the file, nm and ps here.

DCD, XTC and TRR are read with MDAnalysis' own readers of these formats, which, unlike its
Universe, leave no index file beside the trajectory.
"""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

from kstep.artifacts import RECORD_KEY
from kstep.errors import ArtifactError
from kstep.interop.dcd import read_dcd
from kstep.interop.hdf5 import read_hdf5
from kstep.interop.precision import decimal_error, number_error
from kstep.interop.stretch import Stretch
from kstep.system.trajectory import load_trajectory

_UNCOMPRESSED = 9
"""Atoms that XTC keeps in single precision, at most."""

Frame = tuple[np.ndarray, np.ndarray | None, float]
"""Positions, velocities where there are any, time."""


def read(path: Path, kind: int, temperature: float) -> list[Stretch]:
    """The stretches of one file.

    Files of other programs hold one. An NPZ of kstep may hold several segments: those of `kind`
    (`kstep.system.trajectory.NVT` or `NVE`) and `temperature` (K) are taken.

    Raises ArtifactError for a file that is missing, of no known format, or not what its name says.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ArtifactError(
            f"{path} is of no known trajectory format: give one of {', '.join(_READERS)}."
        )
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: give a trajectory file.")
    if path.suffix.lower() == ".npz" and _is_ours(path):
        return _segments(path, kind, temperature)
    try:
        stretch = reader(path)
    except ArtifactError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError,
            zipfile.BadZipFile):  # fmt: skip
        raise ArtifactError(
            f"{path} cannot be read as {path.suffix[1:].upper()}, it is damaged or of another "
            "format: write it again."
        ) from None
    return [replace(stretch, error=max(stretch.error, decimal_error(stretch.pos, stretch.error)))]


def _xtc(path: Path) -> Stretch:
    with XTCFile(str(path)) as file:
        frames = [(frame.x.copy(), None, frame.time, frame.prec) for frame in file]
    found = _collect(path, [frame[:3] for frame in frames])
    # Nine atoms and fewer are not compressed, whatever precision the file names.
    coarsest = min((prec for *_, prec in frames if prec > 0), default=np.inf)
    rounded = 0.5 / coarsest if found.pos.shape[1] > _UNCOMPRESSED else 0.0
    return replace(found, error=max(found.error, rounded))


def _trr(path: Path) -> Stretch:
    with TRRFile(str(path)) as file:
        frames = [(f.x.copy(), f.v.copy() if f.hasv else None, f.time) for f in file if f.hasx]
        starts = np.array([*file.offsets, path.stat().st_size])
        per_array = 3 * np.dtype(np.float32).itemsize * file.n_atoms
    # Frames differ by whole arrays; the reader is silent about a header that is cut short.
    if len(starts) > 2 and (np.diff(starts, 2) % per_array).any():
        raise ArtifactError(
            f"{path} ends within a frame: it was cut short; copy it again, or write what is there "
            "to a new file."
        )
    return _collect(path, frames)


def _collect(path: Path, frames: list[Frame]) -> Stretch:
    if not frames:
        raise ArtifactError(f"{path} holds no positions: give a trajectory with some.")
    velocities = [v for _, v, _ in frames if v is not None]
    complete = len(velocities) == len(frames)  # they may be saved less often than positions
    raw = np.array([x for x, _, _ in frames])
    return Stretch(
        pos=raw.astype(np.float64),
        vel=np.array(velocities, dtype=np.float64) if complete else None,
        times=np.array([time for _, _, time in frames], dtype=np.float64),
        error=number_error(raw, 1.0),
    )


def _npz(path: Path) -> Stretch:
    with np.load(path, allow_pickle=False) as archive:
        given = {key: archive[key] for key in ("pos", "vel", "times_ps") if key in archive.files}
    for key, array in given.items():
        if array.dtype.kind not in "fiu":
            raise ArtifactError(
                f"{path} holds {array.dtype} under '{key}': save real numbers, in nm, nm/ps and ps."
            )
    arrays = {key: array.astype(np.float64, copy=False) for key, array in given.items()}
    if "pos" not in arrays:
        raise ArtifactError(
            f"{path} lacks the array 'pos': save positions in nm as [frames, atoms, 3] under it."
        )
    pos, vel, times = arrays["pos"], arrays.get("vel"), arrays.get("times_ps")
    if (
        (pos.ndim != 3 or pos.shape[2] != 3)
        or (vel is not None and vel.shape != pos.shape)
        or (times is not None and times.shape != pos.shape[:1])
    ):
        raise ArtifactError(
            f"{path} has arrays of the wrong shape: pos and vel are [frames, atoms, 3], "
            "times_ps is [frames]."
        )
    return Stretch(pos, vel, times, error=number_error(pos, 1.0))


def _is_ours(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return RECORD_KEY in archive.files
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def _segments(path: Path, kind: int, temperature: float) -> list[Stretch]:
    found = load_trajectory(path)
    return [
        Stretch(
            found.pos[frames],
            found.vel[frames] if found.has_velocities else None,
            found.times[frames],
            error=number_error(found.pos, 1.0),
            numbers=found.numbers,
            masses=found.masses,
        )
        for frames in found.segments(kind, temperature)
    ]


_READERS: dict[str, Callable[[Path], Stretch]] = {
    ".dcd": read_dcd,
    ".xtc": _xtc,
    ".trr": _trr,
    ".h5md": read_hdf5,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".npz": _npz,
}

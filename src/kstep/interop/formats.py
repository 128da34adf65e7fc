"""Reading trajectory files: whatever the units in the file, nm and ps here.

DCD, XTC and TRR are read with MDAnalysis' own readers of these formats, which, unlike its
Universe, leave no index file beside the trajectory.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from jaxtyping import Float, Int
from MDAnalysis.coordinates.H5MD import H5MDReader
from MDAnalysis.lib.formats.libdcd import DCDFile
from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

from kstep.artifacts import RECORD_KEY
from kstep.errors import ArtifactError
from kstep.system.trajectory import load_trajectory
from kstep.units import NM_PER_ANGSTROM

_PS_PER_AKMA = 0.04888821
"""The unit of time in a DCD header: that in which kcal/mol = Da Å²."""

_DCD_HEADER_BYTES = 84
"""The first number of every DCD, in the byte order of all others."""

Frame = tuple[np.ndarray, np.ndarray | None, float]
"""Positions, velocities where there are any, time."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Consecutive frames as a file holds them.

    Attributes:
        pos: nm [T, N, 3].
        vel: nm/ps [T, N, 3], None where there are none.
        times: ps [T], None where the file does not say.
        numbers: atomic numbers [N], None where the file does not say.
        masses: Da [N], None where the file does not say.
    """

    pos: Float[np.ndarray, "T N 3"]
    vel: Float[np.ndarray, "T N 3"] | None
    times: Float[np.ndarray, " T"] | None
    numbers: Int[np.ndarray, " N"] | None = None
    masses: Float[np.ndarray, " N"] | None = None


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
    return [stretch]


def _dcd(path: Path) -> Stretch:
    with DCDFile(str(path)) as file:
        header, xyz = file.header, file.readframes().xyz
    promised = _promised_frames(path)
    if promised > len(xyz):
        raise ArtifactError(
            f"{path} promises {promised} frames and holds {len(xyz)}: it was cut short; copy it "
            "again, or write what is there to a new file."
        )
    # A delta of one, every step saved: what programs write that do not know their time step.
    unknown = header["delta"] == 1 and header["nsavc"] == 1
    interval = header["delta"] * header["nsavc"] * _PS_PER_AKMA
    times = None if unknown else interval * np.arange(1.0, len(xyz) + 1)
    return Stretch(NM_PER_ANGSTROM * xyz.astype(np.float64), None, times)


def _promised_frames(path: Path) -> int:
    """What the header of a DCD says; the reader goes by the size of the file instead."""
    with path.open("rb") as stream:
        head = stream.read(16)
    order: Literal["little", "big"] = "little" if head[0] == _DCD_HEADER_BYTES else "big"
    start = head.index(b"CORD") + 4
    return int.from_bytes(head[start : start + 4], order, signed=True)


def _xtc(path: Path) -> Stretch:
    with XTCFile(str(path)) as file:
        return _collect(path, [(frame.x.copy(), None, frame.time) for frame in file])


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


def _h5md(path: Path) -> Stretch:
    with h5py.File(path) as file:  # MDAnalysis' reader cannot fail quietly on another format
        _ = file["particles"]
    try:
        reader = H5MDReader(str(path))
    except ValueError:
        raise ArtifactError(
            f"{path} does not say in which units it is: write the attribute 'unit' of its "
            "positions, velocities and times."
        ) from None
    with reader:
        frames = [
            (
                NM_PER_ANGSTROM * step.positions,
                NM_PER_ANGSTROM * step.velocities if step.has_velocities else None,
                step.time,
            )
            for step in reader
        ]
    return _collect(path, frames)


def _collect(path: Path, frames: list[Frame]) -> Stretch:
    if not frames:
        raise ArtifactError(f"{path} holds no positions: give a trajectory with some.")
    velocities = [v for _, v, _ in frames if v is not None]
    complete = len(velocities) == len(frames)  # they may be saved less often than positions
    return Stretch(
        pos=np.array([x for x, _, _ in frames], dtype=np.float64),
        vel=np.array(velocities, dtype=np.float64) if complete else None,
        times=np.array([time for _, _, time in frames], dtype=np.float64),
    )


def _npz(path: Path) -> Stretch:
    with np.load(path, allow_pickle=False) as archive:
        given = {key: archive[key] for key in ("pos", "vel", "times_ps") if key in archive.files}
    for key, array in given.items():
        if array.dtype.kind not in "fiu":
            raise ArtifactError(
                f"{path} holds {array.dtype} under '{key}': save real numbers, in nm, nm/ps and ps."
            )
    arrays = {key: array.astype(np.float64) for key, array in given.items()}
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
    return Stretch(pos, vel, times)


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
            found.numbers,
            found.masses,
        )
        for frames in found.segments(kind, temperature)
    ]


_READERS: dict[str, Callable[[Path], Stretch]] = {
    ".dcd": _dcd,
    ".xtc": _xtc,
    ".trr": _trr,
    ".h5md": _h5md,
    ".h5": _h5md,
    ".npz": _npz,
}

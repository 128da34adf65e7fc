"""Trajectories in HDF5: H5MD (de Buyl et al., Comput. Phys. Commun. 185, 1546 (2014)) and MDTraj's.

Read with h5py alone: MDAnalysis' reader asks for a step and a time of every frame, where the
standard also allows one increment for all.
"""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from kstep.errors import ArtifactError
from kstep.interop.precision import number_error
from kstep.interop.stretch import Stretch

_LENGTHS = {"pm": 1e-3, "angstrom": 0.1, "å": 0.1, "a": 0.1, "nm": 1.0, "nanometers": 1.0,
            "um": 1e3, "µm": 1e3, "m": 1e9}  # fmt: skip
_TIMES = {"fs": 1e-3, "ps": 1.0, "picoseconds": 1.0, "ns": 1e3, "us": 1e6, "µs": 1e6, "s": 1e12}

_PART = re.compile(r"(.*?)\^?([+-]?\d+)?")
"""A unit with its power, as in ps-1."""


def read_hdf5(path: Path) -> Stretch:
    """The frames of an H5MD file, or of MDTraj's own format.

    Raises ArtifactError for a file that is neither, that does not say its units, or holds several
    groups of particles.
    """
    with h5py.File(path) as file:
        if "particles" in file:
            return _h5md(path, file["particles"])
        if "coordinates" in file:
            return _mdtraj(path, file)
    raise ArtifactError(
        f"{path} is HDF5, but neither H5MD (a group 'particles') nor MDTraj's (an array "
        "'coordinates'): convert it to one of them."
    )


def _h5md(path: Path, particles: h5py.Group) -> Stretch:
    groups = [group for group in particles.values() if "position" in group]
    if len(groups) != 1:
        raise ArtifactError(
            f"{path} holds {len(groups)} groups of particles with positions, and one molecule is "
            "judged: write its atoms as the only group."
        )
    position = groups[0]["position"]
    raw = position["value"][()]
    unit = _factor(path, position["value"], _LENGTHS, "positions")
    velocity = groups[0].get("velocity")
    vel = None
    if velocity is not None and _same_clock(position, velocity):
        unit_of_velocity = _factor(path, velocity["value"], _LENGTHS | _TIMES, "velocities")
        vel = velocity["value"][()].astype(np.float64) * unit_of_velocity
    times, spacing = _clock(path, position.get("time"), len(raw))
    clock = "" if spacing is None else "one increment for all of its times"
    error = number_error(raw, unit)
    return Stretch(unit * raw.astype(np.float64, copy=False), vel, times, spacing, clock, error)


def _clock(
    path: Path, time: h5py.Dataset | None, n_frames: int
) -> tuple[Float[np.ndarray, " T"] | None, float | None]:
    """Times of all frames, or the one increment between them, ps."""
    if time is None:
        return None, None
    unit = _factor(path, time, _TIMES, "times")
    if time.shape == ():
        return None, float(time[()]) * unit
    return (time[()].astype(np.float64) * unit)[:n_frames], None


def _same_clock(first: h5py.Group, second: h5py.Group) -> bool:
    """Whether two elements hold the same frames: one may be saved less often."""
    if len(first["value"]) != len(second["value"]):
        return False
    names = [name for name in ("step", "time") if name in first and name in second]
    return all(np.array_equal(first[name][()], second[name][()]) for name in names)


def _mdtraj(path: Path, file: h5py.File) -> Stretch:
    coordinates = file["coordinates"]
    raw = coordinates[()]
    unit = _factor(path, coordinates, _LENGTHS, "coordinates", "nanometers")
    vel, times = (file[name][()] if name in file else None for name in ("velocities", "time"))
    if vel is not None:
        default = "nanometers/picosecond"
        vel = vel.astype(np.float64) * _factor(
            path, file["velocities"], _LENGTHS | _TIMES, "velocities", default
        )
    if times is not None:
        times = times.astype(np.float64) * _factor(path, file["time"], _TIMES, "time", "ps")
    return Stretch(
        unit * raw.astype(np.float64, copy=False), vel, times, error=number_error(raw, unit)
    )


def _factor(
    path: Path, data: h5py.Dataset, known: dict[str, float], what: str, default: str = ""
) -> float:
    """What the attribute `unit` (MDTraj: `units`) of an array is in nm, ps or nm/ps."""
    written = _text(data.attrs.get("unit", data.attrs.get("units", default)))
    if not written:
        raise ArtifactError(
            f"{path} does not say in which units it is: write the attribute 'unit' of its "
            "positions, velocities and times."
        )
    factor, sign = 1.0, 1
    for part in written.replace("/", " / ").split():
        name, power = _PART.fullmatch(part).groups()  # type: ignore[union-attr]
        value = known.get(name.lower(), known.get(f"{name.lower()}s"))
        if part == "/":
            sign = -1
        elif value is None:
            raise ArtifactError(
                f"{path} holds {what} in '{written}', a unit that is not known here: convert them "
                "to nm, nm ps-1 and ps."
            )
        else:
            factor *= value ** (sign * int(power or 1))
    return factor


def _text(attribute: Any) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)

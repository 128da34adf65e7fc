"""Whether the frames of a trajectory can be what they are said to be."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from kstep.errors import ArtifactError
from kstep.interop.parts import Parts
from kstep.interop.precision import COARSEST_NM
from kstep.interop.stretch import Stretch
from kstep.system.mechanics import (
    internal_degrees_of_freedom,
    kinetic_temperature,
    remove_centre_of_mass,
)

SHORTEST_BOND, LONGEST_BOND = 0.05, 0.35
"""nm: no bond of any molecule is outside, even in the hottest frame."""

MAX_CONSTRAINT_ERROR = 0.015
"""Relative, RMS: rounding to 0.001 nm (XTC) makes 0.004, a bond that vibrates 0.03."""

HOTTEST = 20.0
"""Ratio of kinetic temperature to thermostat: beyond it the unit must be wrong (Å/ps: 100)."""

_AMBER = 2.0455
"""nm/ps in √(kcal/mol/Da), in which Amber's files hold velocities: 20.455 Å/ps."""

UNITS = {
    10.0: "Å/ps",
    0.1: "nm/ps where the format has Å/ps, or ASE's unit",
    0.01: "Å/fs",
    1e-3: "nm/fs",
    1e3: "m/s",
    1 / 2187.69: "atomic units",
    1 / _AMBER: "Amber's unit, 20.455 Å/ps",
    0.1 / _AMBER: "Amber's unit, 20.455 Å/ps, where the format has Å/ps",
    _AMBER: "nm/ps divided by Amber's unit",
    10 * _AMBER: "Å/ps divided by Amber's unit, 20.455 Å/ps",
    (10 * _AMBER) ** 0.5: "a unit off by the root of Amber's 20.455",
    (10 * _AMBER) ** -0.5: "a unit off by the root of Amber's 20.455",
}
"""How many times too large a file's numbers are, by the unit that they are in."""

_NEAR = 0.06
"""Relative, of speeds: within it a unit is named."""

_SURE = 20
"""Degrees of freedom from which on chance makes no molecule four times too cold, which one of
Amber's factors does; a window of rigid water may be."""

_MOMENTS = 1000
"""Frames from which velocities are judged."""


def check_atoms(path: Path, stretch: Stretch, parts: Parts, topology: Path) -> None:
    """Raise ArtifactError unless the frames hold the atoms of the topology."""
    n_atoms = stretch.pos.shape[1] if stretch.pos.ndim == 3 else 0
    if len(stretch.pos) and n_atoms != parts.n_atoms:
        raise ArtifactError(
            f"{path} has {n_atoms} atoms and {topology} has {parts.n_atoms}: give the topology of "
            "this trajectory."
        )
    if stretch.numbers is not None and not np.array_equal(stretch.numbers, parts.numbers):
        raise ArtifactError(
            f"{path} holds other elements than {topology}, or in another order: give the topology "
            "of this trajectory."
        )
    if stretch.masses is not None and not np.allclose(stretch.masses, parts.masses, atol=1e-3):
        raise ArtifactError(
            f"{path} was run with other masses than those of the System: give the System it was "
            "run with."
        )


def check_frames(path: Path, stretch: Stretch, parts: Parts, fewest: int) -> None:
    """Raise ArtifactError for too few, still or NaN frames, wrong units, broken molecules."""
    if len(stretch.pos) < fewest:
        raise ArtifactError(
            f"{path} has {len(stretch.pos)} frames, {fewest} are needed: give a longer trajectory."
        )
    finite = np.isfinite(stretch.pos).all(axis=(1, 2))
    if not finite.all():
        raise ArtifactError(
            f"{path} has coordinates that are not numbers, first in frame {int(finite.argmin())} "
            "(from 0): leave out the frames from there on."
        )
    if (stretch.pos == stretch.pos[0]).all():
        raise ArtifactError(
            f"{path} holds the same coordinates in all of its frames: give the trajectory of a "
            "molecule that moves."
        )
    _check_lengths(path, stretch, parts)
    _check_precision(path, stretch)
    _check_constraints(path, stretch, parts)


def _check_lengths(path: Path, stretch: Stretch, parts: Parts) -> None:
    lengths = _distances(stretch.pos, parts.bonds)
    if not lengths.size:
        return
    typical = float(np.median(lengths))
    if not SHORTEST_BOND < typical < LONGEST_BOND:
        raise ArtifactError(
            f"{path} has bonds of typically {typical:.3g} nm: its coordinates seem to be in "
            "another unit than its format says; convert them (nm in NPZ, XTC and TRR, Å in DCD)."
        )
    wrong = (lengths < SHORTEST_BOND) | (lengths > LONGEST_BOND)
    if wrong.any():
        frame, bond = np.unravel_index(int(wrong.argmax()), wrong.shape)
        first, second = parts.bonds[bond]
        raise ArtifactError(
            f"{path} has a bond of {lengths[frame, bond]:.3g} nm between atoms {first} and "
            f"{second} in frame {frame} (from 0): the molecule is broken over a periodic box, its "
            "atoms are in another order or it fell apart; write it whole, in the topology's order."
        )


def _check_precision(path: Path, stretch: Stretch) -> None:
    if stretch.error > COARSEST_NM:
        farthest = float(np.abs(stretch.pos).max())
        raise ArtifactError(
            f"{path} holds coordinates to {2 * stretch.error:.2g} nm only, up to {farthest:.3g} nm "
            "from the origin: save them with more digits, or the molecule in the middle."
        )


def _check_constraints(path: Path, stretch: Stretch, parts: Parts) -> None:
    if not len(parts.constraints):
        return
    errors = _distances(stretch.pos, parts.constraints) / parts.lengths - 1
    spread = float(np.sqrt(np.mean(errors**2)))
    if spread > MAX_CONSTRAINT_ERROR:
        raise ArtifactError(
            f"{path} violates the constraints of the System by {100 * spread:.2g} % (RMS): give "
            "the System it was run with, or save its coordinates with more digits."
        )


def check_velocities(path: Path, stretch: Stretch, parts: Parts, temperature: float) -> None:
    """Raise ArtifactError for velocities that are not numbers or in a wrong unit."""
    if stretch.vel is None:
        return
    if not np.isfinite(stretch.vel).all():
        raise ArtifactError(
            f"{path} has velocities that are not numbers: leave those frames out, or save none."
        )
    freedom = internal_degrees_of_freedom(parts.n_atoms, len(parts.constraints))
    if freedom <= 0:  # one atom: nothing moves but the centre of mass
        return
    shown = stretch.vel[:: max(1, len(stretch.vel) // _MOMENTS)]
    internal = remove_centre_of_mass(shown, parts.masses)
    found = float(np.median(kinetic_temperature(internal, parts.masses, freedom)))
    unit = _unit_of(found / temperature)
    possible = 1 / HOTTEST < found / temperature < HOTTEST
    if not possible or (unit and freedom >= _SURE):
        raise ArtifactError(
            f"{path} has velocities of {found:.3g} K where {temperature:g} K are expected: "
            f"they seem to be in another unit than its format says{f' ({unit})' if unit else ''}; "
            "convert them (nm/ps in NPZ)."
        )


def _unit_of(ratio: float) -> str:
    """The unit that makes temperatures wrong by a ratio; empty where none does."""
    if ratio <= 0:
        return ""
    nearest = min(UNITS, key=lambda factor: abs(np.log(ratio**0.5 / factor)))
    return UNITS[nearest] if abs(ratio**0.5 / nearest - 1) < _NEAR else ""


def _distances(pos: Float[np.ndarray, "T N 3"], pairs: np.ndarray) -> Float[np.ndarray, "T P"]:
    lengths = np.empty((len(pos), len(pairs)))
    for column, (first, second) in enumerate(pairs):  # one at a time: files may fill the memory
        lengths[:, column] = np.linalg.norm(pos[:, first] - pos[:, second], axis=-1)
    return lengths

"""When frames were saved: the time between them, none twice, and whether it can be true."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from kstep.artifacts import hash_bytes
from kstep.errors import ArtifactError
from kstep.interop.parts import Parts
from kstep.interop.precision import NOTABLE_NM
from kstep.interop.stretch import Stretch
from kstep.system.mechanics import (
    internal_degrees_of_freedom,
    kinetic_energy,
    remove_centre_of_mass,
)
from kstep.units import BOLTZMANN

SPACING_TOLERANCE = 0.01
"""Relative, of frame times that are saved in single precision."""

REFUSALS = 0.01
"""Share of frames equal to the one before from which on a Metropolis test has repeated them."""

FARTHEST = 3.0
"""Ratio of the way that atoms went to the one that their thermal velocity allows: a run three times
as fast would be nine times as hot."""

HIGHEST_FRICTION = 100.0
"""1/ps: as of water, which no thermostat of an isolated molecule comes near."""

ENOUGH = 10_000
"""Frames to look at."""

STILL = 0.25
"""Ratio of what atoms moved to the least that such a friction leaves them."""


def frame_digests(pos: Float[np.ndarray, "T N 3"]) -> list[str]:
    """One word for each frame, the same for equal coordinates."""
    return [hash_bytes(frame.tobytes()) for frame in pos]


def each_once(stretch: Stretch) -> tuple[Stretch, str]:
    """The frames that one run went through, each once, and a clause on what was left out.

    A run that is restarted goes back to a state it has been in: what it had written after that is
    superseded. It shows in times that go back, and in a frame that comes again.
    """
    kept = _not_repeated(stretch)
    if stretch.times is not None and len(kept) > 1:
        kept &= _not_overtaken(stretch.times)
    gone = np.flatnonzero(~kept)
    if not len(gone):
        return stretch, ""
    return stretch.only(kept), (
        f"{len(gone)} of {len(kept)} frames, from {gone[0]} to {gone[-1]} (from 0), are left out: "
        "the run was restarted before them, and the file holds that time again"
    )


def _not_overtaken(times: Float[np.ndarray, " T"]) -> Bool[np.ndarray, " T"]:
    """Frames after which none of their time or an earlier one comes.

    All, where that would leave out half: times of several runs in a row, or the same for all.
    """
    steps = np.diff(times)
    if not (steps > 0).any():
        return np.ones(len(times), dtype=np.bool_)
    earliest_after = np.append(np.minimum.accumulate(times[:0:-1])[::-1], np.inf)
    kept = times < earliest_after - 0.5 * float(np.median(steps[steps > 0]))
    return np.asarray(kept if 2 * kept.sum() > len(kept) else np.ones_like(kept))


def _not_repeated(stretch: Stretch) -> Bool[np.ndarray, " T"]:
    """Frames that do not lie between one and its repetition; all where coordinates are coarse."""
    kept = np.ones(len(stretch.pos), dtype=np.bool_)
    if stretch.error >= NOTABLE_NM:
        return kept
    refused = (stretch.pos[1:] == stretch.pos[:-1]).all(axis=(1, 2)).mean() > REFUSALS
    last: dict[str, int] = {}
    for index, digest in enumerate(frame_digests(stretch.pos)):
        before = last.get(digest, index)
        if kept[before] and not (refused and before == index - 1):
            kept[before:index] = False
        last[digest] = index
    return kept


def spacing_ps(path: Path, stretch: Stretch, frame_ps: float | None, option: str) -> float:
    """The time between frames, ps: `frame_ps` if given, else as the file says.

    `option` is how the command line calls `frame_ps`.

    Raises ArtifactError when there is none to be had or the frames are not equally spaced.
    """
    if frame_ps is not None:
        if not (np.isfinite(frame_ps) and frame_ps > 0):
            raise ArtifactError(f"{option} {frame_ps:g} is no time between frames: give ps.")
        return frame_ps
    if stretch.spacing is not None and np.isfinite(stretch.spacing) and stretch.spacing > 0:
        return stretch.spacing
    if stretch.times is None:
        why = f" ({stretch.clock})" if stretch.clock else ""
        raise ArtifactError(
            f"{path} does not say the time between its frames{why}: give it with {option}."
        )
    return _equal_steps(path, stretch.times, option)


def _equal_steps(path: Path, times: Float[np.ndarray, " T"], option: str) -> float:
    steps = np.diff(times)
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise ArtifactError(
            f"{path} has frame times that do not increase: give every run a file of its own, or "
            f"the time between frames with {option}."
        )
    spacing = float(steps.mean())
    rounding = 4 * np.finfo(np.float32).eps * float(np.abs(times).max())
    if np.abs(steps - spacing).max() > SPACING_TOLERANCE * spacing + rounding:
        raise ArtifactError(
            f"{path} has frames that are not equally spaced in time ({steps.min():.4g} to "
            f"{steps.max():.4g} ps): save them at equal times, without a gap."
        )
    return spacing


def check_pace(
    path: Path, stretch: Stretch, parts: Parts, temperature: float, spacing: float, option: str
) -> str:
    """Hold how far atoms go between frames against what they can in that time.

    On average Σ m |Δx|² cannot exceed τ² · 2 K, whatever the forces (Cauchy-Schwarz): for a time
    too short this is exact. For one too long there is only a hint, the sentence returned: a
    molecule that turns freely or against some friction goes some way, unless the frames were
    turned onto each other.

    Raises ArtifactError for a way that takes much longer.
    """
    freedom = internal_degrees_of_freedom(parts.n_atoms, len(parts.constraints))
    if freedom <= 0 or len(stretch.pos) < 2:
        return ""
    pos = remove_centre_of_mass(stretch.pos[:ENOUGH], parts.masses)
    moved = 2.0 * float(kinetic_energy(np.diff(pos, axis=0), parts.masses).mean())
    doubled_kinetic = freedom * BOLTZMANN * temperature
    if stretch.vel is not None:
        internal = remove_centre_of_mass(stretch.vel[:ENOUGH], parts.masses)
        doubled_kinetic = 2.0 * float(kinetic_energy(internal, parts.masses).mean())
    takes = (moved / doubled_kinetic) ** 0.5 if doubled_kinetic > 0 else 0.0
    if takes > FARTHEST * spacing:
        raise ArtifactError(
            f"{path} has a frame every {spacing:.4g} ps, but its atoms go as far between two as "
            f"takes {takes:.2g} ps or more at {temperature:g} K: give the true time with {option}."
        )
    if moved < STILL * _least(pos, parts, temperature, spacing):
        return (
            f"its atoms hardly move for frames {spacing:.4g} ps apart: if the molecule was not "
            f"turned onto the frame before, give the true time with {option}"
        )
    return ""


def _least(
    pos: Float[np.ndarray, "T N 3"], parts: Parts, temperature: float, spacing: float
) -> float:
    """Σ m |Δx|² of a molecule that turns against the highest friction, Da nm²; 0 if it does not.

    A free rotor's angle about each axis spreads by 2 kT/I γ² · (γτ - 1 + exp -γτ), until the
    molecule has forgotten how it lay.
    """
    size = 2.0 * float(kinetic_energy(pos, parts.masses).mean())
    resting = 2.0 * float(kinetic_energy(pos.mean(axis=0), parts.masses))
    if resting > 0.25 * size:  # it keeps its orientation
        return 0.0
    passed = HIGHEST_FRICTION * spacing
    turned = 6.0 * BOLTZMANN * temperature * (passed - 1 + np.exp(-passed)) / HIGHEST_FRICTION**2
    return 2.0 * size * (1.0 - float(np.exp(-turned / (2.0 * size))))

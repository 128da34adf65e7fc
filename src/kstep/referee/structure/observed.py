"""One class of internal coordinates along one side's constant-temperature runs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.referee.compared import Side
from kstep.referee.physics.rates import angle_rates, bond_rates
from kstep.referee.statistics.estimates import block_frames, inefficiency
from kstep.referee.structure.coordinates import CoordinateClass, as_mdtraj, values
from kstep.system.molecule import Molecule

MANY_VALUES = 4_000_000
"""Values of one class kept, at most: pairs of atoms are many, and move together."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Values, rates of change and memory of one class of coordinates.

    Attributes:
        runs: values in every run, nm or degrees.
        rates: their rates of change, nm/ps or degrees/ps; None for other kinds or without
            velocities.
        memory: statistical inefficiency, frames: of what varies most slowly in it.
        frame_ps: time between frames, ps.
    """

    runs: list[Float[np.ndarray, "_ members"]]
    rates: list[Float[np.ndarray, "_ members"]] | None
    memory: float
    frame_ps: float

    @property
    def values(self) -> Float[np.ndarray, "T members"]:
        """Values of all runs, in order."""
        return np.concatenate(self.runs)

    @property
    def block_frames(self) -> int:
        """Frames of a block that forgets the one before."""
        return block_frames(self.memory, [len(run) for run in self.runs])


def observe(molecule: Molecule, side: Side, coordinates: CoordinateClass) -> Observed:
    """Values of a class along all runs of a side."""
    stride = max(1, sum(side.lengths) * len(coordinates.members) // MANY_VALUES)
    runs, rates = [], []
    measure = {"bond": bond_rates, "angle": angle_rates}.get(coordinates.kind)
    for frames in side.nvt:
        chosen = frames[::stride]
        positions = side.trajectory.pos[chosen]
        runs.append(values(as_mdtraj(molecule, positions), coordinates))
        if measure is not None and side.trajectory.has_velocities:
            rates.append(measure(positions, side.trajectory.vel[chosen], coordinates.members))
    return Observed(
        runs=runs,
        rates=rates or None,
        memory=_memory(coordinates.kind, runs),
        frame_ps=side.frame_ps * stride,
    )


def _memory(kind: str, runs: list[Float[np.ndarray, "_ members"]]) -> float:
    """Of cos and sin of the slowest member of dihedrals; of deviations squared of the others."""
    if kind == "dihedral":
        angles = [np.radians(run.astype(np.float64)) for run in runs]
        return max(
            inefficiency([part(angle[:, member]) for angle in angles])
            for part in (np.cos, np.sin)
            for member in _distinct(angles[0])
        )
    centre = np.concatenate(runs).mean(axis=0)
    series = [((run - centre).astype(np.float64) ** 2).mean(axis=1) for run in runs]
    plain = [run.mean(axis=1, dtype=np.float64) for run in runs]
    return max(inefficiency(series), inefficiency(plain))


def _distinct(angles: Float[np.ndarray, "T members"]) -> range:
    """The first two members: the others of a class are their images under symmetry."""
    return range(min(2, angles.shape[1]))

"""Runs of other programs in memory, made into the one trajectory type."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kstep.errors import ArtifactError, MoleculeError
from kstep.interop.precision import NOTABLE_NM
from kstep.system.mechanics import kinetic_energy
from kstep.system.molecule import Molecule
from kstep.system.trajectory import Trajectory, trajectory_record


@dataclass(frozen=True, eq=False)
class Run:
    """One independent run in kstep's units.

    Attributes:
        pos: nm [T, N, 3].
        vel: nm/ps [T, N, 3], None where there are none.
        epot: kJ/mol [T], NaN where it is not known.
        box: box vectors, nm [T, 3, 3]; zeros without one.
    """

    pos: Float[np.ndarray, "T N 3"]
    vel: Float[np.ndarray, "T N 3"] | None
    epot: Float[np.ndarray, " T"]
    box: Float[np.ndarray, "T 3 3"]


@dataclass(frozen=True, eq=False)
class Atoms:
    """What the runs are of, by whoever made them.

    Attributes:
        numbers: atomic numbers [N].
        masses: Da [N].
    """

    numbers: Int[np.ndarray, " N"]
    masses: Float[np.ndarray, " N"]


def trajectory_of(
    runs: Sequence[Run],
    atoms: Atoms,
    kind: int,
    temperature_K: float,
    frame_ps: float,
    origin: str,
    error_nm: float = 0.0,
    molecule: Molecule | None = None,
) -> Trajectory:
    """Runs as the segments of one trajectory.

    Args:
        runs: at equal times between frames.
        atoms: of the runs; their masses are taken unless a molecule is given.
        kind: `kstep.system.trajectory.NVT` or `NVE`.
        temperature_K: of the thermostat, or of the ensemble an NVE run started from.
        frame_ps: time between frames.
        origin: whose they are, for the record.
        error_nm: of a coordinate, at most, by the numbers that hold it.
        molecule: that they must be of.

    Raises ArtifactError for a time or temperature that is none and where some runs lack
    velocities that others have, MoleculeError for other atoms than the molecule's.
    """
    if not runs or not all(len(run.pos) for run in runs):
        raise ArtifactError(f"a run of {origin} holds no frames: give one that does.")
    for name, value in (("frame_ps", frame_ps), ("temperature_K", temperature_K)):
        if not (np.isfinite(value) and value > 0):
            raise ArtifactError(f"{name}={value:g} of a run of {origin} must be above zero.")
    if molecule is not None and not np.array_equal(atoms.numbers, molecule.numbers):
        raise MoleculeError(
            f"the run of {origin} holds other atoms than {molecule.name}, or in another order: "
            "give the molecule it was run with."
        )
    velocities = [run.vel for run in runs if run.vel is not None]
    if velocities and len(velocities) < len(runs):
        raise ArtifactError(
            f"some runs of {origin} have velocities and others none: give one sort."
        )
    masses = atoms.masses if molecule is None else molecule.masses
    pos = np.concatenate([run.pos for run in runs])
    vel = np.concatenate(velocities) if velocities else np.full_like(pos, np.nan)
    epot = np.concatenate([run.epot for run in runs])
    ekin = kinetic_energy(vel, masses)
    lengths = [len(run.pos) for run in runs]
    return Trajectory(
        pos=pos,
        vel=vel,
        box=np.concatenate([run.box for run in runs]),
        epot=epot,
        ekin=ekin,
        etot=epot + ekin,
        times=np.concatenate([frame_ps * np.arange(1.0, length + 1) for length in lengths]),
        segment=np.repeat(np.arange(len(runs)), lengths),
        segment_kind=np.full(len(runs), kind, dtype=np.int64),
        segment_temperature=np.full(len(runs), float(temperature_K)),
        force_calls=np.zeros(len(pos), dtype=np.int64),
        numbers=atoms.numbers,
        masses=masses,
        record=trajectory_record(
            molecule=None if molecule is None else molecule.name,
            candidate=origin,
            velocities=bool(velocities),
            force_calls="unknown",
            temperatures_K=[float(temperature_K)],
            save_interval_ps=frame_ps,
            position_error_nm=error_nm,
            rounding_nm=2.0 * error_nm if error_nm >= NOTABLE_NM else 0.0,
        ),
    )

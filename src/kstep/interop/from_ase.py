"""Lists of ASE's Atoms, in memory."""

from collections.abc import Sequence

import ase
import numpy as np
from ase import units

from kstep.errors import ArtifactError
from kstep.interop.precision import number_error
from kstep.interop.runs import Atoms, Run, trajectory_of
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVT, Trajectory
from kstep.units import NM_PER_ANGSTROM, PS_PER_FS

_KJ_PER_MOL = units.kJ / units.mol
"""In eV."""

_VELOCITY = NM_PER_ANGSTROM * units.fs / PS_PER_FS
"""ASE's unit of velocity, √(eV/Da), in nm/ps."""


def trajectory_from_ase(
    runs: Sequence[Sequence[ase.Atoms]],
    temperature_K: float,
    frame_ps: float,
    molecule: Molecule | None = None,
    kind: int = NVT,
) -> Trajectory:
    """Independent runs of one molecule, each a list of Atoms as ASE's readers return them.

    Velocities are taken where every frame has momenta, potential energies where a frame's
    calculator holds one: nothing is computed. Masses are those of the Atoms, or of the molecule.

    Args:
        runs: each a segment.
        temperature_K: of the thermostat.
        frame_ps: time between frames; Atoms do not know it.
        molecule: that they are of.
        kind: `kstep.system.trajectory.NVT` or `NVE`.

    Raises ArtifactError and MoleculeError as `kstep.interop.runs.trajectory_of`, and for frames of
    different atoms.
    """
    frames = [frame for run in runs for frame in run]
    if not frames:
        raise ArtifactError("the runs of ASE hold no frames: give some.")
    first = frames[0]
    if any(not np.array_equal(frame.numbers, first.numbers) for frame in frames):
        raise ArtifactError("the frames of ASE hold different atoms: give those of one molecule.")
    with_velocities = all(frame.has("momenta") for frame in frames)
    made = [_run(run, with_velocities) for run in runs]
    atoms = Atoms(first.numbers.astype(np.int64), first.get_masses().astype(np.float64))
    largest = np.concatenate([frame.positions for frame in frames])
    error = number_error(largest, NM_PER_ANGSTROM)
    return trajectory_of(made, atoms, kind, temperature_K, frame_ps, "ASE", error, molecule)


def _run(frames: Sequence[ase.Atoms], with_velocities: bool) -> Run:
    pos = np.array([NM_PER_ANGSTROM * frame.positions for frame in frames]).reshape(
        len(frames), -1, 3
    )
    vel = None
    if with_velocities:
        vel = np.array([_VELOCITY * frame.get_velocities() for frame in frames])
    box = [NM_PER_ANGSTROM * np.asarray(frame.cell) * frame.pbc.any() for frame in frames]
    return Run(pos, vel, np.array([_energy(frame) for frame in frames]), np.array(box))


def _energy(frame: ase.Atoms) -> float:
    """Potential energy, kJ/mol; NaN where nobody computed it."""
    results = {} if frame.calc is None else frame.calc.results
    return float(results.get("energy", np.nan)) / float(_KJ_PER_MOL)

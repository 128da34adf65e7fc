"""Trajectories of MDTraj, in memory."""

from collections.abc import Sequence

import mdtraj
import numpy as np
from jaxtyping import Float

from kstep.errors import ArtifactError
from kstep.interop.precision import decimal_error, number_error
from kstep.interop.runs import Atoms, Run, trajectory_of
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVT, Trajectory


def trajectory_from_mdtraj(
    runs: Sequence[mdtraj.Trajectory],
    temperature_K: float,
    frame_ps: float,
    molecule: Molecule | None = None,
    energies: Sequence[Float[np.ndarray, " _"]] | None = None,
    kind: int = NVT,
) -> Trajectory:
    """Independent runs of one molecule; MDTraj keeps no velocities.

    Args:
        runs: each a segment.
        temperature_K: of the thermostat.
        frame_ps: time between frames; MDTraj's own counts 0, 1, 2 … where a file does not say.
        molecule: that they are of; without it masses are those of the elements.
        energies: potential energies of every run, kJ/mol; NaN where they are not given.
        kind: `kstep.system.trajectory.NVT` or `NVE`.

    Raises ArtifactError and MoleculeError as `kstep.interop.runs.trajectory_of`, and for atoms
    without an element and energies of another number than frames.
    """
    given = [np.full(len(run), np.nan) for run in runs] if energies is None else list(energies)
    if [len(values) for values in given] != [len(run) for run in runs]:
        raise ArtifactError("there are not as many energies as frames: give one for each.")
    made = [_run(run, values) for run, values in zip(runs, given, strict=True)]
    errors = [number_error(run.xyz, 1.0) for run in runs]
    error = max(
        (max(held, decimal_error(run.pos, held)) for run, held in zip(made, errors, strict=True)),
        default=0.0,
    )
    atoms = _atoms(runs[0].topology) if runs else Atoms(np.zeros(0, np.int64), np.zeros(0))
    return trajectory_of(made, atoms, kind, temperature_K, frame_ps, "MDTraj", error, molecule)


def _run(run: mdtraj.Trajectory, energies: Float[np.ndarray, " _"]) -> Run:
    box = run.unitcell_vectors
    vectors = np.zeros((len(run), 3, 3)) if box is None else box.astype(np.float64)
    return Run(run.xyz.astype(np.float64), None, energies.astype(np.float64), vectors)


def _atoms(topology: mdtraj.Topology) -> Atoms:
    elements = [atom.element for atom in topology.atoms]
    if any(element is None or element.atomic_number == 0 for element in elements):
        raise ArtifactError("the topology of MDTraj has atoms without an element: name them.")
    return Atoms(
        numbers=np.array([element.atomic_number for element in elements], dtype=np.int64),
        masses=np.array([element.mass for element in elements], dtype=np.float64),
    )

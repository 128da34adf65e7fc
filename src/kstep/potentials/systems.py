"""From a prepared molecule to an OpenMM System fit for energy-conserving dynamics."""

from typing import Literal

import numpy as np
import openmm
from jaxtyping import Float

from kstep.errors import ArtifactError
from kstep.potentials.choice import make_potential
from kstep.potentials.force_field import remove_motion_removers
from kstep.potentials.python_force import PythonSystem
from kstep.system.prepared import PreparedMolecule

EXTENT_MARGIN = 0.1
"""nm added to the largest distance in the conformer before it is compared with the cutoff."""

SWITCH_FRACTION = 0.9
"""Where a force field's Lennard-Jones switching begins, in parts of the cutoff."""


def load_system(
    molecule: PreparedMolecule,
    cutoff: float | None,
    constraints: Literal["HBonds", "None"],
    implicit_solvent: Literal["OBC2", "None"],
) -> openmm.System:
    """Deserialise and check a molecule's System.

    A `CMMotionRemover` is taken out: it changes the energy between steps. The cutoff (nm) is
    applied to molecules that reach beyond it; in a smaller one every pair is inside, where the
    uncut sum is the same physics and faster.

    Of a molecule prepared for a Python potential masses and constraints are taken, and the forces
    are the potential's, without a cutoff: the terms in its file are for the network to see.

    Raises ArtifactError when the file is not a System of this molecule or was prepared with
    other constraints or another solvent than the configuration says, ConfigError and
    MoleculeError as `kstep.potentials.make_potential`.
    """
    try:
        system = openmm.XmlSerializer.deserialize(molecule.system_xml.read_text(encoding="utf-8"))
    except (openmm.OpenMMException, ValueError, OSError):
        system = None
    if not isinstance(system, openmm.System) or system.getNumParticles() != molecule.n_atoms:
        raise ArtifactError(
            f"{molecule.system_xml} is not the OpenMM System of {molecule.name}: "
            "delete its folder and run `kstep prep` again."
        )
    if (system.getNumConstraints() > 0) != (constraints == "HBonds" and _has_h_bonds(molecule)):
        raise ArtifactError(
            f"{molecule.name} was prepared with {system.getNumConstraints()} constraints "
            f"but md.constraints is {constraints}: run `kstep prep` again."
        )
    if molecule.potential.is_python:
        return PythonSystem(system, make_potential(molecule.potential, molecule))
    remove_motion_removers(system)
    has_solvent = any(isinstance(force, openmm.GBSAOBCForce) for force in system.getForces())
    if has_solvent != (implicit_solvent == "OBC2"):
        raise ArtifactError(
            f"{molecule.name} was prepared {'with' if has_solvent else 'without'} implicit solvent "
            f"but md.implicit_solvent is {implicit_solvent}: run `kstep prep` again."
        )
    if cutoff is not None and _extent(molecule) + EXTENT_MARGIN > cutoff:
        _apply_cutoff(system, cutoff)
    return system


def _has_h_bonds(molecule: PreparedMolecule) -> bool:
    return bool((molecule.numbers[molecule.bonds] == 1).any())


def _extent(molecule: PreparedMolecule) -> float:
    separation = molecule.positions[:, None] - molecule.positions[None]
    return float(np.linalg.norm(separation, axis=-1).max())


def _apply_cutoff(system: openmm.System, cutoff: float) -> None:
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setNonbondedMethod(openmm.NonbondedForce.CutoffNonPeriodic)
            force.setCutoffDistance(cutoff)
            if force.getUseSwitchingFunction():
                force.setSwitchingDistance(SWITCH_FRACTION * cutoff)
            # The Born model already accounts for the solvent: no reaction field on top of it.
            force.setReactionFieldDielectric(1.0)
        elif isinstance(force, openmm.GBSAOBCForce):
            force.setNonbondedMethod(openmm.GBSAOBCForce.CutoffNonPeriodic)
            force.setCutoffDistance(cutoff)


def particle_masses(system: openmm.System) -> Float[np.ndarray, " N"]:
    """Masses of a System's particles, Da."""
    numbers = range(system.getNumParticles())
    return np.array([system.getParticleMass(number)._value for number in numbers])

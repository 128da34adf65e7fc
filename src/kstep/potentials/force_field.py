"""The potential of a molecule's own OpenMM System.

Eastman et al., J. Phys. Chem. B 128, 109 (2024).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import openmm

from kstep.errors import DeviceError, MoleculeError
from kstep.potentials.single_point import Atoms, NoEnergyError, SinglePoint, SinglePoints, one_line
from kstep.protocols import Identity
from kstep.system.force_field import forces_hash
from kstep.system.molecule import Molecule


@dataclass(frozen=True)
class OpenMM:
    """Every molecule by its own System, as it stands, but for a `CMMotionRemover`.

    Attributes:
        platform: the OpenMM platform; for one small molecule Reference is the fastest.
    """

    platform: str = "Reference"
    packages: ClassVar = ("openmm",)

    def of(self, molecule: Molecule) -> "MoleculeOpenMM":
        """The potential of a molecule.

        Raises MoleculeError when it has no System, or that of another molecule, DeviceError when
        the platform cannot be used.
        """
        system = _system(molecule)
        remove_motion_removers(system)
        try:
            platform = openmm.Platform.getPlatformByName(self.platform)
            context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        except openmm.OpenMMException as error:
            raise DeviceError(
                f"the OpenMM platform {self.platform} cannot be used for {molecule.name} "
                f"({one_line(error)}): choose another."
            ) from None
        hashed = forces_hash(openmm.XmlSerializer.serialize(system))
        return MoleculeOpenMM(context, hashed, self.platform)


class MoleculeOpenMM(SinglePoints):
    """An OpenMM Context, asked for energies and forces."""

    def __init__(self, context: openmm.Context, forces: str, platform: str) -> None:
        """`forces` is the hash of its forces."""
        self._context = context
        self._identity = {
            "program": "OpenMM",
            "version": openmm.__version__,
            "platform": platform,
            "forces": forces,
        }

    @property
    def identity(self) -> Identity:
        """Program, version, platform and a hash of the forces."""
        return self._identity

    def single_point(self, x: Atoms) -> SinglePoint:
        """Energy and forces at x (nm)."""
        self._context.setPositions(x)
        try:
            state = self._context.getState(energy=True, forces=True)
        except openmm.OpenMMException as error:
            raise NoEnergyError(one_line(error)) from None
        forces = np.array(state.getForces(asNumpy=True)._value)
        return float(state.getPotentialEnergy()._value), forces


def remove_motion_removers(system: openmm.System) -> None:
    """Take every `CMMotionRemover` out: it is no force, and changes the energy between steps."""
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.CMMotionRemover):
            system.removeForce(index)


def _system(molecule: Molecule) -> openmm.System:
    if molecule.system is None:
        raise MoleculeError(
            f"{molecule.name} has no OpenMM System: make it with Molecule.from_smiles or "
            "from_openmm, or choose another potential."
        )
    try:
        system = openmm.XmlSerializer.deserialize(molecule.system)
    except (openmm.OpenMMException, ValueError):
        system = None
    if not isinstance(system, openmm.System) or system.getNumParticles() != molecule.n_atoms:
        raise MoleculeError(
            f"what {molecule.name} has as its System is not that of its {molecule.n_atoms} atoms: "
            "make it with Molecule.from_openmm."
        )
    return system

"""The minimum of a Python potential: where its molecule starts, and how long its bonds are."""

import numpy as np
import openmm
from rdkit import Chem
from rdkit.Geometry import Point3D

from kstep.config import PotentialConfig
from kstep.errors import MoleculeError
from kstep.potentials import check_forces, make_potential, relax
from kstep.potentials.systems import particle_masses
from kstep.system.molecule import Molecule
from kstep.system.preparation.conformers import Conformer
from kstep.system.preparation.geometry import fault
from kstep.units import ANGSTROM_PER_NM, NM_PER_ANGSTROM

UNSETTLED = 50.0
"""kJ/mol/nm that may be left of a force at a minimum: a fortieth of a thermal one."""


def settle(
    conformer: Conformer, system: openmm.System, config: PotentialConfig, name: str
) -> Conformer:
    """The conformer at the minimum of the potential, whose bond lengths `system` then constrains.

    A rigid bond of the force field's length would strain every state of another potential. The
    minimum is found without constraints, so nothing holds on to those lengths.

    Raises MoleculeError when the potential lacks an element, finds no energy or has another
    molecule at its minimum, PotentialError when its forces are none, ConfigError when its program
    is not there.
    """
    mol = Chem.Mol(conformer.mol)
    start = NM_PER_ANGSTROM * mol.GetConformer().GetPositions()
    molecule = Molecule(
        numbers=np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.int64),
        masses=particle_masses(system),
        positions=start,
        name=name,
        charge=Chem.GetFormalCharge(mol),
    )
    potential = make_potential(config, molecule)
    check_forces(potential.source, molecule, potential.label)
    minimum = relax(potential, start)
    left = float(np.abs(potential(minimum)[1]).max())
    if not left <= UNSETTLED:
        raise MoleculeError(
            f"{name}: where {config.name} is lowest a force of {left:.3g} kJ/mol/nm is left, so "
            "that its energy is not smooth there: correct it, tighten its accuracy, or leave the "
            "molecule out."
        )
    found = fault(mol, ANGSTROM_PER_NM * minimum)
    if found is not None:
        raise MoleculeError(
            f"{name}: at the minimum of {config.name} {found}, so this molecule is none of its "
            "minima: leave it out."
        )
    for index in range(system.getNumConstraints()):
        first, second, _ = system.getConstraintParameters(index)
        length = _distance(minimum, first, second)
        system.setConstraintParameters(index, first, second, length)
    for index, position in enumerate(ANGSTROM_PER_NM * minimum):
        mol.GetConformer().SetAtomPosition(index, Point3D(*map(float, position)))
    return Conformer(mol, config.name)


def _distance(x: np.ndarray, first: int, second: int) -> float:
    return float(np.linalg.norm(x[first] - x[second]))

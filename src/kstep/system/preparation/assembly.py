"""From a conformer and its System to a molecule, and whether the two agree."""

import numpy as np
import openmm
from jaxtyping import Float, Int
from openmm import unit
from rdkit import Chem

from kstep.errors import MoleculeError
from kstep.system.hydrogens import repartition
from kstep.system.molecule import Molecule
from kstep.system.preparation.conformers import Conformer
from kstep.system.preparation.geometry import bent_planes, fault
from kstep.units import ANGSTROM_PER_NM

FORCE_TOLERANCE = 1.0
"""kJ/mol/nm: what is left of a force at a minimum."""


def assemble(
    conformer: Conformer,
    system: openmm.System,
    name: str,
    smiles: str,
    hydrogen_mass: float | None = None,
) -> Molecule:
    """The molecule that a conformer and its System describe.

    Args:
        conformer: atoms, bonds and positions.
        system: masses, constraints and terms; given the heavier hydrogens.
        name: of the molecule.
        smiles: canonical isomeric SMILES.
        hydrogen_mass: Da, taken from their heavy atoms; None: natural masses.

    Raises MoleculeError when a heavy atom is too light for such hydrogens.
    """
    mol = conformer.mol
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    bonds = [[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] for bond in mol.GetBonds()]
    if hydrogen_mass is not None:
        repartition(system, name, numbers, bonds, hydrogen_mass)
    return Molecule(
        numbers=np.array(numbers, dtype=np.int64),
        masses=masses_of(system),
        positions=conformer.x,
        bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2),
        constraints=constraints_of(system),
        name=name,
        smiles=smiles,
        charge=Chem.GetFormalCharge(mol),
        system=openmm.XmlSerializer.serialize(system),
    )


def masses_of(system: openmm.System) -> Float[np.ndarray, " N"]:
    """Masses of a System's particles, Da."""
    particles = range(system.getNumParticles())
    masses = [system.getParticleMass(index).value_in_unit(unit.dalton) for index in particles]
    return np.array(masses, dtype=np.float64)


def constraints_of(system: openmm.System) -> Int[np.ndarray, "C 2"]:
    """Pairs of atoms whose distance a System fixes."""
    indices = range(system.getNumConstraints())
    pairs = [system.getConstraintParameters(index)[:2] for index in indices]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def check_geometry(conformer: Conformer, system: openmm.System, name: str) -> list[str]:
    """Hold a conformer, and the System's own minimum beside it, against what bonds can be.

    Returns what is odd about the minimum, in sentences.

    Raises MoleculeError where either cannot be the molecule.
    """
    found = fault(conformer.mol, ANGSTROM_PER_NM * conformer.x)
    if found is not None:
        raise MoleculeError(
            f"{name}: in its {conformer.minimiser} conformer {found}: leave it out, or give it "
            "to a potential that knows such bonds, as --potential gfn2-xtb."
        )
    minimum = _minimum(conformer.x, system)
    found = fault(conformer.mol, ANGSTROM_PER_NM * minimum)
    if found is not None:
        raise MoleculeError(
            f"{name}: at the minimum of its force field {found}: leave it out, or give it to a "
            "potential that knows such bonds, as --potential gfn2-xtb."
        )
    return remarks_on_planes(conformer, minimum, "the force field")


def remarks_on_planes(
    conformer: Conformer, minimum: Float[np.ndarray, "N 3"], potential: str
) -> list[str]:
    """What is odd about a sound minimum of a potential, nm, in sentences."""
    planes = bent_planes(conformer.mol, ANGSTROM_PER_NM * minimum)
    if not planes:
        return []
    return [
        f"at the minimum of {potential} atoms that should lie in the plane of their neighbours do "
        f"not: {', '.join(planes)}."
    ]


def _minimum(x: Float[np.ndarray, "N 3"], system: openmm.System) -> Float[np.ndarray, "N 3"]:
    """The minimum of a System under x, nm."""
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(x)
    context.applyConstraints(1e-8)
    openmm.LocalEnergyMinimizer.minimize(context, FORCE_TOLERANCE)
    return np.array(context.getState(positions=True).getPositions(asNumpy=True)._value)

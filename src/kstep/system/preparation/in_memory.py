"""Molecules made in memory, of what other libraries know: `Molecule.from_...`.

RDKit, OpenFF, OpenMM and ASE are imported when a function needs them.
"""

import warnings
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Int

from kstep.config import PrepConfig
from kstep.errors import MoleculeError
from kstep.system.force_field import terms_of
from kstep.system.molecule import Molecule
from kstep.units import NM_PER_ANGSTROM

BONDED: Final = 1.2
"""Longest bond between atoms without a force field, in sums of covalent radii."""


def from_smiles(
    smiles: str,
    name: str | None,
    seed: int,
    solvent: Literal["none", "OBC2"],
    hydrogen_mass: float | None,
) -> Molecule:
    """See `Molecule.from_smiles`."""
    from rdkit import Chem

    from kstep.system.preparation.assembly import assemble, check_geometry
    from kstep.system.preparation.chemistry import parse, remarks_on
    from kstep.system.preparation.conformers import embed
    from kstep.system.preparation.parameters import parametrise

    implicit: Literal["OBC2", "None"] = "OBC2" if solvent == "OBC2" else "None"
    prep = PrepConfig(seed=seed, implicit_solvent=implicit, hydrogen_mass=hydrogen_mass)
    mol = parse(smiles, prep.max_heavy_atoms)
    canonical = Chem.MolToSmiles(mol)
    conformer = embed(mol, prep.seed)
    system = parametrise(conformer.mol, prep).system
    for remark in [*remarks_on(mol, smiles), *check_geometry(conformer, system, name or smiles)]:
        warnings.warn(f"{name or smiles}: {remark}", stacklevel=3)
    return assemble(conformer, system, name or canonical, canonical, prep.hydrogen_mass)


def from_openmm(system: Any, topology: Any, positions: Any) -> Molecule:
    """See `Molecule.from_openmm`."""
    import openmm
    from openmm import unit

    from kstep.system.preparation.assembly import constraints_of, masses_of

    if positions is None:
        positions = getattr(topology, "positions", None)
    if positions is None:
        raise MoleculeError(
            "neither a System nor a Topology holds positions: give them too, nm [N, 3], or a "
            "PDBFile in place of the Topology."
        )
    topology = getattr(topology, "topology", topology)
    atoms = list(topology.atoms())
    if unit.is_quantity(positions):
        positions = positions.value_in_unit(unit.nanometer)
    x = np.array(positions, dtype=np.float64)
    counts = {system.getNumParticles(), len(atoms)}
    if counts != {len(x)} or x.shape != (len(x), 3):
        raise MoleculeError(
            f"a System of {system.getNumParticles()} particles, a Topology of {len(atoms)} atoms "
            f"and positions {x.shape} are not one molecule: give those that belong together."
        )
    if system.usesPeriodicBoundaryConditions():
        raise MoleculeError(
            "the System is periodic, and kstep simulates an isolated molecule: make it with "
            "NoCutoff."
        )
    if any(atom.element is None for atom in atoms):
        raise MoleculeError("the Topology has particles without an element: take them out.")
    text = openmm.XmlSerializer.serialize(system)
    bonds = [[first.index, second.index] for first, second in topology.bonds()]
    return Molecule(
        numbers=np.array([atom.element.atomic_number for atom in atoms], dtype=np.int64),
        masses=masses_of(system),
        positions=x,
        bonds=np.array(bonds, dtype=np.int64).reshape(-1, 2) if bonds else terms_of(text).bonds,
        constraints=constraints_of(system),
        charge=_net_charge(system),
        system=text,
    )


def _net_charge(system: Any) -> int:
    """Sum of a System's partial charges, e; 0 where it has none."""
    import openmm

    forces = [force for force in system.getForces() if isinstance(force, openmm.NonbondedForce)]
    charges = [
        force.getParticleParameters(index)[0]._value
        for force in forces
        for index in range(force.getNumParticles())
    ]
    return round(float(sum(charges)))


def from_ase(atoms: Any) -> Molecule:
    """See `Molecule.from_ase`."""
    from ase.data import covalent_radii

    if atoms.pbc.any():
        raise MoleculeError(
            "the Atoms are periodic, and kstep simulates an isolated molecule: set pbc=False."
        )
    numbers = np.array(atoms.numbers, dtype=np.int64)
    x = NM_PER_ANGSTROM * np.array(atoms.positions, dtype=np.float64)
    radii = NM_PER_ANGSTROM * covalent_radii[numbers]
    reach = BONDED * (radii[:, None] + radii)
    near = np.linalg.norm(x[:, None] - x, axis=-1) < reach
    bonds: Int[np.ndarray, "B 2"] = np.argwhere(np.triu(near, 1)).astype(np.int64)
    return Molecule(
        numbers=numbers,
        masses=np.array(atoms.get_masses(), dtype=np.float64),
        positions=x,
        bonds=bonds,
        name=atoms.get_chemical_formula() or "molecule",
        charge=round(float(atoms.info.get("charge", 0))),
    )

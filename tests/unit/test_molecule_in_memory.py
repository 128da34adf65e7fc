"""Molecules made in memory, of SMILES, OpenMM and ASE."""

import subprocess
import sys

import numpy as np
import openmm
import pytest
from openmm import app, unit

from kstep.config import load_config
from kstep.errors import MoleculeError
from kstep.system.molecule import Molecule
from kstep.workflow import prep


@pytest.mark.parametrize(
    ("smiles", "charge"),
    [
        ("CC(=O)[O-]", -1), ("C[NH3+]", 1), ("[NH3+]CC(=O)[O-]", 0), ("NC(N)=[NH2+]", 1),
        ("COP(=O)([O-])[O-]", -2), ("c1ccccc1Br", 0), ("c1ccccc1I", 0), ("COP(=O)(OC)OC", 0),
        ("C1CCCCCCCCCCC1", 0), ("C12C3C4C1C5C2C3C45", 0), ("C1CC2(C1)CCC2", 0), ("P", 0),
        ("CC(=O)N[C@@H](C)C(=O)NC", 0), ("CS(=O)(=O)[N-]C", -1),
    ],
)  # fmt: skip
def test_molecules_that_kstep_knows(smiles: str, charge: int) -> None:
    molecule = Molecule.from_smiles(smiles)
    assert molecule.charge == charge
    assert molecule.terms.nonbonded[:, 0].sum() == pytest.approx(charge, abs=1e-6)
    hydrogens = (molecule.numbers[molecule.bonds] == 1).any(axis=1)
    np.testing.assert_array_equal(
        {tuple(sorted(pair)) for pair in molecule.bonds[hydrogens].tolist()},
        {tuple(sorted(pair)) for pair in molecule.constraints.tolist()},
    )
    assert len(molecule.terms.bonds) == len(molecule.bonds)


def test_a_peptide_of_eighty_heavy_atoms() -> None:
    """Cyclosporine: a ring of 33, eleven stereocentres, 196 atoms."""
    smiles = (
        "CC[C@H]1C(=O)N(CC(=O)N([C@H](C(=O)N[C@H](C(=O)N([C@H](C(=O)N[C@H](C(=O)N[C@@H](C(=O)"
        "N([C@H](C(=O)N([C@H](C(=O)N([C@H](C(=O)N([C@H](C(=O)N1)[C@@H]([C@H](C)C/C=C/C)O)C)C(C)C)"
        "C)CC(C)C)C)CC(C)C)C)C)C)CC(C)C)C)C(C)C)CC(C)C)C)C"
    )
    molecule = Molecule.from_smiles(smiles, name="cyclosporine")
    assert (molecule.n_atoms, (molecule.numbers > 1).sum()) == (196, 85)


def test_it_is_what_prep_makes(tmp_path) -> None:
    listed = tmp_path / "list.smi"
    listed.write_text("CC(=O)[O-] acetate\n")
    settings = [f"paths.data={tmp_path}", "prep.hydrogen_mass=3", "prep.seed=7"]
    (prepared,) = prep.run(load_config([], settings), listed).molecules
    made = Molecule.from_smiles(
        "CC(=O)[O-]", name="acetate", seed=7, solvent="OBC2", hydrogen_mass=3.0
    )
    assert (made.name, made.smiles, made.charge) == ("acetate", "CC(=O)[O-]", -1)
    assert (prepared.name, prepared.smiles, prepared.charge) == (made.name, made.smiles, -1)
    assert prepared.system_xml.read_text() == made.system
    for field in ("numbers", "masses", "positions", "bonds", "constraints"):
        np.testing.assert_array_equal(getattr(prepared, field), getattr(made, field))


def test_what_was_decided_is_said() -> None:
    with pytest.warns(UserWarning, match="taken as CS"):
        Molecule.from_smiles("C[S+](C)[O-]")
    with pytest.warns(UserWarning, match="axis C2-C4"):
        Molecule.from_smiles("CC=C=CC", name="pentadiene")


def test_solvent_is_a_choice() -> None:
    dry, wet = (Molecule.from_smiles("CO", solvent=solvent) for solvent in ("none", "OBC2"))
    assert "GBSAOBCForce" not in str(dry.system)
    assert "GBSAOBCForce" in str(wet.system)


@pytest.mark.parametrize("smiles", ["", " ", "CO CC", "CO\nCC", "C(("])
def test_what_is_no_smiles_is_refused(smiles: str) -> None:
    with pytest.raises(MoleculeError, match="SMILES"):
        Molecule.from_smiles(smiles)


@pytest.fixture(scope="module")
def parts(phenol) -> tuple[openmm.System, app.PDBFile]:
    system = openmm.XmlSerializer.deserialize(phenol.system_xml.read_text())
    return system, app.PDBFile(str(phenol.pdb))


def test_from_openmm(parts, phenol) -> None:
    system, pdb = parts
    for made in (
        Molecule.from_openmm(system, pdb),
        Molecule.from_openmm(system, pdb.topology, pdb.positions),
        Molecule.from_openmm(system, pdb.topology, pdb.getPositions(asNumpy=True)._value),
    ):
        np.testing.assert_array_equal(made.numbers, phenol.numbers)
        np.testing.assert_allclose(made.masses, phenol.masses)
        np.testing.assert_allclose(made.positions, phenol.positions, atol=1e-4)
        np.testing.assert_array_equal(made.constraints, phenol.constraints)
        assert {tuple(sorted(pair)) for pair in made.bonds.tolist()} == {
            tuple(sorted(pair)) for pair in phenol.bonds.tolist()
        }
        assert made.charge == 0
        np.testing.assert_array_equal(made.terms.angles, phenol.terms.angles)


def test_bonds_that_a_topology_lacks_are_those_of_the_system(parts, phenol) -> None:
    system, pdb = parts
    bare = app.Topology()
    residue = bare.addResidue("MOL", bare.addChain())
    for atom in pdb.topology.atoms():
        bare.addAtom(atom.name, atom.element, residue)
    assert len(Molecule.from_openmm(system, bare, pdb.positions).bonds) == len(phenol.bonds)


def test_parts_that_do_not_belong_together_are_refused(parts) -> None:
    system, pdb = parts
    x = pdb.positions.value_in_unit(unit.nanometer)
    with pytest.raises(MoleculeError, match="holds positions: give them too"):
        Molecule.from_openmm(system, pdb.topology)
    with pytest.raises(MoleculeError, match="13 particles, a Topology of 13 atoms and positions"):
        Molecule.from_openmm(system, pdb.topology, x[:-1])
    periodic = openmm.System()
    for _ in range(13):
        periodic.addParticle(1.0)
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.PME)
    periodic.addForce(force)
    with pytest.raises(MoleculeError, match="System is periodic"):
        Molecule.from_openmm(periodic, pdb.topology, x)


def test_from_ase(phenol) -> None:
    from ase import Atoms

    atoms = Atoms(numbers=phenol.numbers, positions=10 * phenol.positions, info={"charge": -1})
    made = Molecule.from_ase(atoms)
    assert (made.name, made.charge, made.system, len(made.constraints)) == ("C6H6O", -1, None, 0)
    np.testing.assert_allclose(made.positions, phenol.positions)
    np.testing.assert_allclose(made.masses, phenol.masses, rtol=1e-3)
    assert {tuple(pair) for pair in made.bonds.tolist()} == {
        tuple(sorted(pair)) for pair in phenol.bonds.tolist()
    }
    with pytest.raises(MoleculeError, match="no force field"):
        _ = made.terms
    with pytest.raises(MoleculeError, match="are periodic"):
        Molecule.from_ase(Atoms("He", cell=[5, 5, 5], pbc=True))


def test_importing_it_imports_none_of_them() -> None:
    code = (
        "import sys, kstep.system.molecule; "
        "print([m for m in ('rdkit', 'openff', 'openmm', 'ase', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

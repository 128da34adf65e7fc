"""What counts as a molecule, and the conformers of those that do."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from kstep.errors import MoleculeError
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.conformers import embed


@pytest.mark.parametrize(
    ("smiles", "complaint"),
    [
        ("c1ccccc1O(", "cannot be read as SMILES: correct its brackets"),
        ("CN(C)(C)(C)C", "valence for atom # 1 N, 5, is greater"),
        ("c1cccc1", "Can't kekulize"),
        ("[Na+]", "contains Na"),
        ("C[Zn]C", "contains Zn"),
        ("C[N+](C)(C)C.[Cl-]", "several fragments"),
        ("CC(=O)O.CN", "several fragments"),
        ("C[Si](C)(C)C", "contains Si"),
        ("*C", r"contains \*"),
        ("[CH3]", "is a radical"),
        ("[13CH4]", "isotope labels"),
        ("[H][H]", "no heavy atom"),
        ("CCCCCC", "6 heavy atoms, more than the 5"),
        ("CC(O)N", r"stereochemistry of atom 2 \(C\) open"),
        ("CC=CC", "stereochemistry of the bond C2-C3 open"),
        ("CC(=N)N", "stereochemistry of the bond C2-N3 open"),
        ("CPCC", r"stereochemistry of atom 2 \(P\) open"),
    ],
)
def test_refusals_name_the_smiles_and_the_fault(smiles: str, complaint: str) -> None:
    with pytest.raises(MoleculeError, match=complaint) as caught:
        parse(smiles, max_heavy_atoms=5)
    assert smiles in str(caught.value)


@pytest.mark.parametrize(
    "smiles",
    ["C[N+](=O)[O-]", "C[C@H](O)N", r"C/C=C\C", "CN=[N+]=[N-]", "C1CC2CCC1C2", "P", "CP", "CPC",
     "CC(=O)[O-]", "C[NH3+]", "O=C([O-])C[NH3+]", "NC(N)=[NH2+]", "CC(C)=N", "NC(N)=N"],
)  # fmt: skip
def test_molecules_with_settled_stereo_pass(smiles: str) -> None:
    mol = parse(smiles, max_heavy_atoms=10)
    assert Chem.MolToSmiles(mol, isomericSmiles=False) == Chem.CanonSmiles(smiles, useChiral=0)


def test_atom_map_numbers_do_not_make_another_molecule() -> None:
    assert Chem.MolToSmiles(parse("[CH3:1][OH:2]", 5)) == "CO"


def test_conformer_depends_on_the_seed_alone() -> None:
    first, again, other = (
        embed(parse("CCN(CC)CCO", 30), seed).mol.GetConformer().GetPositions() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_conformer_keeps_the_given_handedness() -> None:
    for smiles in ("C[C@H](O)C(=O)O", "C[C@@H](O)C(=O)O"):
        mol = embed(parse(smiles, 30), seed=3).mol
        Chem.AssignStereochemistryFrom3D(mol)
        assert Chem.CanonSmiles(smiles) == Chem.MolToSmiles(Chem.RemoveHs(mol))


def test_uff_stands_in_where_mmff_has_no_parameters() -> None:
    assert embed(parse("c1ccccc1I=O", 30), seed=1).minimiser == "UFF"
    assert embed(parse("c1ccccc1O", 30), seed=1).minimiser == "MMFF94"


def test_conformer_is_a_minimum_of_mmff() -> None:
    mol = embed(parse("CC(=O)Oc1ccccc1C(=O)O", 30), seed=42).mol
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
        mol, rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    )
    gradient = np.array(field.CalcGrad())  # kcal/mol/Å
    assert np.abs(gradient).max() < 0.05


def test_impossible_geometry_has_no_conformer() -> None:
    with pytest.raises(MoleculeError, match="no conformer that ETKDGv3 can find"):
        embed(parse("CN=S=O", 30), seed=1)

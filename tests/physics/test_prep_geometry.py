"""Conformers that cannot be their molecule, and those that can."""

import numpy as np
import pytest
from rdkit import Chem

from kstep.config import PrepConfig, load_config
from kstep.errors import MoleculeError
from kstep.system.preparation.assembly import check_geometry
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.conformers import embed
from kstep.system.preparation.geometry import bent_planes, fault
from kstep.system.preparation.parameters import parametrise
from kstep.workflow import prep


def _mol(smiles: str) -> tuple[Chem.Mol, np.ndarray]:
    conformer = embed(parse(smiles, 100), 42)
    return conformer.mol, conformer.mol.GetConformer().GetPositions()


@pytest.mark.parametrize(
    "smiles",
    ["CCO", "N#N", "O=C=O", "CN=C=O", "CC#N", "OO", "IC(I)(I)I", "C1C2CC1C2", "C1CC2(C1)CCC2",
     "C12C3C4C1C5C2C3C45", "CS(C)(=O)=O", "COP(=O)(OC)OC", "OCl(=O)(=O)=O", "CC(C)=C=C", "FC(F)=O",
     "CN=[N+]=[N-]", "C[N+](=O)[O-]", "O", "ClP(Cl)(Cl)(Cl)Cl", "FS(F)(F)F", "O=S(=O)=O"],
)  # fmt: skip
def test_sound_molecules_pass(smiles: str) -> None:
    assert fault(*_mol(smiles)) is None


def test_a_broken_bond_a_short_one_and_a_contact_are_named() -> None:
    mol, x = _mol("CO")
    along = (x[1] - x[0]) / np.linalg.norm(x[1] - x[0])
    apart, close = x.copy(), x.copy()
    apart[1] = x[0] + 2.1 * along
    close[1] = x[0] + 0.9 * along
    assert fault(mol, apart) == "the bond between C1 and O2 is broken, 2.10 Å"
    assert fault(mol, close) == "the bond between C1 and O2 is too short, 0.90 Å"
    clash = x.copy()
    clash[3] = x[2] + [0.5, 0.0, 0.0]
    assert "H3 and H4 are as close as bonded atoms, 0.50 Å" in str(fault(mol, clash))


def test_pcl5_with_chlorines_on_top_of_each_other() -> None:
    """Tetrahedral bond directions for five neighbours: two of them some 1 Å apart."""
    mol, x = _mol("ClP(Cl)(Cl)(Cl)Cl")
    lengths = np.linalg.norm(np.delete(x, 1, 0) - x[1], axis=1)
    assert lengths == pytest.approx(2.1, abs=0.15)
    across = np.cross(x[2] - x[1], x[3] - x[1])
    x[0] = (
        x[1] + 2.05 * ((x[2] - x[1]) / lengths[1] + 0.52 * across / np.linalg.norm(across)) / 1.127
    )
    assert "Cl1 and Cl3 are as close as bonded atoms, 0.98 Å" in str(fault(mol, x))


def test_centres_must_point_where_their_pairs_are() -> None:
    mol, x = _mol("O=S(=O)=O")
    x[1] += (
        0.6
        * np.cross(x[2] - x[0], x[3] - x[0])
        / np.linalg.norm(np.cross(x[2] - x[0], x[3] - x[0]))
    )
    assert fault(mol, x) == "S2 is pyramidal, where it must be flat"
    mol, x = _mol("O=C=O")
    x[0] = x[1] + [0.0, 1.2, 0.0]
    x[2] = x[1] + [1.2, 0.0, 0.0]
    assert fault(mol, x) == "C2 is bent, where it must be straight"


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ("ClP(Cl)(Cl)(Cl)Cl", "P2 has no two bonds opposite to each other, as 5 pairs must"),
        ("FS(F)(F)F", "S2 has no two bonds opposite"),
        ("O=S(=O)=O", "S2 is pyramidal, where it must be flat"),
    ],
)
def test_a_force_field_that_makes_another_molecule_is_refused(smiles: str, words: str) -> None:
    conformer = embed(parse(smiles, 10), 42)
    system = parametrise(conformer.mol, PrepConfig()).system
    with pytest.raises(MoleculeError, match=f"x: at the minimum of its force field {words}"):
        check_geometry(conformer, system, "x")


def test_a_carbonyl_that_the_force_field_bends_is_said() -> None:
    """OpenFF's minimum of a beta-lactam has its carbonyl carbon 0.3 Å above the plane."""
    conformer = embed(parse("O=C1CCN1", 10), 42)
    (remark,) = check_geometry(conformer, parametrise(conformer.mol, PrepConfig()).system, "lactam")
    assert "C2 by 0.28 Å" in remark
    assert bent_planes(*_mol("O=C1CCN1")) == []


def test_gfn2_has_pcl5_and_water_with_two_constraints(tmp_path) -> None:
    """Its minimum has bonds of 2.03 and 2.16 Å; of water the bonds are fixed, not the angle."""
    listed = tmp_path / "list.smi"
    listed.write_text("ClP(Cl)(Cl)(Cl)Cl pcl5\nO water\n")
    settings = ["potential.name=gfn2-xtb", f"paths.data={tmp_path}"]
    pcl5, water = prep.run(load_config([], settings), listed).molecules
    arms = pcl5.positions[pcl5.bonds[:, 0]] - pcl5.positions[pcl5.bonds[:, 1]]
    lengths = np.sort(np.linalg.norm(arms, axis=1))
    np.testing.assert_allclose(lengths, [0.203, 0.203, 0.203, 0.216, 0.216], atol=5e-4)
    assert water.constraints.tolist() == [[0, 1], [0, 2]]
    assert len(water.terms.angles) == 1

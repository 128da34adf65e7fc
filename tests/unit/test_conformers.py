"""Several conformers of one molecule."""

import numpy as np
import pytest

from kstep.errors import MoleculeError
from kstep.system.molecule import Molecule
from kstep.system.preparation.conformers import conformers


@pytest.fixture(scope="module")
def butanol() -> Molecule:
    return Molecule.from_smiles("C[C@H](O)CC")


def _signed_volume(x: np.ndarray) -> float:
    """Of the four neighbours of the centre, atom 1: methyl, hydroxyl, ethyl, hydrogen."""
    return float(np.linalg.det(x[[0, 2, 3]] - x[1]))


def test_they_differ_and_are_the_same_stereoisomer_in_the_same_order(butanol: Molecule) -> None:
    found = conformers(butanol, 4)
    assert found.shape == (3, butanol.n_atoms, 3)  # of its chain; hydroxyls do not count
    handedness = np.sign([_signed_volume(x) for x in (butanol.positions, *found)])
    assert abs(handedness.sum()) == 4
    for first, second in butanol.bonds.tolist():
        lengths = np.linalg.norm(found[:, first] - found[:, second], axis=1)
        own = np.linalg.norm(butanol.positions[first] - butanol.positions[second])
        np.testing.assert_allclose(lengths, own, atol=0.003)
    backbones = np.linalg.norm(found[:, 0] - found[:, 4], axis=1)
    assert np.ptp(backbones) > 0.05


def test_the_seed_decides_and_nothing_else(butanol: Molecule) -> None:
    first, again = (conformers(butanol, 3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_stiff_molecule_has_fewer() -> None:
    benzene = Molecule.from_smiles("c1ccccc1")
    assert len(conformers(benzene, 5)) == 1


def test_a_molecule_whose_smiles_is_unknown_has_none(butanol: Molecule) -> None:
    from dataclasses import replace

    with pytest.raises(MoleculeError, match="has no SMILES to make conformers of"):
        conformers(replace(butanol, smiles=""), 2)

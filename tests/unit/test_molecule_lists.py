"""The lists of molecules that ship: every line is sound, and the held-out ones stay out."""

from functools import cache
from pathlib import Path

import pytest
from rdkit import Chem

from kstep.config import load_config
from kstep.system.names import SAFE_NAME
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.smiles_list import Entry, read_smiles_list

DATA = Path(__file__).parents[2] / "data"
HELD_OUT = DATA / "molecules.smi"
LARGE = DATA / "molecules_large.smi"


@cache
def _molecules(path: Path) -> list[tuple[Entry, Chem.Mol]]:
    limit = load_config([], []).prep.max_heavy_atoms
    return [(entry, parse(entry.smiles, limit)) for entry in read_smiles_list(path)]


@pytest.mark.parametrize("path", [HELD_OUT, LARGE], ids=lambda path: path.stem)
def test_every_line_is_a_molecule_with_a_name_of_its_own(path: Path) -> None:
    molecules = _molecules(path)
    names = [entry.name or "" for entry, _ in molecules]
    assert all(SAFE_NAME.fullmatch(name) for name in names)
    assert len({name.casefold() for name in names}) == len(names)
    assert len({Chem.MolToSmiles(mol) for _, mol in molecules}) == len(molecules)


def test_lists_share_no_molecule_not_even_a_mirror_image() -> None:
    flat = [
        {Chem.MolToSmiles(mol, isomericSmiles=False) for _, mol in _molecules(path)}
        for path in (HELD_OUT, LARGE)
    ]
    assert not flat[0] & flat[1]


def test_large_list_keeps_to_its_size_and_elements() -> None:
    molecules = [Chem.AddHs(mol) for _, mol in _molecules(LARGE)]
    assert 320 <= len(molecules) <= 360
    assert {atom.GetSymbol() for mol in molecules for atom in mol.GetAtoms()} == {
        "H", "C", "N", "O", "F", "S", "Cl",
    }  # fmt: skip
    assert all(4 <= mol.GetNumHeavyAtoms() <= 17 for mol in molecules)
    assert all(mol.GetNumAtoms() <= 38 for mol in molecules)

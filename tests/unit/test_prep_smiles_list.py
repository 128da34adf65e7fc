"""The list of molecules as lines."""

from pathlib import Path

import pytest

from kstep.errors import MoleculeError
from kstep.system.names import SAFE_NAME
from kstep.system.preparation.smiles_list import Entry, read_smiles_list


def _read(tmp_path: Path, text: str) -> list[Entry]:
    path = tmp_path / "list.smi"
    path.write_bytes(text.encode())
    return read_smiles_list(path)


def test_comments_blank_lines_and_line_ends(tmp_path: Path) -> None:
    entries = _read(tmp_path, "\ufeff# title\r\n\r\n  CCO   ethanol  # a solvent\r\nCC#N\r\n")
    assert entries == [
        Entry(3, "CCO   ethanol  # a solvent", "CCO", "ethanol"),
        Entry(4, "CC#N", "CC#N", None),
    ]


def test_name_keeps_its_spaces_for_the_check_to_refuse(tmp_path: Path) -> None:
    (entry,) = _read(tmp_path, "CCO ethyl alcohol\n")
    assert entry.name == "ethyl alcohol"
    assert not SAFE_NAME.fullmatch(entry.name)


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
def test_list_without_molecules_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(MoleculeError, match=r"list\.smi holds no molecule"):
        _read(tmp_path, text)


def test_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(MoleculeError, match=r"absent\.smi does not exist"):
        read_smiles_list(tmp_path / "absent.smi")


def test_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.smi"
    path.write_bytes(b"\xff\xfe\x00C")
    with pytest.raises(MoleculeError, match="cannot be read as text"):
        read_smiles_list(path)

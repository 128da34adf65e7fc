"""A name is checked before it becomes a path."""

import json
import shutil
from pathlib import Path

import pytest

from kstep.errors import ArtifactError, MoleculeError
from kstep.system.names import check_name
from kstep.system.prepared import load_molecules, write_index


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../..", "a/b", "/tmp/x", "a\\b", "-x", "_x", ".hidden", "a.b", "a b", "é",
     "a\n", "x" * 65, "eval", "Train", "data", "report", "hybrid", "adapt", "grid", "external"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(MoleculeError, match="cannot name"):
        check_name(name)


@pytest.mark.parametrize("name", ["phenol", "2-methylpropan-1-ol", "mobley_1034539", "x" * 64])
def test_usual_names_stay_what_they_are(name: str) -> None:
    assert check_name(name) == name


def test_an_index_that_lists_nothing_is_an_error(tmp_path: Path) -> None:
    write_index(tmp_path, [], [])
    with pytest.raises(ArtifactError, match=r"index\.json lists no molecule: run `kstep prep`"):
        load_molecules(tmp_path)


def test_an_index_does_not_lead_out_of_its_folder(tmp_path: Path, phenol) -> None:
    shutil.copytree(phenol.directory, tmp_path / "elsewhere")
    write_index(tmp_path / "raw", ["../elsewhere"], [])
    with pytest.raises(MoleculeError, match=r"'\.\./elsewhere' cannot name files"):
        load_molecules(tmp_path / "raw")


def test_nor_does_a_manifest(tmp_path: Path, phenol) -> None:
    directory = shutil.copytree(phenol.directory, tmp_path / "raw" / "phenol")
    manifest = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps({**manifest, "name": "../phenol"}))
    write_index(tmp_path / "raw", ["phenol"], [])
    with pytest.raises(MoleculeError, match=r"'\.\./phenol' cannot name files"):
        load_molecules(tmp_path / "raw")

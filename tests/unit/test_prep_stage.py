"""The prep stage: files, resume, and lists with bad lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from kstep.artifacts import hash_bytes, hash_file
from kstep.config import Config, load_config
from kstep.errors import ArtifactError, ConfigError, MoleculeError
from kstep.system.names import SAFE_NAME
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.smiles_list import read_smiles_list
from kstep.system.prepared import load_molecule
from kstep.workflow import prep
from kstep.workflow.prep import folder

LIST = """\
CO methanol
C(( broken
CC(=O)[O-].[Na+] acetate
OC methanol-again
CCO ../ethanol
CCO Methanol
C#N
"""


def _config(data: Path, *overrides: str) -> Config:
    return load_config([], [f"paths.data={data}", *overrides])


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def prepared(data: Path) -> prep.Prepared:
    return prep.run(_config(data), _write(data / "list.smi", LIST))


def test_good_lines_survive_bad_ones(prepared: prep.Prepared) -> None:
    assert [molecule.smiles for molecule in prepared.molecules] == ["CO", "C#N"]
    assert [failure.line for failure in prepared.failures] == [2, 3, 4, 5, 6]
    complaints = [
        "read as SMILES",
        "several fragments",
        "line 1 again",
        "cannot name files",
        "is taken",
    ]
    for failure, complaint in zip(prepared.failures, complaints, strict=True):
        assert complaint in failure.reason


def test_failures_are_on_file(prepared: prep.Prepared, data: Path) -> None:
    listed = json.loads((data / "raw" / "index.json").read_text())["failures"]
    assert [(f["line"], f["text"], f["reason"]) for f in listed] == [
        (f.line, f.text, f.reason) for f in prepared.failures
    ]


def test_nameless_molecule_is_named_after_its_formula(prepared: prep.Prepared) -> None:
    assert prepared.molecules[1].name.startswith("CHN-")


def test_files_describe_the_same_molecule(prepared: prep.Prepared) -> None:
    methanol = prepared.molecules[0]
    mol = Chem.MolFromMolFile(str(methanol.directory / "molecule.sdf"), removeHs=False)
    assert mol.GetProp("_Name") == "methanol"
    assert [atom.GetAtomicNum() for atom in mol.GetAtoms()] == methanol.numbers.tolist()
    np.testing.assert_allclose(
        mol.GetConformer().GetPositions() / 10, methanol.positions, atol=1e-5
    )
    atoms = [line for line in methanol.pdb.read_text().splitlines() if line.startswith("HETATM")]
    assert [line[12:16].strip() for line in atoms] == ["C1", "O1", "H1", "H2", "H3", "H4"]
    in_pdb = [[float(line[start : start + 8]) for start in (30, 38, 46)] for line in atoms]
    np.testing.assert_allclose(np.array(in_pdb) / 10, methanol.positions, atol=6e-5)


def test_manifest_tells_how_it_was_made(prepared: prep.Prepared) -> None:
    manifest = prepared.molecules[0].manifest
    assert manifest["input_smiles"] == "CO"
    assert manifest["facts"]["formula"] == "CH4O"
    assert manifest["conformer"] == {"embedding": "ETKDGv3", "seed": 42, "minimiser": "MMFF94"}
    assert {"OpenMM", "rdkit", "kstep"} <= manifest["versions"].keys()
    assert abs(sum(manifest["charges_e"])) < 1e-12


def test_second_run_makes_nothing_again(
    prepared: prep.Prepared, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kstep.workflow.prep.stage.make", lambda *_: pytest.fail("made again"))
    again = prep.run(_config(data), data / "list.smi")
    assert [m.fingerprint for m in again.molecules] == [m.fingerprint for m in prepared.molecules]


@pytest.mark.parametrize("victim", ["system.xml", "molecule.pdb", "manifest.json"])
def test_damaged_folder_is_made_again_with_the_same_bytes(tmp_path: Path, victim: str) -> None:
    listed = _write(tmp_path / "list.smi", "CO methanol\n")
    (before,) = prep.run(_config(tmp_path), listed).molecules
    hashes = {path.name: hash_file(path) for path in before.directory.iterdir()}
    path = before.directory / victim
    path.write_bytes(path.read_bytes()[:100])
    prep.run(_config(tmp_path), listed)
    assert {path.name: hash_file(path) for path in before.directory.iterdir()} == hashes


def test_changed_settings_are_not_silently_ignored(tmp_path: Path) -> None:
    listed = _write(tmp_path / "list.smi", "CO methanol\n")
    (before,) = prep.run(_config(tmp_path), listed).molecules
    free = ("prep.constraints=None", "md.constraints=None")
    (after,) = prep.run(_config(tmp_path, *free), listed).molecules
    assert (len(before.constraints), len(after.constraints)) == (4, 0)


def test_where_the_list_lies_does_not_matter(prepared: prep.Prepared, tmp_path: Path) -> None:
    hashes = [folder.settings_hash(_config(tmp_path, f"prep.molecules={name}")) for name in "ab"]
    assert hashes[0] == hashes[1] == prepared.molecules[0].manifest["config_hash"]


def test_uff_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "kstep.system.preparation.conformers.rdForceFieldHelpers.MMFFHasAllMoleculeParams",
        lambda _: False,
    )
    (molecule,) = prep.run(_config(tmp_path), _write(tmp_path / "l.smi", "CO methanol")).molecules
    assert molecule.manifest["conformer"]["minimiser"] == "UFF"
    assert "methanol: minimised with UFF" in capsys.readouterr().err


def test_nothing_but_bad_lines_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = _write(tmp_path / "list.smi", "C(( broken\n")
    with pytest.raises(MoleculeError, match=r"none of the 1 molecules of .*list\.smi"):
        prep.run(_config(tmp_path), listed)
    assert "list.smi, line 1: C((" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("prep.force_field=absent.offxml", "not a force field that OpenFF can read"),
        ("prep.charge_model=absent.pt", "not an installed NAGL model"),
    ],
)
def test_absent_models_are_a_fault_of_the_configuration(
    tmp_path: Path, override: str, complaint: str
) -> None:
    listed = _write(tmp_path / "list.smi", "CO methanol\n")
    with pytest.raises(ConfigError, match=complaint):
        prep.run(_config(tmp_path, override), listed)


@pytest.mark.parametrize(
    ("smiles", "complaint"),
    [
        ("BrBr", "cannot be parametrised"),
        ("CC(=N)N", "leaves the stereochemistry of the bond C2-N3 open"),
    ],
)
def test_missing_parameters_name_the_molecule(tmp_path: Path, smiles: str, complaint: str) -> None:
    listed = _write(tmp_path / "list.smi", f"CO methanol\n{smiles} odd\n")
    result = prep.run(_config(tmp_path), listed)
    assert [m.name for m in result.molecules] == ["methanol"]
    assert smiles in result.failures[0].reason
    assert complaint in result.failures[0].reason
    assert not (tmp_path / "raw" / "odd").exists()


def test_the_list_that_comes_with_kstep_is_sound() -> None:
    entries = read_smiles_list(Path(__file__).parents[2] / "data" / "molecules.smi")
    canonical = {Chem.MolToSmiles(parse(entry.smiles, 30)) for entry in entries}
    names = {entry.name for entry in entries}
    assert len(entries) == len(canonical) == len(names) == 12
    assert all(name and SAFE_NAME.fullmatch(name) for name in names)
    wanted = ["c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN(CC)CCO", "c1ccncc1", "CC(C)CO",
              "C1=CC(=O)NC(=O)N1"]  # fmt: skip
    assert {Chem.CanonSmiles(smiles) for smiles in wanted} <= canonical


def test_folder_cut_short_is_no_molecule(tmp_path: Path) -> None:
    (molecule,) = prep.run(_config(tmp_path), _write(tmp_path / "l.smi", "CO m")).molecules
    manifest = molecule.directory / "manifest.json"
    manifest.unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing"):
        load_molecule(molecule.directory)


def test_hydrogens_are_made_as_heavy_as_asked_for(prepared: prep.Prepared, tmp_path: Path) -> None:
    smiles = _write(tmp_path / "list.smi", "CO methanol")
    (made,) = prep.run(_config(tmp_path, "prep.hydrogen_mass=3"), smiles).molecules
    natural = prepared.molecules[0]
    np.testing.assert_allclose(made.masses[made.numbers == 1], 3.0)
    assert made.masses.sum() == pytest.approx(natural.masses.sum())
    assert made.fingerprint != natural.fingerprint
    _write(smiles, "CO methanol\nO=C=O dioxide")
    too_heavy = prep.run(_config(tmp_path, "prep.hydrogen_mass=6"), smiles)
    assert [molecule.name for molecule in too_heavy.molecules] == ["dioxide"]
    assert "too light to give its hydrogens 6 Da" in too_heavy.failures[0].reason


def test_natural_masses_leave_the_settings_what_they_were(tmp_path: Path) -> None:
    """Folders made before masses could be chosen, under a lower limit of size, stay current."""
    former = {"molecules": None, "max_heavy_atoms": 30}
    settings = _config(tmp_path).prep.model_dump(mode="json") | former
    del settings["hydrogen_mass"]
    content = json.dumps([settings], sort_keys=True).encode()
    assert folder.settings_hash(_config(tmp_path)) == hash_bytes(content)
    assert folder.settings_hash(_config(tmp_path, "prep.hydrogen_mass=3")) != hash_bytes(content)

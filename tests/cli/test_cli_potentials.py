"""The true potential chosen on the command line."""

import json
import shutil
from pathlib import Path

import pytest
from test_cli_smiles import QUICK

from kstep.system.prepared import load_molecule
from kstep.system.trajectory import load_trajectory
from kstep.workflow.cli.main import main

TINY = [
    "md.temperature_K=300", "md.replicas=1", "md.length_ns=0.0002", "md.equilibration_ps=0.04",
    "md.save_interval_steps=10", "md.nve_window_ps=0", "md.motion.windows=0", "md.burst.count=2",
]  # fmt: skip


def last_error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_prep_and_md_with_tight_binding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("methanol.smi").write_text("CO methanol\n")
    assert main(["prep", "--potential", "gfn2-xtb", "prep.molecules=methanol.smi"]) == 0
    assert main(["md", "--potential", "gfn2-xtb", *TINY]) == 0
    trajectory = load_trajectory(Path("data/md/methanol.npz"))
    assert trajectory.record["potential"]["name"] == "gfn2-xtb"
    assert trajectory.epot.mean() < -20000  # an electronic energy, kJ/mol
    for stage in ("md", "controls", "dataset", "run", "adapt", "eval", "grid"):
        assert main([stage, *TINY]) == 2
        assert "was prepared with potential.name=gfn2-xtb" in last_error(capsys)


@pytest.mark.parametrize("command", [["run"], ["adapt", "hybrid.network=shipped"]])
def test_a_network_of_another_potential_is_refused_before_anything_is_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*command, "--smiles", "CO", "--name", "methanol", f"paths.run={tmp_path}"]
    assert main([*words, "--potential", "gfn2-xtb", *TINY]) == 4
    sentence = last_error(capsys)
    assert (
        "network splitting learned the forces of openff-2.2.1 in OBC2, not those of gfn2-xtb"
        in sentence
    )
    assert "use `kstep adapt`, which makes a network for them first" in sentence
    assert not (tmp_path / "methanol" / "data").exists()


def test_a_given_system_goes_all_the_way(
    tmp_path: Path,
    phenol_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = [*phenol_files, f"paths.run={tmp_path}", *QUICK, "hybrid.motion.windows=0"]
    assert main(["run", *run]) == 0
    report = capsys.readouterr().out.splitlines()[-1].removeprefix("report: ")
    assert Path(report).is_file()
    (folder,) = tmp_path.glob("molecule_*")
    molecule = load_molecule(folder / "data" / "raw" / folder.name)
    assert molecule.manifest["potential"] == {"name": "system"}
    (judged,) = json.loads((folder / "eval" / "metrics.json").read_text())["molecules"]
    assert judged["name"] == folder.name
    ours = folder / "hybrid" / f"{folder.name}.npz"
    before = ours.stat().st_mtime_ns
    assert main(["run", *run]) == 0
    assert ours.stat().st_mtime_ns == before


@pytest.fixture
def phenol_files(phenol, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for phenol's files, as somebody else would have them."""
    theirs = tmp_path_factory.mktemp("theirs")
    shutil.copy(phenol.pdb, theirs)
    shutil.copy(phenol.system_xml, theirs)
    return [
        "--system", str(theirs / "system.xml"), "--topology", str(theirs / "molecule.pdb"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--potential", "b3lyp"], "potential.name (in the override potential.name=b3lyp)"),
        (["--potential", "ase"], "calculator (package.module:callable) goes with name ase"),
        (["potential.calculator=a.b:c"], "goes with name ase, and with no other"),
        (["--potential", "ase", "potential.calculator=a.b"], "a.b is not of the form package"),
        (["potential.solvent=water"], "solvent is for gfn2-xtb and gfn1-xtb: leave it out"),
        (["--topology", "x.pdb"], "--topology says nothing without --system"),
        (["--system", "x.xml"], "--system needs --topology too"),
        (["--system", "x.xml", "--topology", "x.pdb"], "x.pdb does not exist"),
        (["--smiles", "CO", "--system", "x.xml"], "--smiles and --system are two ways"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) in (2, 4)
    sentence = last_error(capsys)
    assert sentence.startswith("kstep: ")
    assert words in sentence


def test_a_topology_without_positions_or_of_another_molecule_is_refused(
    tmp_path: Path, phenol_files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    topology = Path(phenol_files[-1])
    atoms = [line for line in topology.read_text().splitlines() if not line.startswith("CONECT")]
    topology.write_text("\n".join(line for line in atoms if " H6 " not in line) + "\n")
    assert main(["run", *phenol_files, f"paths.run={tmp_path}"]) == 4
    assert "has 12 atoms" in last_error(capsys)


def test_help_lists_the_potential(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("prep", "md", "run", "adapt", "all"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        out = capsys.readouterr().out
        assert "potential.name=openff" in out
        assert "--potential NAME" in out

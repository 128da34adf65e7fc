"""The whole chain at toy length, every stage real, through the command line."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from kstep.workflow.cli.main import main

ROOT = Path(__file__).parents[2]
STEPS = {
    "00_prep_mols.py": "prep",
    "01_run_md_baselines.py": "md",
    "02_make_dataset.py": "dataset",
    "03_model.py": "model",
    "04_train.py": "train",
    "05_eval_drift_rdfs.py": "eval",
    "06_hybrid_integrate.py": "run",
}
SETTINGS = [
    "md.replicas=2",
    "md.length_ns=0.01",
    "md.motion.windows=4",
    "md.motion.window_ps=2",
    "controls.replicas=2",
    "controls.length_ns=0.01",
    "controls.nve_windows=1",
    "controls.nve_window_ps=2",
    "controls.integrators=[half_fs, hmr_3]",
    "md.equilibration_ps=1",
    "md.nve_window_ps=2",
    "md.nve_every_ps=5",
    "md.burst.count=60",
    "model.hidden_channels=16",
    "model.vec_channels=8",
    "model.num_layers=3",
    "train.epochs=1",
    "train.val_every_steps=50",
    "hybrid.length_ps=4",
    "hybrid.replicas=2",
    "hybrid.nve_windows=3",
    "hybrid.nve_rescaled_windows=1",
    "hybrid.motion.windows=4",
    "hybrid.motion.window_ps=2",
    "hybrid.map_samples=2",
    "hybrid.nve_window_ps=2",
    "hybrid.basin.starts=2",
    "hybrid.basin.length_ps=1",
    "eval.bootstrap=50",
]


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    smiles = folder / "molecules.smi"
    smiles.write_text("c1ccccc1O phenol\nnonsense bad\nCC(C)CO 2-methylpropan-1-ol\n")
    paths = [f"paths.data={folder / 'data'}", f"paths.run={folder / 'run'}"]
    quick = ["--config", str(ROOT / "configs" / "quick"), f"prep.molecules={smiles}"]
    return folder, [*quick, *paths, *SETTINGS]


@pytest.fixture(scope="module")
def first(arguments):
    """The chain run once, in a process of its own, as a user runs it."""
    command = [sys.executable, "-m", "kstep", "all", *arguments[1]]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_chain_ends_with_a_table_and_a_report(first, arguments):
    assert "Traceback" not in first.stderr
    table, report = first.stdout.split("eval: ")[0], first.stdout.splitlines()[-1]
    assert "phenol" in table
    assert "verdict" in table
    html = Path(report.removeprefix("report: "))
    assert html == arguments[0] / "run" / "report" / "report.html"
    assert "phenol" in html.read_text()


def test_one_bad_molecule_does_not_stop_the_others_but_is_told(first):
    assert first.returncode != 0
    assert "line 2" in first.stderr
    assert "1 failed" in first.stderr


def test_a_second_run_repeats_nothing(first, arguments, capsys):
    files = [path for path in arguments[0].rglob("*") if path.suffix in (".npz", ".ckpt", ".html")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert before
    main(["all", *arguments[1]])
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert "phenol" in capsys.readouterr().out


def test_every_artifact_says_what_it_was_made_from(first, arguments):
    run = arguments[0] / "run"
    training = json.loads((run / "train" / "record.json").read_text())
    metrics = json.loads((run / "eval" / "metrics.json").read_text())
    assert {"config_hash", "dataset_hash", "split_hashes", "seed"} <= training.keys()
    assert metrics["provenance"]["phenol"]["candidate"]["checkpoint_hash"]


def test_trained_on_other_data_is_refused(first, arguments, capsys):
    assert main(["train", *arguments[1], "train.seed=7"]) != 0
    assert "train" in capsys.readouterr().err


def test_the_openmm_example_runs_on_what_the_chain_left(first, arguments):
    folder = arguments[0]
    script = ROOT / "examples" / "openmm_simulation.py"
    command = [sys.executable, str(script), str(folder / "data"), str(folder / "run"), "phenol"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "force calls" in result.stdout
    assert (folder / "run" / "phenol.dcd").exists()


@pytest.mark.parametrize(("script", "command"), STEPS.items())
def test_the_step_scripts_are_the_commands(script, command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / "src" / script))
    assert f"kstep {command}" in capsys.readouterr().out
    assert len((ROOT / "src" / script).read_text().strip().splitlines()) <= 3


def test_the_model_command_prints_a_summary(capsys):
    assert main(["model", "--config", str(ROOT / "configs" / "quick")]) == 0
    assert "parameters" in capsys.readouterr().out

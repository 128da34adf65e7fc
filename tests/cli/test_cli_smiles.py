"""One molecule from its SMILES to a report, with a network that comes with kstep."""

import argparse
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli_chain import SETTINGS

from kstep.config import Config, load_config
from kstep.workflow.cli import commands
from kstep.workflow.cli.main import main

QUICK = [
    *(setting for setting in SETTINGS if not setting.startswith(("model.", "train.", "controls."))),
    "md.temperature_K=300", "hybrid.temperature_K=300", "hybrid.basin.starts=0",
    "adapt.replicas=1", "adapt.length_ps=1", "adapt.bursts=10", "adapt.steps=200",
    "adapt.val_every_steps=20",
]  # fmt: skip


def kstep(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "kstep", command, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("command", "least", "most"), [("run", 0, 0), ("adapt", 500, 2000)])
def test_one_command_leads_to_a_report(tmp_path: Path, command: str, least: int, most: int) -> None:
    run = f"paths.run={tmp_path}"
    done = kstep(command, "--smiles", "CCO", "--name", "ethanol", run, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert Path(done.stdout.splitlines()[-1].removeprefix("report: ")).is_file()
    metrics = json.loads((tmp_path / "ethanol" / "eval" / "metrics.json").read_text())
    cost = metrics["molecules"][0]["cost"]
    assert least <= cost["training_calls"] <= most
    assert cost["rejected_share"] < 0.05  # an unseen molecule, at the first attempt


@pytest.mark.parametrize(("ensemble", "held_against"), [("ghmc", [["ghmc"]]), ("nvt", [])])
@pytest.mark.parametrize("command", ["run_smiles", "adapt_smiles"])
def test_exact_sampling_is_held_against_the_limit_of_small_steps(
    command: str,
    ensemble: str,
    held_against: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of which there was none: plain MD at 2 fs has an error of its own, larger than a margin."""
    called: dict[str, Config] = {}
    for name in ("prep", "check_network", "adapt", "md", "controls", "run", "evaluate", "report"):
        stage = functools.partial(lambda name, config: called.update({name: config}) or 0, name)
        monkeypatch.setattr(commands, name, stage)
    config = load_config([], [f"paths.run={tmp_path}", f"hybrid.ensemble={ensemble}"])
    options = argparse.Namespace(smiles="CCO", name="ethanol")
    assert getattr(commands, command)(config, options) == 0
    assert list(called)[-3:] == ["run", "evaluate", "report"]
    controls = [
        config.controls.integrators for name, config in called.items() if name == "controls"
    ]
    assert controls == held_against


def test_an_element_the_network_has_not_seen_is_refused(tmp_path: Path) -> None:
    done = kstep("run", "--smiles", "CCBr", f"paths.run={tmp_path}", *QUICK)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kstep: ")
    assert "holds Br, which the shipped network splitting was not trained on" in last
    (own,) = tmp_path.iterdir()
    assert [path.name for path in (own / "data").iterdir()] == ["raw"]  # before a baseline is run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "ethanol"], "--name says nothing without --smiles"),
        (["--smiles", "CCO", "CCN"], "'CCN' is not an override"),
        (["--smiles", ""], "nothing was given as a SMILES"),
        (["--smiles", "CCO\nCCN"], "'CCO CCN' was given as a SMILES: give that of one molecule"),
        (["--smiles", "CCO ethanol"], "'CCO ethanol' was given as a SMILES"),
        (["--smiles", "CCO", "--name", ""], "'' cannot name files"),
        (["--smiles", "CCO", "--name", "../.."], "'../..' cannot name files"),
        (["--smiles", "CCO", "--name", "/tmp/x"], "'/tmp/x' cannot name files"),
        (["--smiles", "CCO", "--name", "eval"], "'eval' cannot name a molecule"),
    ],
)
@pytest.mark.parametrize("command", ["run", "adapt"])
def test_options_that_make_no_sense_are_refused_before_anything_is_written(
    command: str,
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, *arguments]) != 0
    assert words in capsys.readouterr().err
    assert list(tmp_path.rglob("*")) == []


def test_a_name_that_leads_elsewhere_leaves_the_index_alone(
    tmp_path: Path, place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "data" / "raw" / "index.json").read_bytes()
    assert main(["run", "--smiles", "CCO", "--name", "../.."]) != 0
    assert (tmp_path / "data" / "raw" / "index.json").read_bytes() == before


def test_masses_and_steps_are_checked_before_a_baseline_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--smiles", "C", "--name", "methane", f"paths.run={tmp_path}", *QUICK]
    assert main([*words, "prep.hydrogen_mass=4"]) == 3
    assert "too light to give its hydrogens 4 Da" in capsys.readouterr().err
    free = ["prep.constraints=None", "md.constraints=None", "md.dt_fs=4"]
    assert main([*words, *free]) == 2
    assert "methane: md.dt_fs=4 is too long for its masses, since C1-H2" in capsys.readouterr().err
    assert not (tmp_path / "methane" / "data" / "md").exists()

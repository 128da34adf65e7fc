"""One molecule from its SMILES to a report, with a network that comes with kstep."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli_chain import SETTINGS

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


def test_an_element_the_network_has_not_seen_is_refused(tmp_path: Path) -> None:
    done = kstep("run", "--smiles", "CCBr", f"paths.run={tmp_path}", *QUICK)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kstep: ")
    assert "holds Br, which the shipped network splitting was not trained on" in last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "ethanol"], "--name says nothing without --smiles"),
        (["--smiles", "CCO", "CCN"], "'CCN' is not an override"),
    ],
)
def test_options_that_say_nothing_are_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) != 0
    assert words in capsys.readouterr().err

"""The commands of docs/tutorial-xtb.md, as they stand there, on a smaller molecule."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial-xtb.md").read_text()
PRESET = ROOT / "configs" / "xtb"

THEIRS, OURS = "NAME=phenol SMILES=c1ccccc1O", "NAME=methanol SMILES=CO"
SHORT: dict[str, dict[str, Any]] = {
    "adapt": {"labels": [30, 60], "steps": 400},
    "md": {
        "replicas": 2, "length_ns": 0.002, "equilibration_ps": 0.2, "nve_window_ps": 0.5,
        "nve_every_ps": 1, "motion": {"windows": 2, "window_ps": 0.5},
    },
    "hybrid": {
        "replicas": 2, "length_ps": 4, "nve_windows": 2, "nve_window_ps": 0.5,
        "motion": {"windows": 2, "window_ps": 0.5}, "map_samples": 1,
    },
    "controls": {"replicas": 2, "length_ns": 0.002},
}  # fmt: skip
"""What the preset's own lengths are replaced by; everything else in it stays."""


def commands() -> str:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return "".join(blocks)


def shorten(preset: Path) -> None:
    """A copy of the shipped preset, with shorter runs."""
    preset.mkdir(parents=True)
    for path in PRESET.glob("*.yaml"):
        settings, shorter = yaml.safe_load(path.read_text()), SHORT.get(path.stem, {})
        assert shorter.keys() <= settings.keys(), f"{path} no longer says all of {list(shorter)}"
        (preset / path.name).write_text(yaml.safe_dump({**settings, **shorter}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands of the page were run, in order."""
    folder = tmp_path_factory.mktemp("tutorial")
    shorten(folder / "configs" / "xtb")
    script = commands()
    assert script.count(THEIRS) == 1
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", script.replace(THEIRS, OURS)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def test_the_commands_lead_to_a_report(folder: Path) -> None:
    last = (folder / "stdout").read_text().splitlines()[-1]
    assert Path(last.removeprefix("report: ")).is_file()


def test_the_record_has_what_the_page_explains(folder: Path) -> None:
    adapted = folder / "runs" / "xtb" / "adapt" / "methanol"
    record = json.loads((adapted / "record.json").read_text())
    rows = re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE)
    named = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert named == ["force_calls", "calls", "rounds", "jumps"]
    assert set(named) < record.keys()
    assert "metropolis_acceptance" in record["jumps"]
    errors = [entry["force_error"] for entry in record["rounds"]]
    assert errors[-1] < 0.5 * errors[0]
    assert "minutes" in json.loads((adapted / "timing.json").read_text())


def test_the_judgement_is_what_the_page_says(folder: Path) -> None:
    metrics = json.loads((folder / "runs" / "xtb" / "eval" / "metrics.json").read_text())
    (methanol,) = metrics["molecules"]
    assert methanol["judged_against"] == "the limit of small steps"  # the control, GHMC
    asked = {claim["name"] for claim in methanol["verdict"]["claims"]}
    assert not asked & {"energy is conserved", "motion is right"}
    assert methanol["cost"]["training_calls"] > sum(SHORT["adapt"]["labels"])
    assert methanol["cost"]["counted_saving"] > 12.0
    trajectory = folder / "runs" / "xtb" / "hybrid" / "methanol"
    assert trajectory.with_suffix(".npz").is_file()
    assert trajectory.with_suffix(".dcd").is_file()

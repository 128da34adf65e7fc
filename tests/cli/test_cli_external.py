"""Another program's trajectory through the same referee, by the command line."""

import json

import numpy as np
import pytest

from kstep.errors import ArtifactError, ConfigError
from kstep.workflow.cli.main import main

SETTINGS = [
    "md.replicas=2", "md.length_ns=0.01", "md.equilibration_ps=1", "md.nve_window_ps=2",
    "md.nve_every_ps=5", "md.motion.windows=0", "md.workers=1", "hybrid.temperature_K=300",
    "eval.bootstrap=50", "eval.workers=1",
]  # fmt: skip


@pytest.fixture
def files(tmp_path, place, phenol, make_sampler, monkeypatch):
    """Runs of phenol as somebody else would hand them in, with topology and System."""
    place(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    sampler = make_sampler(phenol)
    x, v = sampler.equilibrate(phenol.positions, 300.0, 5)
    frames = sampler.sample(x, v, 300.0, 6, 10000, 50)
    times = 0.1 * np.arange(1, len(frames.pos) + 1)
    np.savez("theirs.npz", pos=frames.pos, vel=frames.vel, times_ps=times)
    np.savez("second.npz", pos=frames.pos[20:], vel=frames.vel[20:], times_ps=times[20:])
    window = sampler.window(frames.pos[-1], frames.vel[-1], 2000, 20)
    np.savez("window.npz", pos=window.pos, vel=window.vel)
    raw = tmp_path / "data" / "raw" / "phenol"
    return {
        "trajectory": "theirs.npz",
        "topology": raw / "molecule.pdb",
        "system": raw / "system.xml",
    }


def arguments(files: dict) -> list[str]:
    return [part for name, path in files.items() for part in (f"--{name}", str(path))]


def verdict_of(folder) -> tuple[dict, dict]:
    (molecule,) = json.loads((folder / "eval" / "metrics.json").read_text())["molecules"]
    claims = {claim["name"]: claim["outcome"] for claim in molecule["verdict"]["claims"]}
    return molecule, claims


def test_foreign_trajectories_are_judged_with_one_command_each(files, tmp_path, capsys):
    settings = [*SETTINGS, "paths.run=judged"]
    assert main(["eval", *arguments(files), *settings]) == 0
    assert "theirs" in capsys.readouterr().out
    root = tmp_path / "judged" / "external"
    molecule, claims = verdict_of(root / "theirs")
    assert molecule["candidate"] == "theirs.npz"
    assert molecule["k_steps"] is None
    assert molecule["cost"] is None
    assert molecule["sampling"]["candidate"]["nve_windows"] == 0
    assert claims["energy is conserved"] == "not enough data"
    assert claims["structure is right"] != "rejected"
    report = (root / "theirs" / "report" / "report.html").read_text()
    assert "theirs.npz" in report and "frames, one every 0.1 ps;" in report

    (baseline,) = root.glob("data_*/md/molecule_*[0-9a-f].npz")
    finished = baseline.stat().st_mtime_ns
    second = {**files, "trajectory": "second.npz", "nve": "window.npz", "nve-frame-ps": 0.04}
    assert main(["eval", *arguments(second), *settings]) == 0
    assert baseline.stat().st_mtime_ns == finished
    molecule, claims = verdict_of(root / "second")
    assert molecule["candidate"] == "second.npz"
    assert molecule["sampling"]["candidate"]["nve_windows"] == 1
    assert verdict_of(root / "theirs")[0]["candidate"] == "theirs.npz"


def test_what_is_missing_is_said_in_one_sentence(files, tmp_path, capsys):
    alone = {"trajectory": files["trajectory"]}
    assert main(["eval", *arguments(alone), *SETTINGS]) == ConfigError.exit_code
    assert "--trajectory needs --topology too" in capsys.readouterr().err
    gone = {**files, "trajectory": "gone.dcd"}
    assert main(["eval", *arguments(gone), *SETTINGS]) == ArtifactError.exit_code
    stderr = capsys.readouterr().err.strip()
    assert "gone.dcd" in stderr
    assert len(stderr.splitlines()) == 1
    windows = {**files, "nve": files["trajectory"]}
    del windows["trajectory"]
    assert main(["eval", *arguments(windows), *SETTINGS]) == ConfigError.exit_code
    stderr = capsys.readouterr().err
    assert "--nve" in stderr
    assert "says nothing without --trajectory: add that" in stderr
    assert len(stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()

"""Another program's trajectory through the same referee, by the command line."""

import json

import numpy as np
import pytest

from kstep.cli.main import main
from kstep.errors import ArtifactError, ConfigError

SETTINGS = [
    "md.replicas=2", "md.length_ns=0.01", "md.equilibration_ps=1", "md.nve_window_ps=2",
    "md.nve_every_ps=5", "md.motion.windows=0", "md.workers=1", "hybrid.temperature_K=300",
    "eval.bootstrap=50", "eval.workers=1",
]  # fmt: skip


@pytest.fixture
def files(tmp_path, place, phenol, make_sampler, monkeypatch):
    """A trajectory of phenol as somebody else would hand it in, with topology and System."""
    place(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    sampler = make_sampler(phenol)
    x, v = sampler.equilibrate(phenol.positions, 300.0, 5)
    frames = sampler.sample(x, v, 300.0, 6, 10000, 50)
    times = 0.1 * np.arange(1, len(frames.pos) + 1)
    np.savez("theirs.npz", pos=frames.pos, vel=frames.vel, times_ps=times)
    raw = tmp_path / "data" / "raw" / "phenol"
    return {
        "trajectory": "theirs.npz",
        "topology": raw / "molecule.pdb",
        "system": raw / "system.xml",
    }


def arguments(files: dict) -> list[str]:
    return [part for name, path in files.items() for part in (f"--{name}", str(path))]


def test_a_foreign_trajectory_is_judged_with_one_command(files, tmp_path, capsys):
    assert main(["eval", *arguments(files), *SETTINGS, "paths.run=judged"]) == 0
    out = capsys.readouterr().out
    assert "theirs" in out
    folder = tmp_path / "judged" / "external"
    metrics = json.loads((folder / "eval" / "metrics.json").read_text())
    (molecule,) = metrics["molecules"]
    assert molecule["candidate"] == "theirs.npz"
    assert molecule["k_steps"] is None
    assert molecule["cost"] is None
    claims = {claim["name"]: claim["outcome"] for claim in molecule["verdict"]["claims"]}
    assert claims["energy is conserved"] == "not enough data"
    assert claims["structure is right"] != "rejected"
    assert "theirs.npz" in (folder / "report" / "report.html").read_text()


def test_what_is_missing_is_said_in_one_sentence(files, capsys):
    alone = {"trajectory": files["trajectory"]}
    assert main(["eval", *arguments(alone), *SETTINGS]) == ConfigError.exit_code
    assert "--trajectory needs --topology too" in capsys.readouterr().err
    gone = {**files, "trajectory": "gone.dcd"}
    assert main(["eval", *arguments(gone), *SETTINGS]) == ArtifactError.exit_code
    stderr = capsys.readouterr().err.strip()
    assert "gone.dcd" in stderr
    assert len(stderr.splitlines()) == 1

"""The hybrid stage with a network that knows nothing: schema, books, resume, refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import mdtraj
import numpy as np
import pytest
import torch

from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ArtifactError, ConfigError
from kstep.hybrid import run
from kstep.model import JumpPhysics, Scales, build_model, save_jump
from kstep.trajectory import NVE, NVT, load_trajectory

SETTINGS = [
    "md.equilibration_ps=0.5",
    "hybrid.length_ps=2",
    "hybrid.replicas=2",
    "hybrid.nve_windows=3",
    "hybrid.nve_window_ps=1",
    "hybrid.checkpoint_every_ps=0.5",
    "hybrid.basin.starts=2",
    "hybrid.basin.length_ps=1",
    "hybrid.platform=Reference",
    "hybrid.workers=1",
]


def configure(folder, *more):
    return load_config([], [f"paths.data={folder}", f"paths.run={folder}", *SETTINGS, *more])


@pytest.fixture(scope="module")
def untrained(tmp_path_factory, phenol):
    """A checkpoint with random weights: finite, small, useless."""
    torch.manual_seed(0)
    physics = JumpPhysics(
        k_steps=8,
        dt_ps=0.002,
        landing="half_step",
        scales=Scales(velocity=1.6, force=1.0, position_residual=0.01, velocity_residual=0.01),
        caps_nm={1: 0.1, 6: 0.05, 8: 0.05},
        masses_Da={1: (1.007947,), 6: (12.01078,), 8: (15.99943,)},
        fingerprints={"phenol": phenol.fingerprint},
        temperatures_K=(300.0,),
    )
    config = load_config(
        [], ["model.arch=propagator", "model.hidden_channels=16", "model.num_layers=3"]
    ).model
    path = tmp_path_factory.mktemp("train") / "best.ckpt"
    save_jump(path, build_model(config, physics), {"note": "untrained"})
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, phenol, untrained):
    config = configure(tmp_path_factory.mktemp("run"))
    return config, run(config, [phenol], untrained)[0]


def test_the_trajectory_has_the_baselines_schema(finished, phenol):
    trajectory = load_trajectory(finished[1])
    assert [len(s) for s in trajectory.segments(NVT)] == [19, 19]
    assert len(trajectory.segments(NVE)) == 3
    first = trajectory.segments(NVT)[0]
    np.testing.assert_allclose(trajectory.times[first], 0.108 * np.arange(1, 20))
    np.testing.assert_allclose(trajectory.etot, trajectory.epot + trajectory.ekin)
    i, j = phenol.constraints.T
    lengths = np.linalg.norm(trajectory.pos[:, i] - trajectory.pos[:, j], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), rtol=1e-7)


def test_the_guard_kept_a_useless_network_out(finished):
    """Every jump was replaced by true MD, so energy is conserved and the books show the price."""
    trajectory = load_trajectory(finished[1])
    record = trajectory.record
    assert record["rejected_jumps"] == record["macro_steps"]
    assert record["counted_saving"] < 1 < record["nominal_saving"] == 9
    for window in trajectory.segments(NVE):
        assert np.ptp(trajectory.etot[window]) < 5.0
    calls = sum(int(trajectory.force_calls[s][-1]) for s in trajectory.segments(NVT))
    calls += sum(int(trajectory.force_calls[s][-1]) for s in trajectory.segments(NVE))
    assert record["force_calls"] == calls + 2 + 3


def test_wall_time_is_accounted_for(finished):
    timing = json.loads(finished[1].with_suffix(".timing.json").read_text())
    parts = dict(timing["wall_s"])
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total, rel=1e-6)
    assert {"jump", "corrector", "conservation", "thermostat", "fallback"} <= parts.keys()
    assert timing["baseline_s_per_ps"] > 0


def test_dcd_and_pdb_open_in_a_viewers_library(finished):
    path = finished[1]
    viewed = mdtraj.load(path.with_suffix(".dcd"), top=path.with_suffix(".pdb"))
    trajectory = load_trajectory(path)
    first = trajectory.segments(NVT)[0]
    np.testing.assert_allclose(viewed.xyz, trajectory.pos[first], atol=1e-5)
    header = path.with_suffix(".dcd").read_bytes()[44:48]
    akma_ps = 0.04888821
    assert np.frombuffer(header, np.float32)[0] * akma_ps == pytest.approx(0.108, rel=1e-4)


def test_basin_files_hold_both_sides_from_the_same_starts(finished):
    path = finished[1]
    for side in ("hybrid", "baseline"):
        file = path.with_suffix(f".basin_{side}.npz")
        searched = load_trajectory(file)
        quenched = np.load(file)["quenched_epot"]
        assert len(searched.segments(NVT)) == 2
        assert np.all(quenched <= searched.epot)


def test_the_same_seed_gives_the_same_bytes(finished, tmp_path, phenol, untrained):
    again = run(configure(tmp_path), [phenol], untrained)[0]
    for suffix in (".npz", ".dcd", ".pdb", ".basin_hybrid.npz", ".basin_baseline.npz"):
        assert hash_file(again.with_suffix(suffix)) == hash_file(finished[1].with_suffix(suffix))


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(finished, tmp_path, place, untrained):
    molecule = place(tmp_path)
    (tmp_path / "train").mkdir()
    shutil.copy(untrained, tmp_path / "train" / "best.ckpt")
    command = [sys.executable, "-m", "kstep.cli", "run"]
    command += [f"paths.data={tmp_path}", f"paths.run={tmp_path}", *SETTINGS]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    partial = tmp_path / "hybrid" / ".partial" / "phenol" / "nvt"
    while process.poll() is None and not list(partial.glob("block_*.npz")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "hybrid" / "phenol.npz").exists()
    path = run(configure(tmp_path), [molecule], tmp_path / "train" / "best.ckpt")[0]
    assert hash_file(path) == hash_file(finished[1])


def test_a_finished_run_is_kept_and_never_silently_reused(finished, phenol, untrained):
    config, path = finished
    before = path.stat().st_mtime_ns
    run(config, [phenol], untrained)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ArtifactError, match="made with another configuration"):
        run(configure(config.paths.run, "hybrid.friction_per_ps=2"), [phenol], untrained)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["train.k_steps=4"], "jumps 8 base steps, not 4"),
        (["md.dt_fs=1"], "trained with a base step of 2 fs"),
        (["hybrid.corrector=none", "train.landing=step"], "lands on 'half_step'"),
    ],
)
def test_a_checkpoint_for_something_else_is_refused(
    tmp_path, phenol, untrained, settings, sentence
):
    with pytest.raises(ArtifactError, match=sentence):
        run(configure(tmp_path, *settings), [phenol], untrained)


def test_a_checkpoint_that_is_none_is_refused(tmp_path, phenol):
    with pytest.raises(ArtifactError, match=r"best.ckpt is missing"):
        run(configure(tmp_path), [phenol], tmp_path / "best.ckpt")
    (tmp_path / "best.ckpt").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match=r"best.ckpt"):
        run(configure(tmp_path), [phenol], tmp_path / "best.ckpt")


def test_a_molecule_that_was_not_prepared_is_refused(tmp_path, phenol, untrained):
    with pytest.raises(ConfigError, match="names benzene, which is not prepared"):
        run(configure(tmp_path, "hybrid.molecules=[benzene]"), [phenol], untrained)

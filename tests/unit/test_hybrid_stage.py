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
from kstep.integrators.plain import Sampler
from kstep.integrators.platforms import Timing
from kstep.potentials.systems import load_system
from kstep.regressed.learned import Network
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.checkpoint import save_jump
from kstep.regressed.networks.physics import JumpPhysics, Scales
from kstep.system.mechanics import kinetic_energy
from kstep.system.motion import load_motion, motion_of
from kstep.system.trajectory import NVE, NVE_RESCALED, NVT, load_trajectory
from kstep.workflow.hybrid.map_file import map_of
from kstep.workflow.hybrid.setup import prepare
from kstep.workflow.hybrid.simulation import picoseconds, simulate
from kstep.workflow.hybrid.stage import _check_friction
from kstep.workflow.hybrid.stage import run as run_all
from kstep.workflow.hybrid.starts import equilibrium_states, starting_calls
from regressed import PROPAGATOR

SETTINGS = [
    "md.temperature_K=300",
    "hybrid.temperature_K=300",
    "md.equilibration_ps=0.5",
    "hybrid.length_ps=2",
    "hybrid.replicas=2",
    "hybrid.nve_windows=3",
    "hybrid.nve_window_ps=1",
    "hybrid.nve_rescaled_windows=2",
    "hybrid.motion.windows=2",
    "hybrid.motion.window_ps=0.9",
    "hybrid.map_samples=2",
    "hybrid.checkpoint_every_ps=0.5",
    "hybrid.basin.starts=2",
    "hybrid.basin.length_ps=1",
    "hybrid.platform=Reference",
    "hybrid.workers=1",
]


FILES = (".npz", ".dcd", ".pdb", ".motion.npz", ".map.npz", ".basin_hybrid.npz",
         ".basin_baseline.npz")  # fmt: skip


def configure(folder, *more):
    return load_config(
        [PROPAGATOR], [f"paths.data={folder}", f"paths.run={folder}", *SETTINGS, *more]
    )


def run(config, molecules, checkpoint):
    """The stage, with one network for all molecules."""
    network = Network(checkpoint)
    return run_all(config, molecules, {molecule.name: network for molecule in molecules})


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
        [PROPAGATOR], ["model.arch=propagator", "model.hidden_channels=16", "model.num_layers=3"]
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
    assert len(trajectory.segments(NVE_RESCALED)) == 2
    assert set(trajectory.segment_temperature) == {300.0}
    assert trajectory.record["candidate"] == "hybrid"
    assert trajectory.record["temperatures_K"] == [300.0]
    first = trajectory.segments(NVT)[0]
    np.testing.assert_allclose(trajectory.times[first], 0.108 * np.arange(1, 20))
    np.testing.assert_allclose(trajectory.etot, trajectory.epot + trajectory.ekin)
    i, j = phenol.constraints.T
    lengths = np.linalg.norm(trajectory.pos[:, i] - trajectory.pos[:, j], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), rtol=1e-7)


def test_a_run_goes_on_with_the_platform_it_began_with(tmp_path, phenol, untrained, monkeypatch):
    """Whatever is fastest at the moment: blocks of another platform would be lost."""
    config = configure(tmp_path, "hybrid.platform=auto")

    def began(fastest):
        seconds = {name: {"velocity_verlet": 1.0, "langevin": 1.0} for name in ("Reference", "CPU")}
        seconds[fastest] = {"velocity_verlet": 0.1, "langevin": 0.1}
        monkeypatch.setattr(
            "kstep.integrators.platforms.time_platforms", lambda *_: Timing(seconds)
        )
        return prepare(config, phenol, Network(untrained), lambda _: None)

    first, second = began("CPU"), began("Reference")
    assert first.record == second.record
    assert second.record["platform"] == "CPU"
    assert second.seconds_per_ps == first.seconds_per_ps == pytest.approx(0.1 / 0.002)
    shutil.rmtree(tmp_path / "hybrid" / ".partial")  # as a finished run does
    assert began("Reference").record["platform"] == "Reference"


def test_the_guard_kept_a_useless_network_out(finished):
    """Every jump was replaced by true MD, so energy is conserved and the books show the price."""
    trajectory = load_trajectory(finished[1])
    record = trajectory.record
    assert record["rejected_jumps"] == record["macro_steps"]
    assert record["counted_saving"] < 1 < record["nominal_saving"] == 9
    for window in trajectory.segments(NVE):
        assert np.ptp(trajectory.etot[window]) < 5.0
    segments = [s for kind in (NVT, NVE, NVE_RESCALED) for s in trajectory.segments(kind)]
    assert len(segments) == 2 + 3 + 2
    calls = sum(int(trajectory.force_calls[segment][-1]) for segment in segments)
    assert record["force_calls"] == calls + len(segments)
    assert "not the motion windows" in record["counts_cover"]
    assert record["starting_calls"] == 2 * 250 + (3 + 2) * 2500


def test_starting_states_are_billed(phenol):
    """Every call of the true dynamics that makes them, without their minimisations."""
    made: list[float] = []
    config = load_config([], ["md.equilibration_ps=0.1"]).md
    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    sampler = Sampler(system, "Reference", config, "phenol", made.append)
    equilibrium_states(sampler, phenol, 300.0, 2, 3, lambda part, replica: 1 + part + 2 * replica)
    assert starting_calls(sampler, 2, 3) == round(sum(made) / config.dt_ps)


def test_replicas_and_windows_start_from_states_of_their_own(finished):
    trajectory = load_trajectory(finished[1])
    kinds = (NVT, NVE, NVE_RESCALED)
    firsts = [trajectory.pos[s[0]] for kind in kinds for s in trajectory.segments(kind)]
    centred = [x - x.mean(axis=0) for x in firsts]
    for index, x in enumerate(centred):
        for other in centred[:index]:
            assert np.abs(x - other).max() > 1e-2


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
    for suffix in FILES:
        assert hash_file(again.with_suffix(suffix)) == hash_file(finished[1].with_suffix(suffix))


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(finished, tmp_path, place, untrained):
    molecule = place(tmp_path)
    (tmp_path / "train").mkdir()
    shutil.copy(untrained, tmp_path / "train" / "best.ckpt")
    command = [sys.executable, "-m", "kstep", "run"]
    command += ["--config", str(PROPAGATOR), f"paths.data={tmp_path}", f"paths.run={tmp_path}"]
    command += SETTINGS
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path)
    partial = tmp_path / "hybrid" / ".partial" / "phenol" / "nvt_0"
    while process.poll() is None and not list(partial.glob("block_*.npz")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "hybrid" / "phenol.npz").exists()
    path = tmp_path / "hybrid" / "phenol.npz"
    network, amounts = Network(tmp_path / "train" / "best.ckpt"), []
    simulate(configure(tmp_path), molecule, network, path, amounts.append)
    assert amounts[0] == pytest.approx(5 * 0.108 * 2)  # a block at once, from its file
    for suffix in FILES:
        assert hash_file(path.with_suffix(suffix)) == hash_file(finished[1].with_suffix(suffix))


def test_motion_holds_every_macro_step(finished, phenol):
    motion = load_motion(motion_of(finished[1]))
    assert motion.vel.shape == (2, 50, phenol.n_atoms, 3)
    assert motion.spacing == pytest.approx(0.018)
    np.testing.assert_allclose(
        motion.ekin, kinetic_energy(motion.vel.astype(float), phenol.masses), rtol=1e-5
    )
    assert motion.epot.std() > 1.0
    # The guard gave every step to true MD: NVE at the same instants.
    etot = motion.epot + motion.ekin
    assert np.all(etot.std(axis=1) < 0.1 * motion.epot.std(axis=1))


def test_a_useless_map_is_measured_as_useless(finished):
    measured = np.load(map_of(finished[1]))
    record = json.loads(str(measured["record"]))
    assert (record["schema"], record["map_samples"]) == ("kstep.map", 2)
    assert record["true_force_calls"] > 1000
    assert all(len(measured[name]) == 2 for name in ("reversal_x", "log_det"))
    assert np.all(measured["reversal_x"] > 0.1)
    assert np.all(measured["symplectic_defect"] > 0.01)
    states = len(measured["refused"])
    assert states == 38  # all there are
    assert measured["refused"].all()
    assert np.median(measured["true_error_x"]) > 0.3


@pytest.mark.parametrize("lost", [motion_of, map_of])
def test_a_lost_file_is_made_again_without_the_rest(finished, tmp_path, phenol, untrained, lost):
    shutil.copytree(finished[0].paths.run / "hybrid", tmp_path / "hybrid")
    path = tmp_path / "hybrid" / "phenol.npz"
    before = path.stat().st_mtime_ns
    lost(path).unlink()
    run(configure(tmp_path), [phenol], untrained)
    assert path.stat().st_mtime_ns == before
    assert hash_file(lost(path)) == hash_file(lost(finished[1]))


def test_other_settings_of_motion_and_map_leave_the_trajectory(
    finished, tmp_path, phenol, untrained
):
    shutil.copytree(finished[0].paths.run / "hybrid", tmp_path / "hybrid")
    path = tmp_path / "hybrid" / "phenol.npz"
    config = configure(tmp_path, "hybrid.motion.windows=3", "hybrid.map_samples=1")
    for file in (motion_of(path), map_of(path)):
        with pytest.raises(ArtifactError, match=f"{file.name} was made with another configuration"):
            run(config, [phenol], untrained)
        file.unlink()
    before = path.stat().st_mtime_ns
    run(config, [phenol], untrained)
    assert path.stat().st_mtime_ns == before
    assert len(load_motion(motion_of(path)).vel) == 3
    assert len(np.load(map_of(path))["log_det"]) == 1


def test_the_bar_counts_what_is_simulated(finished, tmp_path, phenol, untrained):
    amounts = []
    config = configure(tmp_path)
    simulate(config, phenol, Network(untrained), tmp_path / "phenol.npz", amounts.append)
    assert sum(amounts) == pytest.approx(picoseconds(config.hybrid), rel=0.05)


def test_a_list_of_temperatures_gives_all_replicas_at_each(tmp_path, phenol, untrained):
    settings = ["md.temperature_K=[300, 600]", "hybrid.temperature_K=[300, 600]"]
    settings += ["md.friction_per_ps=10", "hybrid.friction_per_ps=10"]
    lengths = ["hybrid.length_ps=5", "hybrid.basin.starts=0", "hybrid.map_samples=0"]
    config = configure(tmp_path, *settings, *lengths, "hybrid.motion.windows=0")
    trajectory = load_trajectory(run(config, [phenol], untrained)[0])
    runs = trajectory.segment_kind == NVT
    assert trajectory.segment_temperature[runs].tolist() == [300.0, 300.0, 600.0, 600.0]
    assert set(trajectory.segment_temperature[~runs]) == {300.0}
    cold, hot = (
        np.mean([trajectory.ekin[run].mean() for run in trajectory.segments(NVT, kelvin)])
        for kelvin in (300.0, 600.0)
    )
    assert 1.6 < hot / cold < 2.4
    assert sorted(path.name for path in (tmp_path / "hybrid").glob("*.npz")) == ["phenol.npz"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["hybrid.temperature_K=310"], "310 is not among md.temperature_K"),
        (
            ["hybrid.temperature_K=[310, 300]", "md.temperature_K=[300, 310]"],
            "begins with 310 but md.temperature_K with 300",
        ),
    ],
)
def test_temperatures_without_a_baseline_are_refused(
    tmp_path, phenol, untrained, settings, sentence
):
    with pytest.raises(ConfigError, match=sentence):
        run(configure(tmp_path, *settings), [phenol], untrained)


def test_dynamics_at_another_friction_than_the_baselines_are_refused(tmp_path, phenol, untrained):
    """Transition rates of the two sides are compared, and depend on it; averages do not."""
    other = "hybrid.friction_per_ps=10"
    with pytest.raises(ConfigError, match=r"friction_per_ps is 10 but md.friction_per_ps 1: rates"):
        run(configure(tmp_path, other), [phenol], untrained)
    _check_friction(load_config([], [other, "hybrid.ensemble=ghmc"]))


def test_a_finished_run_is_kept_and_never_silently_reused(finished, phenol, untrained):
    config, path = finished
    before = path.stat().st_mtime_ns
    run(config, [phenol], untrained)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ArtifactError, match="made with another configuration"):
        run(configure(config.paths.run, "hybrid.seed=7"), [phenol], untrained)


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

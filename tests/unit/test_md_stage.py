"""The md stage: schema, resume after any kill, refusals, reproducible bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ArtifactError, SimulationError
from kstep.integrators.openmm_steps import velocity_verlet
from kstep.integrators.plain import Sampler
from kstep.integrators.platforms import make_context, settled
from kstep.potentials.systems import load_system
from kstep.system.mechanics import kinetic_energy, maxwell_boltzmann
from kstep.system.motion import load_motion, motion_of
from kstep.system.trajectory import NVE, NVT, load_trajectory
from kstep.workflow.md.baseline import require_temperature
from kstep.workflow.md.plan import picoseconds, plan
from kstep.workflow.md.stage import run, simulate

SETTINGS = [
    "md.temperature_K=300",
    "md.replicas=2",
    "md.length_ns=0.006",
    "md.equilibration_ps=1",
    "md.nve_window_ps=1",
    "md.nve_every_ps=2",
    "md.motion.windows=3",
    "md.motion.window_ps=0.5",
    "md.burst.count=7",
    "md.platform=Reference",
    "md.workers=1",
]


def configure(folder, *more):
    return load_config([], [f"paths.data={folder}", *SETTINGS, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, phenol):
    config = configure(tmp_path_factory.mktemp("data"))
    return config, run(config, [phenol])[0]


def test_the_file_holds_what_was_asked_for(finished, phenol):
    path = finished[1]
    trajectory = load_trajectory(path)
    assert [len(run) for run in trajectory.segments(NVT, 300.0)] == [60, 60]
    assert [len(window) for window in trajectory.segments(NVE, 300.0)] == [10] * 6
    assert trajectory.segment_kind.tolist() == [NVT] * 2 + [NVE] * 6
    for run_frames in trajectory.segments(NVT):
        np.testing.assert_allclose(trajectory.times[run_frames], 0.1 * np.arange(1, 61))
        np.testing.assert_array_equal(trajectory.force_calls[run_frames], 50 * np.arange(1, 61))
    np.testing.assert_allclose(trajectory.etot, trajectory.epot + trajectory.ekin)
    bursts = np.load(path)
    assert bursts["burst_pos"].shape == (7, 13, phenol.n_atoms, 3)
    assert trajectory.record["burst_calls"] == 7 * (1 + 1 + 49)  # start twice, then every step
    frames = bursts["burst_frame"]
    assert np.all(np.diff(frames) > 0)
    assert set(trajectory.segment[frames]) == {0, 1}
    start = bursts["burst_pos"][:, 0]
    sampled = trajectory.pos[frames]
    distance = np.linalg.norm(start[:, 0] - start[:, 5], axis=-1)
    np.testing.assert_allclose(
        distance, np.linalg.norm(sampled[:, 0] - sampled[:, 5], axis=-1), atol=1e-6
    )


def test_the_force_field_goes_with_the_bursts(finished, phenol):
    arrays = np.load(finished[1])
    for name, own in vars(phenol.terms).items():
        np.testing.assert_array_equal(arrays[f"terms_{name}"], own)
    assert len(arrays["terms_bonds"]) == len(phenol.bonds)


def test_replicas_are_independent_runs(finished):
    trajectory = load_trajectory(finished[1])
    first, second = (trajectory.epot[frames] for frames in trajectory.segments(NVT))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.5
    assert not np.array_equal(first[:1], second[:1])


def test_motion_holds_every_base_step_of_true_dynamics(finished, phenol, make_dynamics):
    trajectory, motion = load_trajectory(finished[1]), load_motion(motion_of(finished[1]))
    assert motion.vel.shape == (3, 250, phenol.n_atoms, 3)
    assert motion.spacing == 0.002
    dynamics = make_dynamics(phenol)
    for window, frame in enumerate((0, 60, 119)):  # evenly over both replicas
        end = dynamics.steps(trajectory.pos[frame], trajectory.vel[frame], 7)
        np.testing.assert_allclose(motion.vel[window, 6], end.v, atol=1e-5)
        assert motion.epot[window, 6] == pytest.approx(end.epot, abs=1e-6)
        assert motion.ekin[window, 6] == pytest.approx(kinetic_energy(end.v, phenol.masses))
        etot = motion.epot[window] + motion.ekin[window]
        assert etot.std() < 0.1 * motion.epot[window].std()


def test_lost_motion_is_made_again_without_the_rest(finished, tmp_path, phenol):
    config = configure(shutil.copytree(finished[0].paths.data, tmp_path / "data"))
    path = tmp_path / "data" / "md" / "phenol.npz"
    before = path.stat().st_mtime_ns, hash_file(motion_of(path))
    motion_of(path).unlink()
    run(config, [phenol])
    assert before == (path.stat().st_mtime_ns, hash_file(motion_of(path)))


def test_motion_of_other_settings_is_refused_and_the_trajectory_kept(finished, tmp_path, phenol):
    data = shutil.copytree(finished[0].paths.data, tmp_path / "data")
    path = data / "md" / "phenol.npz"
    more = configure(data, "md.motion.windows=4")
    with pytest.raises(ArtifactError, match=r"phenol.motion.npz was made with another md"):
        run(more, [phenol])
    motion_of(path).unlink()
    before = path.stat().st_mtime_ns
    run(more, [phenol])
    assert path.stat().st_mtime_ns == before
    assert len(load_motion(motion_of(path)).vel) == 4
    motion_of(path).unlink()
    run(configure(data, "md.motion.windows=0"), [phenol])
    assert not motion_of(path).exists()


def test_sampling_is_continuous_across_blocks(finished):
    trajectory = load_trajectory(finished[1])
    jumps = np.linalg.norm(np.diff(trajectory.pos[:60], axis=0), axis=-1).max(axis=1)
    assert jumps[19] < 3 * np.median(jumps)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(finished, tmp_path, phenol):
    again = run(configure(tmp_path / "a"), [phenol])[0]
    other = run(configure(tmp_path / "b", "md.seed=1"), [phenol])[0]
    for same, different in ((again, other), (motion_of(again), motion_of(other))):
        assert hash_file(same) == hash_file(finished[1].with_name(same.name))
        assert hash_file(different) != hash_file(same)


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(finished, tmp_path, place):
    arguments = [f"paths.data={tmp_path}", *SETTINGS]
    molecule = place(tmp_path)
    command = [sys.executable, "-m", "kstep", "md", *arguments]
    partial = tmp_path / "md" / ".partial" / "phenol"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path)
    while process.poll() is None and not list(partial.glob("block_*.npz")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    path = tmp_path / "md" / "phenol.npz"
    assert not path.exists()
    assert list(partial.glob("block_*.npz"))
    config = configure(tmp_path).md
    amounts = []
    simulate(config, molecule, path, amounts.append)
    assert amounts[0] == picoseconds(plan(config)[0], config)  # at once, from its file
    assert hash_file(path) == hash_file(finished[1])
    assert hash_file(motion_of(path)) == hash_file(motion_of(finished[1]))
    assert not partial.exists()


def test_stopped_in_its_motion_it_repeats_no_window(finished, tmp_path, phenol, monkeypatch):
    config, path = configure(tmp_path).md, tmp_path / "md" / "phenol.npz"
    pieces = tmp_path / "md" / ".partial" / "phenol"

    def stop_at_the_second_window(_: float) -> None:
        if (pieces / "motion_0000.npz").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(config, phenol, path, stop_at_the_second_window)
    assert not motion_of(path).exists()
    before = path.stat().st_mtime_ns
    amounts, windows = [], []

    def spy(self, *arguments):
        windows.append(arguments)
        return motion(self, *arguments)

    motion = Sampler.motion
    monkeypatch.setattr(Sampler, "motion", spy)
    simulate(config, phenol, path, amounts.append)
    assert len(windows) == 2
    assert path.stat().st_mtime_ns == before
    assert hash_file(motion_of(path)) == hash_file(motion_of(finished[1]))
    assert sum(amounts) == pytest.approx(sum(picoseconds(b, config) for b in plan(config)) + 1.5)
    assert not pieces.exists()


def test_a_finished_molecule_is_not_simulated_again(finished, phenol):
    config, path = finished
    before = path.stat().st_mtime_ns
    run(config, [phenol])
    assert path.stat().st_mtime_ns == before


def test_a_changed_configuration_is_refused_not_reused(finished, phenol):
    config = finished[0].paths.data
    with pytest.raises(ArtifactError, match="another md configuration"):
        run(configure(config, "md.temperature_K=310"), [phenol])
    run(configure(config, "md.workers=2"), [phenol])


def test_a_truncated_file_is_refused(finished, tmp_path, phenol):
    folder = tmp_path / "md"
    folder.mkdir()
    (folder / "phenol.npz").write_bytes(finished[1].read_bytes()[:5000])
    with pytest.raises(ArtifactError, match=r"phenol.npz is truncated"):
        run(configure(tmp_path), [phenol])


def test_a_list_of_temperatures_gives_all_replicas_at_each(tmp_path, phenol):
    settings = ["md.temperature_K=[200, 400]", "md.length_ns=0.02", "md.burst.count=8"]
    config = configure(tmp_path, *settings, "md.nve_every_ps=10")
    trajectory = load_trajectory(run(config, [phenol])[0])
    runs = trajectory.segment_kind == NVT
    assert trajectory.segment_temperature[runs].tolist() == [200.0, 200.0, 400.0, 400.0]
    cold, hot = (
        np.mean([trajectory.ekin[run].mean() for run in trajectory.segments(NVT, kelvin)])
        for kelvin in (200.0, 400.0)
    )
    assert 1.5 < hot / cold < 2.5
    assert len(trajectory.segments(NVE)) == len(trajectory.segments(NVE, 200.0)) == 4
    bursts = np.load(tmp_path / "md" / "phenol.npz")
    assert bursts["burst_temperature"].tolist() == [200.0] * 8 + [400.0] * 8
    started = trajectory.segment[bursts["burst_frame"]]
    assert started.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_the_plan_covers_the_length_and_all_bursts():
    settings = ["md.replicas=3", "md.length_ns=0.5", "md.nve_every_ps=200", "md.burst.count=101"]
    blocks = plan(load_config([], [*settings, "md.temperature_K=[300, 330]"]).md)
    for kelvin in (300.0, 330.0):
        assert sum(block.bursts for block in blocks if block.temperature == kelvin) == 101
        for replica in range(3):
            own = [b for b in blocks if (b.temperature, b.replica) == (kelvin, replica)]
            assert sum(block.steps for block in own) == 250_000
            assert [block.first for block in own] == [True, False, False]
            windows = [block.window_steps > 0 for block in own]
            assert windows == [kelvin == 300.0, kelvin == 300.0, False]


def test_a_plan_holds_whole_save_intervals_and_all_its_windows():
    odd = load_config([], ["md.length_ns=0.01005", "md.nve_every_ps=5"]).md
    assert all(block.steps >= odd.save_interval_steps for block in plan(odd))
    run = ["md.temperature_K=300", "md.replicas=1"]
    slow = load_config([], [*run, "md.length_ns=0.6", "md.dt_fs=3", "md.nve_every_ps=200"]).md
    assert [block.window_steps > 0 for block in plan(slow)] == [True, True, True]


def test_replicas_run_side_by_side_to_the_same_bytes(finished, tmp_path, phenol, capsys):
    path = run(configure(tmp_path, "md.workers=2"), [phenol])[0]
    assert "md (2 replicas): 100%" in capsys.readouterr().err
    assert hash_file(path) == hash_file(finished[1])
    assert hash_file(motion_of(path)) == hash_file(motion_of(finished[1]))


def test_more_molecules_than_processes_keep_their_replicas_together(tmp_path, phenol, capsys):
    run(configure(tmp_path), [phenol])
    assert "replicas" not in capsys.readouterr().err


def test_what_fails_side_by_side_is_said_once(tmp_path, phenol, capsys):
    hot = ["md.workers=2", "md.dt_fs=4", "md.temperature_K=30000"]
    with pytest.raises(SimulationError, match="phenol"):
        run(configure(tmp_path, *hot), [phenol])
    assert "kstep:" not in capsys.readouterr().err


def test_a_platform_once_found_stays_for_what_it_was_found_for(tmp_path):
    asked = []

    def find():
        asked.append(len(asked))
        return {"platform": f"P{len(asked)}"}

    assert settled(tmp_path, {"config_hash": "a"}, find) == {"platform": "P1"}
    assert settled(tmp_path, {"config_hash": "a"}, find) == {"platform": "P1"}
    assert settled(tmp_path, {"config_hash": "b"}, find) == {"platform": "P2"}


def test_a_cutoff_shorter_than_the_switching_distance_works(phenol):
    system = load_system(phenol, 0.5, "HBonds", "OBC2")
    make_context(system, velocity_verlet(0.002), "Reference").setPositions(phenol.positions)


def test_another_preparation_is_refused(phenol):
    with pytest.raises(ArtifactError, match="with implicit solvent"):
        load_system(phenol, 1.0, "HBonds", "None")
    with pytest.raises(ArtifactError, match="6 constraints"):
        load_system(phenol, 1.0, "None", "OBC2")


def test_the_cutoff_is_applied_only_where_it_bites(phenol):
    methods = {
        cutoff: [
            force.getNonbondedMethod()
            for force in load_system(phenol, cutoff, "HBonds", "OBC2").getForces()
            if hasattr(force, "getNonbondedMethod")
        ]
        for cutoff in (None, 1.0, 0.5)
    }
    assert methods[None] == methods[1.0] == [0, 0]
    assert methods[0.5] == [1, 1]


@pytest.mark.parametrize("hotter", [0.4, 1.0, 1.6, 2800.0])
def test_a_baseline_far_from_its_temperature_is_refused(phenol, hotter):
    """A calculator that lies takes a molecule to 850,000 K, and says nothing."""
    config = load_config().md
    rng, frames = np.random.default_rng(5), 200
    v = maxwell_boltzmann(rng, phenol.masses, 300.0 * hotter, (frames,))
    v *= np.sqrt(1 - len(phenol.constraints) / (3 * phenol.n_atoms))  # as if along none of them
    if hotter == 1.0:
        require_temperature(v, phenol, 300.0, 100.0, config)
        return
    with pytest.raises(SimulationError, match=r"phenol: its baseline is at .* K and not 300 K"):
        require_temperature(v, phenol, 300.0, 100.0, config)

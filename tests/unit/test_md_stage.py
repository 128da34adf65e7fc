"""The md stage: schema, resume after any kill, refusals, reproducible bytes."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ArtifactError
from kstep.md import run
from kstep.md.integrators import velocity_verlet
from kstep.md.platforms import make_context
from kstep.md.stage import plan
from kstep.md.systems import load_system
from kstep.trajectory import NVE, NVT, load_trajectory

SETTINGS = [
    "md.length_ns=0.006",
    "md.equilibration_ps=1",
    "md.nve_window_ps=1",
    "md.nve_every_ps=2",
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
    assert len(trajectory.segments(NVT)) == 1
    assert [len(window) for window in trajectory.segments(NVE)] == [10, 10, 10]
    assert len(trajectory.frames(NVT)) == 60
    np.testing.assert_allclose(trajectory.times[:60], 0.1 * np.arange(1, 61))
    np.testing.assert_array_equal(trajectory.force_calls[:60], 50 * np.arange(1, 61))
    np.testing.assert_allclose(trajectory.etot, trajectory.epot + trajectory.ekin)
    bursts = np.load(path)
    assert bursts["burst_pos"].shape == (7, 13, phenol.n_atoms, 3)
    frames = bursts["burst_frame"]
    assert np.all(np.diff(frames) > 0)
    assert frames.max() < 60
    start = bursts["burst_pos"][:, 0]
    sampled = trajectory.pos[frames]
    distance = np.linalg.norm(start[:, 0] - start[:, 5], axis=-1)
    np.testing.assert_allclose(
        distance, np.linalg.norm(sampled[:, 0] - sampled[:, 5], axis=-1), atol=1e-6
    )


def test_sampling_is_continuous_across_blocks(finished):
    trajectory = load_trajectory(finished[1])
    jumps = np.linalg.norm(np.diff(trajectory.pos[:60], axis=0), axis=-1).max(axis=1)
    assert jumps[19] < 3 * np.median(jumps)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(finished, tmp_path, phenol):
    again = run(configure(tmp_path / "a"), [phenol])[0]
    other = run(configure(tmp_path / "b", "md.seed=1"), [phenol])[0]
    assert hash_file(again) == hash_file(finished[1])
    assert hash_file(other) != hash_file(finished[1])


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(finished, tmp_path, place):
    arguments = [f"paths.data={tmp_path}", *SETTINGS]
    molecule = place(tmp_path)
    command = [sys.executable, "-m", "kstep.cli", "md", *arguments]
    partial = tmp_path / "md" / ".partial" / "phenol"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(partial.glob("block_*.npz")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "md" / "phenol.npz").exists()
    kept = {path: path.stat().st_mtime_ns for path in partial.glob("block_*.npz")}
    assert kept
    path = run(configure(tmp_path), [molecule])[0]
    assert hash_file(path) == hash_file(finished[1])
    assert not partial.exists()


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


def test_a_list_of_temperatures_gives_a_sampling_segment_each(tmp_path, phenol):
    config = configure(tmp_path, "md.temperature_K=[200, 400]", "md.length_ns=0.02")
    trajectory = load_trajectory(run(config, [phenol])[0])
    cold, hot = (trajectory.ekin[segment].mean() for segment in trajectory.segments(NVT))
    assert 1.5 < hot / cold < 2.5
    temperatures = np.load(tmp_path / "md" / "phenol.npz")["burst_temperature"]
    assert sorted(set(temperatures)) == [200.0, 400.0]


def test_the_plan_covers_the_length_and_all_bursts():
    config = load_config([], ["md.length_ns=0.5", "md.burst.count=101"]).md
    blocks = plan(config)
    assert sum(block.steps for block in blocks) == 250_000
    assert sum(block.bursts for block in blocks) == 101
    assert [block.window_steps > 0 for block in blocks] == [True, True, False]


def test_a_plan_holds_whole_save_intervals_and_all_its_windows():
    odd = load_config([], ["md.length_ns=0.01005", "md.nve_every_ps=5"]).md
    assert all(block.steps >= odd.save_interval_steps for block in plan(odd))
    slow = load_config([], ["md.length_ns=0.6", "md.dt_fs=3"]).md
    assert [block.window_steps > 0 for block in plan(slow)] == [True, True, True]


def test_the_number_of_workers_changes_no_byte(finished, tmp_path, phenol):
    path = run(configure(tmp_path, "md.workers=2"), [phenol])[0]
    assert hash_file(path) == hash_file(finished[1])


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

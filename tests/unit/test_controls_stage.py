"""The controls stage: what its files hold, resuming, refusals, reproducible bytes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ArtifactError, ConfigError, DeviceError, SimulationError
from kstep.integrators.reference.variants import variant
from kstep.system.mechanics import kinetic_energy
from kstep.system.prepared import load_molecule
from kstep.system.trajectory import NVE, NVT, load_trajectory
from kstep.workflow.controls.plan import plan_of
from kstep.workflow.controls.sampling import Runner
from kstep.workflow.controls.stage import run
from kstep.workflow.controls.timing import Cost

NAMES = ["half_fs", "ghmc", "langevin_middle", "hmr_3", "hmr_1.5", "respa"]
SETTINGS = [
    "controls.replicas=2",
    "controls.length_ns=0.002",
    "controls.nve_windows=3",
    "controls.nve_window_ps=0.5",
    "controls.platform=Reference",
    "controls.workers=1",
    "md.equilibration_ps=0.5",
]


def configure(folder, *more):
    return load_config([], [f"paths.data={folder}", *SETTINGS, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, phenol):
    config = configure(tmp_path_factory.mktemp("data"))
    return config, run(config, [phenol])


def test_every_control_is_a_trajectory_of_the_same_frames(finished, phenol):
    config, paths = finished
    assert [path.name for path in paths] == [f"{name}.npz" for name in NAMES]
    for path, steps in zip(paths, (200, 50, 50, 25, 25, 25), strict=True):
        assert path.parent == config.paths.data / "controls" / "phenol"
        trajectory = load_trajectory(path)
        assert [len(frames) for frames in trajectory.segments(NVT, 300.0)] == [20, 20]
        assert [len(frames) for frames in trajectory.segments(NVE, 300.0)] == [5, 5, 5]
        np.testing.assert_allclose(trajectory.times[:20], 0.1 * np.arange(1, 21))
        np.testing.assert_array_equal(trajectory.force_calls[:20], steps * np.arange(1, 21))
        ekin = kinetic_energy(trajectory.vel, trajectory.masses)
        np.testing.assert_allclose(trajectory.etot, trajectory.epot + ekin)
        assert trajectory.record["fingerprint"] == phenol.fingerprint
        assert trajectory.record["dt_ps"] == pytest.approx(0.1 / steps)


def test_the_record_says_what_it_is_and_the_masses_are_those_simulated(finished, phenol):
    labels = [load_trajectory(path).record["candidate"] for path in finished[1]]
    assert labels == [
        "LangevinMiddle 0.5 fs",
        "GHMC 2 fs, tested every 100 fs",
        "LangevinMiddle 2 fs",
        "LangevinMiddle 4 fs, H 3 Da",
        "LangevinMiddle 4 fs, H 1.5 Da",
        "r-RESPA 4 fs, bonded 1 fs",
    ]
    hydrogens = [load_trajectory(path).masses[phenol.numbers == 1] for path in finished[1]]
    natural = phenol.masses[phenol.numbers == 1]
    for found, expected in zip(
        hydrogens, (natural, natural, natural, 3, 1.5, natural), strict=True
    ):
        np.testing.assert_allclose(found, expected)


def test_replicas_and_windows_are_independent(finished):
    for path in finished[1]:
        trajectory = load_trajectory(path)
        first = trajectory.pos[[frames[0] for frames in trajectory.segments(NVT)]]
        assert np.abs(first[0] - first[1]).max() > 1e-3
        energies = [trajectory.etot[frames[0]] for frames in trajectory.segments(NVE)]
        assert len(set(np.round(energies, 3))) == 3


def test_the_timing_is_of_every_platform(finished):
    for path in finished[1]:
        timing = json.loads(path.with_suffix(".timing.json").read_text())
        fastest = min(timing["us_per_step"].values()) * 1e-6
        dt_ps = load_trajectory(path).record["dt_ps"]
        assert timing["s_per_ps"] == pytest.approx(fastest / dt_ps, rel=1e-3)
        assert timing["platform"] == "Reference"
        assert {"Reference", "CPU"} <= timing["us_per_step"].keys()


def test_the_platform_must_be_clearly_faster_than_reference():
    assert Cost({"Reference": 1.0, "CPU": 0.8}).platform("auto") == "Reference"
    assert Cost({"Reference": 1.0, "CPU": 0.5}).platform("auto") == "CPU"
    assert Cost({"Reference": 1.0, "CPU": 0.5}).platform("Reference") == "Reference"


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes(finished, tmp_path, phenol):
    chosen = "controls.integrators=[hmr_3, respa]"
    again = run(configure(tmp_path / "a", chosen, "controls.workers=2"), [phenol])
    other = run(configure(tmp_path / "b", chosen, "controls.seed=1"), [phenol])
    expected = [hash_file(finished[1][3]), hash_file(finished[1][5])]
    assert [hash_file(path) for path in again] == expected
    assert not set(expected) & {hash_file(path) for path in other}


def test_replicas_run_side_by_side_to_the_same_bytes(finished, tmp_path, phenol, capsys):
    chosen = ["controls.integrators=[hmr_3]", "controls.workers=2"]
    path = run(configure(tmp_path, *chosen), [phenol])[0]
    assert "controls (2 replicas): 100%" in capsys.readouterr().err
    assert hash_file(path) == hash_file(finished[1][3])


def test_cut_short_it_goes_on_after_the_last_replica_to_the_same_bytes(
    finished, tmp_path, phenol, monkeypatch
):
    config = configure(tmp_path, "controls.integrators=[hmr_3]")
    replica = Runner.replica

    def killed(self, index, report):
        if index == 1:
            raise KeyboardInterrupt
        return replica(self, index, report)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "replica", killed)
        with pytest.raises(KeyboardInterrupt):
            run(config, [phenol])
    done: list[int] = []

    def watched(self, index, report):
        done.append(index)
        return replica(self, index, report)

    monkeypatch.setattr(Runner, "replica", watched)
    path = run(config, [phenol])[0]
    assert done == [1]
    assert hash_file(path) == hash_file(finished[1][3])
    assert not list((tmp_path / "controls" / ".partial").glob("*/*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_more_replicas_keep_those_that_are_there_and_give_the_same_bytes(
    tmp_path, phenol, monkeypatch, workers
):
    def grown(folder, replicas):
        amount = [f"controls.replicas={replicas}", f"controls.nve_windows={replicas}"]
        chosen = ["controls.integrators=[hmr_3]", f"controls.workers={workers}"]
        return run(configure(folder, *chosen, *amount), [phenol])[0]

    whole = grown(tmp_path / "whole", 3)
    first = grown(tmp_path / "grown", 1)
    timing = first.with_suffix(".timing.json").read_text()
    done: list[int] = []
    replica = Runner.replica

    def watched(self, index, report):
        done.append(index)
        return replica(self, index, report)

    if workers == 1:  # what runs in another process cannot be watched
        monkeypatch.setattr(Runner, "replica", watched)
    path = grown(tmp_path / "grown", 3)
    assert workers > 1 or done == [1, 2]
    assert hash_file(path) == hash_file(whole)
    assert path.with_suffix(".timing.json").read_text() == timing
    assert not list((tmp_path / "grown" / "controls" / ".partial").glob("*/*"))


def test_replicas_of_another_version_are_not_added_to(tmp_path, phenol, monkeypatch):
    chosen = ["controls.integrators=[hmr_3]", "controls.nve_windows=0"]
    run(configure(tmp_path, *chosen, "controls.replicas=1"), [phenol])
    monkeypatch.setattr("kstep.workflow.controls.stage.__version__", "later")
    with pytest.raises(ArtifactError, match="delete it to simulate again"):
        run(configure(tmp_path, *chosen), [phenol])


def test_a_finished_control_is_not_run_again_when_others_are_wanted(finished, phenol):
    config, paths = finished
    before = [path.stat().st_mtime_ns for path in paths]
    again = run(
        configure(
            config.paths.data,
            "controls.integrators=[respa, half_fs]",
            "controls.workers=2",
            "md.burst.count=3",
        ),
        [phenol],
    )
    assert [path.stem for path in again] == ["respa", "half_fs"]
    assert [path.stat().st_mtime_ns for path in paths] == before


@pytest.mark.parametrize(
    "override",
    [
        "controls.length_ns=0.003",
        "controls.seed=9",
        "controls.replicas=1",
        "controls.replicas=3",  # three windows are one of each then, and were two and one
        "md.temperature_K=310",
        "md.friction_per_ps=2",
        "md.save_interval_steps=100",
    ],
)
def test_a_changed_configuration_is_refused_not_reused(finished, phenol, override):
    with pytest.raises(ArtifactError, match=r"half_fs\.npz was made with another configuration"):
        run(configure(finished[0].paths.data, override), [phenol])


def test_another_preparation_is_refused(finished, tmp_path, place):
    manifest = place(tmp_path).directory / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(ArtifactError, match="another preparation of phenol"):
        run(finished[0], [load_molecule(manifest.parent)])


def test_a_truncated_file_is_refused(finished, tmp_path, phenol):
    target = tmp_path / "controls" / "phenol" / "half_fs.npz"
    target.parent.mkdir(parents=True)
    target.write_bytes(finished[1][0].read_bytes()[:5000])
    with pytest.raises(ArtifactError, match=r"half_fs\.npz is truncated"):
        run(configure(tmp_path), [phenol])


def test_frames_that_fall_between_steps_are_refused(tmp_path, phenol):
    config = configure(tmp_path, "md.save_interval_steps=51")
    with pytest.raises(ConfigError, match=r"every 102 fs .* of 4 fs of the control hmr_3"):
        run(config, [phenol])
    run(
        configure(tmp_path, "md.save_interval_steps=51", "controls.integrators=[half_fs]"), [phenol]
    )


def test_an_absent_platform_is_said(tmp_path, phenol):
    config = configure(tmp_path, "controls.platform=Quantum", "controls.integrators=[hmr_3]")
    with pytest.raises(DeviceError, match="Quantum cannot be used"):
        run(config, [phenol])


def test_an_explosion_is_said(tmp_path, phenol):
    config = configure(tmp_path, "controls.length_ns=0.1")
    control = replace(variant("hmr_3", config.md), dt_ps=0.02)
    plan = plan_of(config, control)
    system = control.system(phenol, config.md)
    runner = Runner(phenol, control, plan, system, "Reference")
    with pytest.raises(SimulationError, match=r"phenol: the control hmr_3 left the range .* 20 fs"):
        runner.replica(0, lambda _: None)


def test_windows_are_dealt_out_over_the_replicas(tmp_path):
    config = configure(tmp_path, "controls.replicas=3", "controls.nve_windows=7")
    plan = plan_of(config, variant("respa", config.md))
    assert [plan.windows_of(index) for index in range(3)] == [3, 2, 2]


def test_no_windows_may_be_asked_for(tmp_path, phenol):
    config = configure(tmp_path, "controls.nve_windows=0", "controls.integrators=[hmr_3]")
    trajectory = load_trajectory(run(config, [phenol])[0])
    assert len(trajectory.segments(NVE)) == 0
    assert trajectory.n_frames == 40

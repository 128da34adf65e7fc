"""A run with Metropolis tests: its books, its restart, its record."""

import numpy as np
import pytest

from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ConfigError
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.integrators.platforms import make_context
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials.systems import load_system
from kstep.regressed.learned import Network
from kstep.system.trajectory import NVE, NVT, load_trajectory
from kstep.testing import MistakenJump
from kstep.workflow.hybrid.simulation import simulate
from regressed import PROPAGATOR

SETTINGS = [
    "model.arch=splitting",
    "train.landing=closing_kick",
    "hybrid.corrector=closing_kick",
    "hybrid.ensemble=ghmc",
    "md.temperature_K=[300, 350]",
    "hybrid.temperature_K=[300, 350]",
    "md.equilibration_ps=0.5",
    "hybrid.length_ps=3",
    "hybrid.replicas=2",
    "hybrid.nve_windows=2",
    "hybrid.nve_window_ps=1",
    "hybrid.nve_rescaled_windows=0",
    "hybrid.motion.windows=0",
    "hybrid.map_samples=0",
    "hybrid.checkpoint_every_ps=0.5",
    "hybrid.basin.starts=2",
    "hybrid.basin.length_ps=1",
    "hybrid.platform=Reference",
]
FILES = (".npz", ".dcd", ".basin_hybrid.npz")


class InterruptedRunError(Exception):
    pass


@pytest.fixture
def start(phenol, monkeypatch):
    """Runs phenol into a folder with a splitting that knows of no torsions."""
    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    names = [force.getName() for force in system.getForces()]
    system.removeForce(names.index("PeriodicTorsionForce"))

    def jump(*_):
        context = make_context(system, recording_velocity_verlet(0.004), "Reference")
        return MistakenJump(TrueDynamics(context, 0.004, "phenol"), 4, 8)

    monkeypatch.setattr("kstep.workflow.hybrid.setup.load_learned_jump", jump)

    def run(folder, report=lambda _: None):
        checkpoint = folder / "best.ckpt"
        checkpoint.write_bytes(b"none")
        config = load_config([], [f"paths.run={folder}", *SETTINGS])
        return simulate(config, phenol, Network(checkpoint), folder / "phenol.npz", report)

    return run


def test_it_keeps_books_and_goes_on_to_the_same_bytes(start, tmp_path):
    folders = [tmp_path / name for name in ("whole", "broken")]
    for folder in folders:
        folder.mkdir()
    whole = start(folders[0])
    reports = []

    def break_off(amount):
        reports.append(amount)
        if len(reports) == 50:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        start(folders[1], break_off)
    blocks = folders[1] / ".partial" / "phenol" / "nvt_0"
    assert len(list(blocks.glob("block_*.npz"))) >= 3
    again = start(folders[1])
    for suffix in FILES:
        assert hash_file(again.with_suffix(suffix)) == hash_file(whole.with_suffix(suffix))

    trajectory = load_trajectory(whole)
    record = trajectory.record
    assert record["ensemble"] == "ghmc"
    assert set(trajectory.segment_temperature) == {300.0, 350.0}
    sampled = sum(int(trajectory.force_calls[s][-1]) for s in trajectory.segments(NVT))
    windows = sum(int(trajectory.force_calls[s][-1]) for s in trajectory.segments(NVE))
    # A proposal costs a call whether accepted or not; only NVE windows know a guard.
    assert record["proposals"] == sampled
    assert 0.0 < record["acceptance"] < 1.0
    assert (record["acceptance"] * sampled) == pytest.approx(
        round(record["acceptance"] * sampled), abs=1e-6
    )
    in_windows = record["macro_steps"] - sampled
    assert windows == in_windows + record["fallback_calls"]
    assert record["force_calls"] == sampled + windows + 6
    first = trajectory.segments(NVT)[0]
    assert np.ptp(trajectory.etot[first]) > 1.0


def test_the_configuration_refuses_other_jumps(tmp_path):
    with pytest.raises(ConfigError, match="reversible and keep volume"):
        load_config([PROPAGATOR], ["hybrid.ensemble=ghmc"])

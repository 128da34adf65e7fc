"""Densely saved NVE windows of another program decide on its energies and its spectrum."""

import numpy as np
import pytest

from foreign_samples import SPACING, write_npz
from kstep.config import load_config
from kstep.referee.claims.checks import DYNAMICS, ENERGY
from kstep.referee.metrics import Outcome, load_metrics
from kstep.workflow import evaluate, external, md

DT_PS = 0.001
WINDOWS, STEPS = 8, 2500


@pytest.fixture(scope="module")
def theirs(phenol, make_sampler):
    """Velocity Verlet of 1 fs: frames at constant temperature, and windows from them."""
    sampler = make_sampler(phenol, load_config([], ["md.dt_fs=1"]))
    x, v = sampler.equilibrate(phenol.positions, 300.0, 5)
    frames = sampler.sample(x, v, 300.0, 6, 100 * 100, 100)
    starts = range(0, 100, 100 // WINDOWS)
    return frames, [sampler.window(frames.pos[i], frames.vel[i], STEPS, 1) for i in starts]


@pytest.fixture
def judge(theirs, phenol, tmp_path):
    """The verdict on windows whose velocities are those of `velocities(window)`."""

    def verdict(velocities):
        frames, windows = theirs
        nvt = tmp_path / "theirs.npz"
        write_npz(nvt, pos=frames.pos, vel=frames.vel)
        nve = []
        for index, window in enumerate(windows[:WINDOWS]):
            nve.append(tmp_path / f"window{index}.npz")
            write_npz(nve[-1], pos=window.pos[1:], vel=velocities(window))
        settings = [
            f"paths.run={tmp_path / 'run'}", "md.replicas=2", "md.length_ns=0.01", "md.workers=1",
            "md.equilibration_ps=1", "md.nve_window_ps=2", "md.nve_every_ps=5",
            f"md.motion.windows={WINDOWS}", "md.motion.window_ps=2.5", "hybrid.platform=Reference",
            "md.platform=Reference", "eval.bootstrap=50", "eval.workers=1",
        ]  # fmt: skip
        request = external.Request(
            (nvt,), phenol.pdb, phenol.system_xml, tuple(nve), frame_ps=SPACING, nve_frame_ps=DT_PS
        )
        own, molecule = external.run(load_config([], settings), request)
        md.run(own, [molecule])
        (found,) = load_metrics(evaluate.run(own, [molecule])).molecules
        return found, {claim.name: claim for claim in found.verdict.claims}

    return verdict


def slope_of(claims):
    (slope,) = (c for c in claims[ENERGY].checks if c.label.startswith("change of the total"))
    return slope


def test_right_windows_are_scored_and_not_rejected(judge):
    found, claims = judge(lambda window: window.vel[1:])
    assert found.sampling.candidate.motion_windows == WINDOWS
    assert found.dynamics.peaks
    slope = slope_of(claims)
    assert slope.deviation.bounded and slope.outcome is not Outcome.REJECTED
    assert abs(slope.deviation.value) < 0.01
    assert claims[DYNAMICS].outcome is not Outcome.REJECTED


def test_velocities_of_leapfrog_are_rejected(judge):
    """They belong half a step before the positions, as some programs save them."""
    _, claims = judge(lambda window: np.diff(window.pos, axis=0) / DT_PS)
    assert slope_of(claims).deviation.value > 0.02
    assert claims[ENERGY].outcome is Outcome.REJECTED

"""Energy that does not stay is seen: in one window of many, in few, or a little in all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate_samples import make_baseline, make_hybrid, make_molecule
from kstep.config import EvalConfig
from kstep.referee.claims.acceptance import verdict
from kstep.referee.claims.checks import ENERGY, adjudicate
from kstep.referee.compared import make_side
from kstep.referee.metrics import Check, Outcome, WindowDrift
from kstep.referee.physics.drift import judge_drift
from kstep.referee.physics.energy import compare_energies
from kstep.system.trajectory import NVE, Trajectory

N_ATOMS, FREEDOM = 13, 33
"""Phenol's, one bond more constrained."""


def window(drift: float, length_ps: float = 100.0) -> WindowDrift:
    """A window whose energy changes evenly, kJ/mol/ps per atom, with a little noise."""
    excursion = abs(drift) * N_ATOMS * length_ps + 1.0
    return WindowDrift(
        length_ps=length_ps, drift=drift, drift_meV=0.0, fluctuation=0.3, excursion=excursion,
        linear_momentum=0.0, angular_momentum=0.0,
    )  # fmt: skip


def judged(drifts, length_ps: float = 100.0) -> dict[str, Check]:
    windows = [window(float(drift), length_ps) for drift in drifts]
    measured = judge_drift(EvalConfig(), windows, N_ATOMS, FREEDOM, 300.0)
    return {check.label: check for check in adjudicate(measured)}


def outcome(drifts, length_ps: float = 100.0) -> Outcome:
    windows = [window(float(drift), length_ps) for drift in drifts]
    measured = judge_drift(EvalConfig(), windows, N_ATOMS, FREEDOM, 300.0)
    return next(claim.outcome for claim in verdict(measured).claims if claim.name == ENERGY)


def scattered(seed: int, n_windows: int = 16, width: float = 4e-4) -> np.ndarray:
    """Drifts of a faultless integrator: about zero."""
    return width * np.random.default_rng(seed).standard_normal(n_windows)


@pytest.mark.parametrize("runaway", [0.005, 0.05, 10.0, 1000.0, -10.0])
def test_one_runaway_among_quiet_windows_is_rejected(runaway):
    """The geometric mean of 15 windows at 1e-4 and one at 10 is 2e-4, within its margin."""
    quiet = 1e-4 * np.where(np.arange(15) % 2, 1.0, -1.0)
    assert outcome([*quiet, runaway]) is Outcome.REJECTED


@pytest.mark.parametrize("n_windows", [1, 2, 3])
def test_a_window_that_explodes_needs_no_others_to_be_rejected(n_windows):
    assert outcome([1e-4] * (n_windows - 1) + [10.0]) is Outcome.REJECTED
    assert outcome([1e-4] * n_windows) is Outcome.UNDECIDED


def test_a_drift_of_one_sign_adds_up():
    """Each is within the margin of the size; together they heat without end."""
    assert outcome(8e-4 + scattered(1, width=1e-4)) is Outcome.REJECTED
    assert outcome(-8e-4 + scattered(1, width=1e-4)) is Outcome.REJECTED
    alternating = 8e-4 * np.where(np.arange(16) % 2, 1.0, -1.0) + scattered(1, width=1e-4)
    assert judged(alternating)["mean drift in NVE"].outcome is Outcome.ACCEPTED


def test_a_drift_small_against_its_scatter_is_not_accepted():
    """64 windows whose drift is a fifth of their scatter below the margin of the size."""
    shifted = 5e-4 + scattered(5, 64, 7e-4)
    assert judged(shifted)["typical size of the drift in NVE"].outcome is Outcome.ACCEPTED
    assert outcome(shifted) is not Outcome.ACCEPTED


def test_faultless_windows_are_not_rejected_and_mostly_accepted():
    found = [outcome(scattered(seed)) for seed in range(200)]
    assert Outcome.REJECTED not in found
    assert found.count(Outcome.ACCEPTED) > 180


def test_short_noisy_windows_are_no_runaways():
    """Slopes of 1 ps are all noise: none of them sticks out."""
    label = "largest drift of one window in NVE"
    found = [judged(scattered(seed, width=0.02), length_ps=1.0) for seed in range(200)]
    assert sum(one[label].outcome is Outcome.REJECTED for one in found) <= 10
    label = "largest change of the total energy in one window in NVE"
    assert {one[label].outcome for one in found} == {Outcome.ACCEPTED}


def runaway_in(trajectory: Trajectory, index: int, drift: float) -> Trajectory:
    """The same with a drift (kJ/mol/ps) of the potential energy in one NVE window."""
    frames = trajectory.segments(NVE)[index]
    epot, etot = trajectory.epot.copy(), trajectory.etot.copy()
    epot[frames] += drift * trajectory.times[frames]
    etot[frames] += drift * trajectory.times[frames]
    return replace(trajectory, epot=epot, etot=etot)


def test_a_runaway_in_a_trajectory_is_rejected(tmp_path):
    molecule = make_molecule(tmp_path)
    baseline = make_baseline(molecule, n_frames=160, n_windows=16)
    fair = make_hybrid(molecule, n_frames=160, n_windows=16)
    for candidate, wanted in ((fair, set()), (runaway_in(fair, 7, 50.0), {Outcome.REJECTED})):
        sides = [make_side(Path("x.npz"), one, 300.0) for one in (baseline, candidate)]
        energy, _, measured = compare_energies(EvalConfig(), molecule, *sides)
        found = {c.outcome for c in adjudicate(measured) if "in one window" in c.label}
        assert found - {Outcome.ACCEPTED} == wanted
        assert energy.candidate.mean_drift is not None

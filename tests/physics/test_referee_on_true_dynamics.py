"""The referee on phenol's true dynamics: nothing wrong, and one thing wrong at a time.

Short runs: what needs long ones to be seen (a thermostat some degrees off) is in
`benchmarks/referee_power.py`, with how often each fault is found.
"""

from pathlib import Path

import pytest

from kstep.config import load_config
from kstep.referee.claims.acceptance import verdict
from kstep.referee.claims.checks import DYNAMICS, ENERGY, STRUCTURE
from kstep.referee.compared import make_side
from kstep.referee.metrics import Outcome
from kstep.referee.scoring import compare
from kstep.testing.faults import (
    exact_hybrid,
    faultless,
    noisy_positions,
    scaled_bond,
    scaled_velocities,
    shifted_velocities,
)
from kstep.testing.runs import Run, Setup

CONFIG = load_config([], ["md.equilibration_ps=1", "eval.bootstrap=100"])
LENGTHS = {
    "length_ps": 15.0, "nve_windows": 6, "nve_window_ps": 6.0, "motion_windows": 16,
    "motion_window_ps": 10.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def setups(phenol):
    return [Setup(phenol, CONFIG.md, seed=seed, **LENGTHS) for seed in (1, 2)]


@pytest.fixture(scope="module")
def baseline(setups) -> Run:
    return faultless(setups[0])


@pytest.fixture(scope="module")
def candidate(setups) -> Run:
    return faultless(setups[1])


@pytest.fixture(scope="module")
def rejected(phenol, baseline):
    """Claims that a run is rejected for."""

    def judge(run: Run) -> set[str]:
        sides = [make_side(Path("x.npz"), r.trajectory, 300.0, r.motion) for r in (baseline, run)]
        found = verdict(compare(CONFIG.eval, phenol, *sides).measured)
        return {claim.name for claim in found.claims if claim.outcome is Outcome.REJECTED}

    return judge


def test_an_independent_run_is_not_rejected(rejected, candidate):
    assert rejected(candidate) == set()


def test_the_hybrid_with_an_exact_jump_is_not_rejected(rejected, setups):
    assert rejected(exact_hybrid(setups[1])) == set()


def test_velocities_half_a_percent_too_fast(rejected, setups, candidate):
    assert ENERGY in rejected(scaled_velocities(candidate, setups[1], 1.005))


def test_velocities_half_a_step_early(rejected, setups, candidate):
    assert ENERGY in rejected(shifted_velocities(candidate, setups[1], 0.5))


def test_noise_in_positions(rejected, setups, candidate):
    assert STRUCTURE in rejected(noisy_positions(candidate, setups[1], 3e-3))


def test_one_bond_five_percent_too_stiff(rejected, setups):
    assert DYNAMICS in rejected(scaled_bond(setups[1], (0, 1), 1.05))

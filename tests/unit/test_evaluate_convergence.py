"""Chains whose effective samples are known, chains that never meet, and chains that say nothing."""

import numpy as np
import pytest

from kstep.referee.statistics.convergence import judge_convergence, mixing


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def correlated(rng, memory: float, chains: int = 4, frames: int = 5000) -> np.ndarray:
    """x' = memory x + noise, of which (1 − memory) / (1 + memory) of the frames are independent."""
    x = np.empty((chains, frames))
    x[:, 0] = rng.standard_normal(chains)
    kicks = np.sqrt(1.0 - memory**2) * rng.standard_normal((chains, frames))
    for frame in range(1, frames):
        x[:, frame] = memory * x[:, frame - 1] + kicks[:, frame]
    return x


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_effective_samples_of_a_process_with_known_memory(rng, memory):
    found = mixing(correlated(rng, memory))
    assert found.ess_bulk == pytest.approx(20000 * (1.0 - memory) / (1.0 + memory), rel=0.2)
    assert found.r_hat < 1.01
    assert found.ess_tail > found.ess_bulk / 2.0


def test_chains_that_never_meet_have_not_converged(rng):
    stuck = correlated(rng, 0.5) + np.array([[0.0], [0.0], [5.0], [5.0]])
    found = judge_convergence({"torsion": stuck, "bond": correlated(rng, 0.5)})
    assert not found.converged
    assert found.unsettled == ["torsion"]
    assert found.observables["torsion"].r_hat > 1.5
    assert found.observables["torsion"].ess_bulk < 20


def test_chains_of_one_mean_and_other_widths_have_not_converged(rng):
    """Ranks of the values agree; those of their distances from the median do not."""
    scaled = correlated(rng, 0.0) * np.array([[1.0], [1.0], [3.0], [3.0]])
    assert not judge_convergence({"x": scaled}).converged


def test_one_chain_is_held_against_its_own_halves(rng):
    assert mixing(correlated(rng, 0.5, chains=1)).r_hat < 1.01
    drifting = correlated(rng, 0.5, chains=1) + np.linspace(0.0, 3.0, 5000)
    assert mixing(drifting).r_hat > 1.1


def test_heavy_tails_without_a_variance_can_be_judged(rng):
    assert mixing(rng.standard_cauchy((4, 2000))).r_hat < 1.01


def test_limits_are_the_callers(rng):
    short = {"x": correlated(rng, 0.9, frames=500)}
    assert not judge_convergence(short).converged
    assert judge_convergence(short, max_r_hat=1.1, min_ess=50.0).converged


def test_what_does_not_move(rng):
    still = judge_convergence({"bond": np.ones((4, 200))})
    assert still.converged
    apart = mixing(np.repeat([[0.0], [1.0]], 200, axis=1))
    assert apart.r_hat > 1e6
    assert apart.ess_bulk < 3
    few = judge_convergence({"x": rng.standard_normal((4, 2))})
    assert (few.observables["x"].r_hat, few.observables["x"].ess_bulk) == (np.inf, 0.0)
    assert not few.converged

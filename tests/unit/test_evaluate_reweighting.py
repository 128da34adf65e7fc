"""Weights from a surrogate to the truth, against ensembles of which everything is known."""

from math import erfc

import numpy as np
import pytest

from kstep.errors import SimulationError
from kstep.referee.statistics.reweighting import reweighted_mean, weigh
from kstep.units import BOLTZMANN

TEMPERATURE = 300.0
THERMAL = BOLTZMANN * TEMPERATURE


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def normal(rng, spread: float, chains: int = 4, frames: int = 5000) -> np.ndarray:
    """Differences of a known spread (k_B T), about a constant that does not matter."""
    return THERMAL * (spread * rng.standard_normal((chains, frames)) - 4000.0)


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.75])
def test_normal_differences_have_the_weights_that_theory_says(rng, spread):
    found = weigh(normal(rng, spread), TEMPERATURE)
    assert found.values.sum() == pytest.approx(1.0)
    assert found.spread == pytest.approx(spread, rel=0.02)
    assert found.predicted_acceptance == pytest.approx(erfc(spread / 2.0), rel=0.02)
    # ⟨w⟩² / ⟨w²⟩ of a log-normal.
    assert found.effective_fraction == pytest.approx(np.exp(-(spread**2)), rel=0.05)
    assert found.reliable


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_predicted_acceptance_is_that_of_independence_metropolis(rng, spread):
    differences = normal(rng, spread, frames=20000)
    chain = (differences / THERMAL).ravel()
    state, accepted = chain[0], 0
    for proposal, log_u in zip(chain[1:], np.log(rng.uniform(size=chain.size - 1)), strict=True):
        if log_u < state - proposal:
            state, accepted = proposal, accepted + 1
    found = weigh(differences, TEMPERATURE).predicted_acceptance
    assert accepted / (chain.size - 1) == pytest.approx(found, abs=0.02)


def test_a_constant_changes_nothing(rng):
    differences = normal(rng, 0.5, frames=500)
    here, there = weigh(differences, TEMPERATURE), weigh(differences + 1e5, TEMPERATURE)
    np.testing.assert_allclose(here.values, there.values, rtol=1e-6)


def test_a_spring_that_is_too_stiff_is_put_right(rng):
    """Frames of a spring of twice the constant: the true width is √2 times as large at most."""
    true, wrong = 1.0, 1.3
    x = np.sqrt(THERMAL / wrong) * rng.standard_normal((4, 20000))
    weights = weigh(0.5 * (true - wrong) * x**2, TEMPERATURE)
    found = reweighted_mean(x**2, weights)
    assert abs(found.surrogate.value - THERMAL / wrong) < 4.0 * found.surrogate.error
    assert abs(found.true.value - THERMAL / true) < 4.0 * found.true.error
    exact = THERMAL * (1.0 / true - 1.0 / wrong)
    assert abs(found.shift.value - exact) < 4.0 * found.shift.error
    assert found.shift.error < found.true.error
    assert weights.reliable


def test_errors_are_the_scatter_over_repetitions(rng):
    """Correlated chains: both errors against many runs of the same."""
    trues, shifts, errors, shift_errors = [], [], [], []
    for _ in range(150):
        x = correlated(rng, 0.8, 4, 1000)
        d = THERMAL * (0.3 * x + 0.2 * rng.standard_normal(x.shape))
        found = reweighted_mean(x, weigh(d, TEMPERATURE))
        trues.append(found.true.value)
        shifts.append(found.shift.value)
        errors.append(found.true.error)
        shift_errors.append(found.shift.error)
    # ⟨x exp(−0.3 x)⟩ / ⟨exp(−0.3 x)⟩ of a normal deviate.
    assert np.mean(trues) == pytest.approx(-0.3, abs=0.02)
    assert np.mean(shifts) == pytest.approx(-0.3, abs=0.02)
    assert np.mean(errors) == pytest.approx(np.std(trues), rel=0.25)
    assert np.mean(shift_errors) == pytest.approx(np.std(shifts), rel=0.25)


def correlated(rng, memory: float, chains: int, frames: int) -> np.ndarray:
    """x' = memory x + noise, of unit variance."""
    x = np.empty((chains, frames))
    x[:, 0] = rng.standard_normal(chains)
    kicks = np.sqrt(1.0 - memory**2) * rng.standard_normal((chains, frames))
    for frame in range(1, frames):
        x[:, frame] = memory * x[:, frame - 1] + kicks[:, frame]
    return x


@pytest.mark.parametrize("shape", [0.3, 0.5, 0.85, 1.2])
def test_the_tail_of_weights_is_told(rng, shape):
    """Weights whose tail is Pareto's of a known shape: heavier than 0.7 is not to be believed."""
    weights = (1.0 - rng.uniform(size=(4, 10000))) ** -shape
    found = weigh(-THERMAL * np.log(weights), TEMPERATURE)
    assert found.pareto_k == pytest.approx(shape, abs=0.15)
    assert found.reliable == (shape < 0.7)


def test_a_surrogate_that_is_far_off_is_not_believed(rng):
    found = weigh(normal(rng, 4.0), TEMPERATURE)
    assert found.pareto_k > 0.7
    assert not found.reliable
    assert found.effective_fraction < 0.02


def test_a_perfect_surrogate_and_one_with_too_few_frames():
    same = weigh(np.full((4, 100), 7.0), TEMPERATURE)
    assert (same.effective_fraction, same.predicted_acceptance) == pytest.approx((1.0, 1.0))
    assert same.spread == pytest.approx(0.0, abs=1e-9)
    assert same.reliable
    few = weigh(np.arange(6.0).reshape(2, 3), TEMPERATURE)
    assert few.pareto_k == np.inf
    assert not few.reliable


def test_an_energy_that_is_not_there_is_refused(rng):
    differences = normal(rng, 0.1, frames=50)
    differences[1, 3] = np.nan
    with pytest.raises(SimulationError, match="1 of 200 frames have no finite difference"):
        weigh(differences, TEMPERATURE)

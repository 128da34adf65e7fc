"""Statistics, divergences, drifts and costs against numbers known beforehand."""

import numpy as np
import pytest

from evaluate_samples import TIMING
from kstep.errors import ArtifactError
from kstep.evaluate.cost import Timing, cost, load_timing, speed_up
from kstep.evaluate.divergence import BLOCKS, jensen_shannon, kullback_leibler, noise_floor
from kstep.evaluate.energy import window_drift
from kstep.evaluate.metrics import Estimate
from kstep.evaluate.statistics import (
    bootstrap_median,
    correlated_mean,
    independent_mean,
    relative_error,
    statistical_inefficiency,
)
from kstep.units import MEV_PER_KJ_PER_MOL

RECORD = {
    "macro_steps": 1000, "force_calls": 1200, "rejected_jumps": 30, "nominal_saving": 9.0,
    "counted_saving": 7.5, "dt_ps": 0.002,
}  # fmt: skip


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def autoregressive(rng: np.random.Generator, length: int, memory: float) -> np.ndarray:
    """x' = memory x + noise, whose statistical inefficiency is (1 + memory) / (1 - memory)."""
    series = np.empty(length)
    series[0] = rng.standard_normal()
    kicks = np.sqrt(1.0 - memory**2) * rng.standard_normal(length)
    for index in range(1, length):
        series[index] = memory * series[index - 1] + kicks[index]
    return series


def test_drift_is_the_slope_per_atom():
    times = np.linspace(0.0, 50.0, 501)
    wiggle = 0.3 * np.cos(2.0 * np.pi * 3.7 * times)
    found = window_drift(times, 7.0 + 0.04 * times + wiggle, n_atoms=8)
    assert found.drift == pytest.approx(0.005, rel=1e-2)
    assert found.drift_meV == pytest.approx(0.005 * MEV_PER_KJ_PER_MOL, rel=1e-2)
    assert found.fluctuation == pytest.approx(0.3 / np.sqrt(2.0), rel=1e-2)
    assert found.excursion == pytest.approx(2.0, rel=1e-2)
    assert found.length_ps == 50.0


def test_inefficiency_of_a_process_with_known_memory(rng):
    series = [autoregressive(rng, 20000, 0.8) for _ in range(2)]
    assert statistical_inefficiency(series) == pytest.approx(9.0, rel=0.15)
    assert statistical_inefficiency([rng.standard_normal(20000)]) == pytest.approx(1.0, abs=0.1)
    assert statistical_inefficiency([np.ones(50)]) == 1.0


def test_interval_of_a_correlated_mean_covers_the_truth(rng):
    intervals = [correlated_mean([autoregressive(rng, 1000, 0.8)]) for _ in range(200)]
    covered = np.mean([interval.low <= 0.0 <= interval.high for interval in intervals])
    assert 0.88 <= covered <= 0.99


def test_interval_of_independent_values_is_students():
    found = independent_mean(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2.0
    assert found.high - 2.0 == pytest.approx(4.3027 / np.sqrt(3.0), rel=1e-4)


def test_relative_error_propagates_both_intervals():
    found = relative_error(
        Estimate(value=110.0, low=106.7, high=113.3), Estimate(value=100.0, low=96.0, high=104.0)
    )
    assert found.value == pytest.approx(0.1)
    assert found.high - found.value == pytest.approx(1.1 * 0.05)


def test_median_and_its_bootstrap():
    found = bootstrap_median(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), samples=500, seed=1)
    assert found.value == 3.0
    assert 1.0 <= found.low < 3.0 < found.high <= 100.0
    assert found == bootstrap_median(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), samples=500, seed=1)


@pytest.mark.parametrize("shift", [0.3, 1.0])
def test_divergences_of_shifted_gaussians(rng, shift):
    edges = np.arange(-7.0, 8.0, 0.1)
    p = np.histogram(rng.standard_normal(400_000), edges)[0].astype(float)
    q = np.histogram(shift + rng.standard_normal(400_000), edges)[0].astype(float)
    assert kullback_leibler(p, q) == pytest.approx(shift**2 / 2.0, rel=0.03)
    x = np.linspace(-12.0, 13.0, 20001)
    first, second = np.exp(-(x**2) / 2), np.exp(-((x - shift) ** 2) / 2)
    middle = (first + second) / 2
    weight = (x[1] - x[0]) / np.sqrt(2 * np.pi) / 2
    exact = weight * np.sum(first * np.log(first / middle) + second * np.log(second / middle))
    assert jensen_shannon(p, q) == pytest.approx(exact, rel=0.03)


def test_disjoint_histograms_are_ln_2_apart():
    p, q = np.array([10000.0, 0.0]), np.array([0.0, 10000.0])
    assert jensen_shannon(p, q) == pytest.approx(np.log(2.0), rel=1e-2)


def test_noise_floor_is_the_divergence_of_faultless_samples(rng):
    """Mean JS of independent samples of unequal lengths, foretold by one side's blocks."""
    edges = np.linspace(-4.0, 4.0, 41)

    def histogram(size: int) -> np.ndarray:
        return np.histogram(rng.standard_normal(size), edges)[0].astype(float)

    floors = [
        noise_floor(np.stack([histogram(500) for _ in range(BLOCKS)]), 5000.0, 20000.0)
        for _ in range(20)
    ]
    real = [jensen_shannon(histogram(5000), histogram(20000)) for _ in range(200)]
    assert np.mean([mean for mean, _ in floors]) == pytest.approx(np.mean(real), rel=0.15)
    assert np.mean([high for _, high in floors]) == pytest.approx(np.quantile(real, 0.95), rel=0.2)


def test_cost_at_todays_force_cost_is_the_measured_ratio(tmp_path):
    found = cost(tmp_path / "x.npz", RECORD, Timing.model_validate(TIMING))
    assert found.steps_per_macro == pytest.approx(9.0)
    assert found.calls_per_macro == pytest.approx(1.2)
    assert found.wall_ratio == pytest.approx(0.25)
    assert found.rejected_share == pytest.approx(0.03)
    assert speed_up(found, found.step_cost_s) == pytest.approx(found.wall_ratio)
    assert found.break_even_s is not None
    assert speed_up(found, found.break_even_s) == pytest.approx(1.0)
    assert speed_up(found, 1e3) == pytest.approx(7.5, rel=1e-3)
    assert "total" not in found.parts


def test_a_hybrid_that_saves_no_calls_never_breaks_even(tmp_path):
    record = {**RECORD, "force_calls": 9000, "counted_saving": 1.0}
    assert cost(tmp_path / "x.npz", record, Timing.model_validate(TIMING)).break_even_s is None


def test_costs_that_are_not_there_are_refused(tmp_path):
    path = tmp_path / "phenol.npz"
    with pytest.raises(ArtifactError, match=r"phenol\.npz does not say its force_calls"):
        cost(path, {**RECORD, "force_calls": None}, Timing.model_validate(TIMING))
    with pytest.raises(ArtifactError, match="no macro-step"):
        cost(path, {**RECORD, "macro_steps": 0}, Timing.model_validate(TIMING))
    timing = tmp_path / "phenol.timing.json"
    timing.write_text('{"s_per_ps": 1}')
    with pytest.raises(ArtifactError, match="lacks the wall-clock times"):
        load_timing(timing)

"""Statistics, divergences, drifts and costs against numbers known beforehand."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from evaluate_samples import HYBRID, TIMING, make_baseline, make_hybrid, make_molecule
from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.claims.checks import beyond
from kstep.referee.compared import make_side
from kstep.referee.cost.savings import Timing, cost, load_timing, speed_up
from kstep.referee.physics.energy import fit_line
from kstep.referee.statistics.divergence import jensen_shannon, kullback_leibler
from kstep.referee.statistics.estimates import (
    Uncertain,
    block_means,
    block_shares,
    bootstrap,
    correlated_mean,
    difference,
    equilibration,
    inefficiency,
    mean_of,
    relative_difference,
    resample,
    typical_size,
)
from kstep.referee.structure.distributions import Histograms, divergence_excess

CONFIG = EvalConfig(bootstrap=400)


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


def test_drift_is_the_slope_of_the_energy():
    times = np.linspace(0.0, 50.0, 501)
    wiggle = 0.3 * np.cos(2.0 * np.pi * 3.7 * times)
    found = fit_line(times, 7.0 + 0.04 * times + wiggle)
    assert found.slope == pytest.approx(0.04, rel=1e-2)
    assert found.fluctuation == pytest.approx(0.3 / np.sqrt(2.0), rel=1e-2)
    assert found.excursion == pytest.approx(2.0, rel=1e-2)


def test_inefficiency_of_a_process_with_known_memory(rng):
    series = [autoregressive(rng, 20000, 0.8) for _ in range(2)]
    assert inefficiency(series) == pytest.approx(9.0, rel=0.15)
    assert inefficiency([rng.standard_normal(20000)]) == pytest.approx(1.0, abs=0.2)
    assert inefficiency([np.ones(50)]) == 1.0


def test_replicas_that_never_meet_are_not_independent_frames(rng):
    """Two runs stuck in different wells: each looks settled, together they are not."""
    stuck = [sign + 0.1 * rng.standard_normal(1000) for sign in (-1.0, 1.0)]
    assert inefficiency(stuck) > 100.0
    assert inefficiency(stuck[:1]) < 2.0


def test_the_start_of_a_run_that_falls_to_equilibrium_is_left_out(rng):
    settled = rng.standard_normal(2000)
    falling = settled + 20.0 * np.exp(-np.arange(2000) / 100.0)
    assert 200 <= equilibration(falling) <= 1000
    assert equilibration(settled) < 500
    assert equilibration(np.ones(100)) == 0


@pytest.mark.parametrize("replicas", [1, 4])
def test_interval_of_a_correlated_mean_covers_the_truth(rng, replicas):
    intervals = [
        correlated_mean(
            [autoregressive(rng, 2000 // replicas, 0.8) for _ in range(replicas)]
        ).estimate()
        for _ in range(200)
    ]
    covered = np.mean([interval.low <= 0.0 <= interval.high for interval in intervals])
    assert 0.84 <= covered <= 0.96


def test_interval_of_independent_values_is_students():
    found = mean_of(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2.0
    assert found.estimate().high - 2.0 == pytest.approx(2.9200 / np.sqrt(3.0), rel=1e-4)


def test_errors_of_independent_numbers_add_in_squares():
    found = difference(Uncertain(5.0, 0.3, 10.0), Uncertain(4.0, 0.4, 10.0))
    assert (found.value, found.error) == (1.0, pytest.approx(0.5))
    assert 10.0 < found.dof < 20.0
    ratio = relative_difference(Uncertain(110.0, 3.3, 50.0), Uncertain(100.0, 4.0, 50.0))
    assert ratio.value == pytest.approx(0.1)
    assert ratio.error == pytest.approx(1.1 * 0.05)
    nothing = relative_difference(Uncertain(0.0, 1.0, 50.0), Uncertain(100.0, 4.0, 50.0))
    assert (nothing.value, nothing.error) == (-1.0, pytest.approx(0.01))


def test_blocks_do_not_span_replicas():
    blocks = block_means([np.zeros((10, 1)), np.ones((7, 1)), np.full((2, 1), 5.0)], 3)
    assert blocks[:, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 5.0]


def test_shares_of_blocks_are_means_of_the_frames_histograms(rng):
    runs = [rng.integers(0, 5, (length, 3)) for length in (20, 7, 2)]
    frames = [np.stack([(run == one).mean(axis=1) for one in range(5)], axis=1) for run in runs]
    np.testing.assert_allclose(block_shares(runs, 5, 6), block_means(frames, 6), atol=1e-12)


def test_histograms_of_long_runs_are_no_larger_than_the_runs(rng):
    """One row of bins for each of a hundred thousand frames would be 60 times their size."""
    run = rng.integers(0, 500, (100_000, 1))
    tracemalloc.start()
    try:
        block_shares([run], 500, 5000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * run.nbytes


def test_bootstrap_of_a_ratio_of_averages(rng):
    """The error of a ratio of correlated averages against its scatter over repetitions."""

    def ratio(average: np.ndarray) -> np.ndarray:
        return (average[..., 0] / average[..., 1])[..., None]

    found = []
    for _ in range(60):
        common = rng.standard_normal(400)
        pairs = np.stack([3.0 + common, 2.0 + 0.5 * common + 0.1 * rng.standard_normal(400)], 1)
        found.append(bootstrap(block_means([pairs], 10), ratio, 200, 1)[0])
    scatter = np.std([number.value for number in found])
    assert np.mean([number.error for number in found]) == pytest.approx(scatter, rel=0.25)


def test_resampling_is_repeatable_and_unbiased(rng):
    blocks = rng.standard_normal((30, 2))
    draws = resample(blocks, 4000, seed=3)
    assert np.array_equal(draws, resample(blocks, 4000, seed=3))
    assert draws.mean(axis=0) == pytest.approx(blocks.mean(axis=0), abs=0.02)
    few = resample(blocks, 4000, seed=3, size=5)
    assert few.std(axis=0) == pytest.approx(draws.std(axis=0) * np.sqrt(6.0), rel=0.1)


def test_sizes_that_scatter_by_factors_are_judged_by_their_logarithms():
    """Eight windows that all drift far too fast, between 5 and 60 times what is allowed."""
    found = typical_size(np.array([5.0, -8.0, 12.0, 60.0, -20.0, 9.0, 30.0, -15.0]))
    assert found.value == pytest.approx(14.8, rel=0.01)
    interval = found.estimate()
    assert interval.low * interval.high == pytest.approx(found.value**2)
    assert found.distance(1.0) > 8.0
    assert beyond(found, 1.0) < 1e-4
    assert found.distance(100.0) < -5.0
    # As a plain mean it would be open: its error is as large as itself.
    assert Uncertain(20.0, 18.0 / 8**0.5, 7.0).distance(1.0) < 3.1


@pytest.mark.parametrize("shift", [0.3, 1.0])
def test_divergences_of_shifted_gaussians(rng, shift):
    edges = np.arange(-7.0, 8.0, 0.1)
    p = np.histogram(rng.standard_normal(400_000), edges)[0].astype(float)
    q = np.histogram(shift + rng.standard_normal(400_000), edges)[0].astype(float)
    assert float(kullback_leibler(p, q)) == pytest.approx(shift**2 / 2.0, rel=0.03)
    x = np.linspace(-12.0, 13.0, 20001)
    first, second = np.exp(-(x**2) / 2), np.exp(-((x - shift) ** 2) / 2)
    middle = (first + second) / 2
    weight = (x[1] - x[0]) / np.sqrt(2 * np.pi) / 2
    exact = weight * np.sum(first * np.log(first / middle) + second * np.log(second / middle))
    assert jensen_shannon(p, q) == pytest.approx(exact, rel=0.03)


def test_disjoint_histograms_are_ln_2_apart():
    p, q = np.array([10000.0, 0.0]), np.array([0.0, 10000.0])
    assert jensen_shannon(p, q) == pytest.approx(np.log(2.0), rel=1e-2)


def test_noise_is_the_divergence_of_faultless_samples(rng):
    """JS of independent samples of unequal lengths, foretold by the baseline's blocks."""
    edges = np.linspace(-4.0, 4.0, 41)

    def blocks(count: int) -> np.ndarray:
        sample = rng.standard_normal((count, 500))
        return np.stack([np.histogram(one, edges)[0] / 500 for one in sample])

    excesses, quantiles, real = [], [], []
    for _ in range(150):
        histograms = Histograms(edges, [blocks(10), blocks(40)], [5000, 20000])
        excess, noise = divergence_excess(CONFIG, histograms)
        excesses.append(excess.value)
        quantiles.append(np.quantile(noise, 0.95))
        real.append(float(jensen_shannon(*histograms.counts)))
    assert abs(np.mean(excesses)) < 0.2 * np.mean(real)
    assert np.mean(quantiles) == pytest.approx(np.quantile(real, 0.95), rel=0.3)


@pytest.fixture
def sides(tmp_path):
    molecule = make_molecule(tmp_path)
    pair = make_baseline(molecule, n_frames=160), make_hybrid(molecule, n_frames=160)
    return [
        make_side(tmp_path / f"{name}.npz", side, 300.0)
        for name, side in zip("ab", pair, strict=True)
    ]


def with_record(side, **change):
    trajectory = replace(side.trajectory, record={**side.trajectory.record, **change})
    return replace(side, trajectory=trajectory)


def test_cost_at_todays_force_cost_is_the_measured_ratio(sides):
    counts = {"macro_steps": 1000, "force_calls": 1200, "rejected_jumps": 30}
    found = cost(CONFIG, sides[0], with_record(sides[1], **counts), Timing.model_validate(TIMING))
    assert found.steps_per_macro == pytest.approx(9.0)
    assert found.calls_per_macro == pytest.approx(1.2)
    assert found.wall_ratio == pytest.approx(0.25)
    assert found.rejected_share == pytest.approx(0.03)
    assert speed_up(found, found.step_cost_s) == pytest.approx(found.wall_ratio)
    assert found.break_even_s is not None
    assert speed_up(found, found.break_even_s) == pytest.approx(1.0)
    assert speed_up(found, 1e3) == pytest.approx(7.5, rel=1e-3)
    assert "total" not in found.parts


def test_training_is_counted_when_asked_for(sides):
    timing = Timing.model_validate(TIMING)
    plain = cost(CONFIG, *sides, timing)
    counted = cost(EvalConfig(count_training=True), *sides, timing)
    assert plain.training_calls == 1000
    assert plain.shown_saving == plain.counted_saving == 7.5
    assert counted.shown_saving == pytest.approx(7.5 * 12000 / 13000)
    # After this time plain MD has made as many calls as training and hybrid together.
    assert plain.break_even_ns is not None
    steps = plain.break_even_ns * 1e3 / 0.002
    assert steps == pytest.approx(1000 + steps / 7.5)


def test_an_adaptation_is_paid_back_on_the_clock(sides):
    """After that time plain MD has taken as long as adaptation and hybrid together."""
    rounds = [{"labels": 200, "force_error": 0.2}]
    adapted = with_record(sides[1], training_rounds=rounds)
    slow = cost(CONFIG, sides[0], adapted, Timing(**TIMING, training_minutes=3.0))
    assert [entry.labels for entry in slow.training_rounds] == [200]
    assert slow.break_even_clock_ns is None
    timing = Timing(**{**TIMING, "s_per_ps": 0.01, "baseline_s_per_ps": 0.1}, training_minutes=3.0)
    found = cost(CONFIG, sides[0], adapted, timing)
    assert found.break_even_clock_ns is not None
    length_ps = 1e3 * found.break_even_clock_ns
    assert length_ps * 0.1 == pytest.approx(180.0 + length_ps * 0.01)


def test_starting_states_cost_both_sides_the_same(sides):
    timing = Timing.model_validate(TIMING)
    assert cost(CONFIG, *sides, timing).saving_with_starts is None
    found = cost(CONFIG, sides[0], with_record(sides[1], starting_calls=3000), timing)
    assert found.starting_calls == 3000
    assert found.saving_with_starts == pytest.approx((7.5 * 12000 + 3000) / 15000)


def test_a_hybrid_that_saves_no_calls_never_breaks_even(sides):
    idle = with_record(sides[1], force_calls=90000, counted_saving=1.0)
    found = cost(CONFIG, sides[0], idle, Timing.model_validate(TIMING))
    assert found.break_even_s is None
    assert found.break_even_ns is None


def test_costs_that_are_not_there_are_refused(tmp_path, sides):
    timing = Timing.model_validate(TIMING)
    with pytest.raises(ArtifactError, match=r"b\.npz does not say its force_calls"):
        cost(CONFIG, sides[0], with_record(sides[1], force_calls=None), timing)
    with pytest.raises(ArtifactError, match="no macro-step"):
        cost(CONFIG, sides[0], with_record(sides[1], macro_steps=0), timing)
    path = tmp_path / "phenol.timing.json"
    path.write_text('{"s_per_ps": 1}')
    with pytest.raises(ArtifactError, match="lacks the wall-clock times"):
        load_timing(path)
    assert HYBRID["force_calls"] == 12000

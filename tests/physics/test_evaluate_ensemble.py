"""The slope between two temperatures, against exact energies and physical_validation."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter
from test_evaluate_modes import canonical, wobbled

from kstep.config import EvalConfig
from kstep.referee.claims.checks import ENSEMBLE, adjudicate
from kstep.referee.compared import Side
from kstep.referee.metrics import Outcome
from kstep.referee.physics.ensemble import compare_ensembles, expected_slope, log_ratio, slope_error
from kstep.referee.physics.modes import mode_energies
from kstep.system.trajectory import NVT, Trajectory
from kstep.units import BOLTZMANN

CONFIG = EvalConfig()
MODES, REPLICAS, FRAMES = 24, 8, 2000


def harmonic(rng: np.random.Generator, temperature: float, memory: float = 4.0) -> list[np.ndarray]:
    """Potential energies of harmonic modes whose coordinates forget in `memory` frames."""
    keep = np.exp(-1.0 / memory)
    noise = rng.standard_normal((REPLICAS, MODES, FRAMES))
    noise[..., 1:] *= np.sqrt(1.0 - keep**2)
    coordinates = lfilter([1.0], [1.0, -keep], noise, axis=-1)
    return list(0.5 * BOLTZMANN * temperature * (coordinates**2).sum(axis=1))


def make_side(runs: dict[float, list[np.ndarray]]) -> Side:
    """A side of the given potential energies; the first temperature is judged."""
    segments = [(kelvin, energies) for kelvin, found in runs.items() for energies in found]
    lengths = [len(energies) for _, energies in segments]
    n_frames = sum(lengths)
    zeros = np.zeros((n_frames, 1, 3))
    epot = np.concatenate([energies for _, energies in segments])
    times = np.concatenate([0.1 * np.arange(1.0, length + 1.0) for length in lengths])
    trajectory = Trajectory(
        pos=zeros, vel=zeros, box=np.zeros((n_frames, 3, 3)), epot=epot, ekin=0 * epot, etot=epot,
        times=times, segment=np.repeat(np.arange(len(segments)), lengths),
        segment_kind=np.full(len(segments), NVT),
        segment_temperature=np.array([kelvin for kelvin, _ in segments]),
        force_calls=np.zeros(n_frames, dtype=np.int64), numbers=np.array([18]),
        masses=np.array([40.0]), record={},
    )  # fmt: skip
    judged = next(iter(runs))
    return Side(Path("x.npz"), trajectory, None, judged, trajectory.segments(NVT, judged), 0.0)


def test_the_error_of_an_exact_ensemble_is_covered_by_its_interval():
    rng = np.random.default_rng(1)
    found = [
        slope_error(harmonic(rng, 300.0), harmonic(rng, 330.0), 300.0, 330.0, CONFIG)
        for _ in range(60)
    ]
    values = np.array([one.value for one in found])
    errors = np.array([one.error for one in found])
    assert abs(values.mean()) < 3.5 * values.std() / 60**0.5
    assert errors.mean() == pytest.approx(values.std(), rel=0.3)
    intervals = [one.estimate() for one in found]
    # Expected outside: 6 of 60.
    assert sum(not one.low < 0.0 < one.high for one in intervals) <= 13


@pytest.mark.parametrize(("kelvin", "exact"), [(315.0, -0.476), (350.0, 0.571)])
def test_energies_of_another_temperature_have_its_slope(kelvin, exact):
    rng = np.random.default_rng(2)
    found = slope_error(harmonic(rng, 300.0), harmonic(rng, kelvin), 300.0, 330.0, CONFIG)
    assert expected_slope(300.0, kelvin) / expected_slope(300.0, 330.0) - 1.0 == pytest.approx(
        exact, abs=1e-3
    )
    assert found.value == pytest.approx(exact, abs=4.0 * found.error)
    assert found.error < 0.15


def test_neither_the_zero_of_energy_nor_the_numbers_of_frames_matter():
    rng = np.random.default_rng(3)
    first, second = harmonic(rng, 300.0), harmonic(rng, 330.0)
    plain = slope_error(first, second, 300.0, 330.0, CONFIG)
    moved = slope_error([e - 1e4 for e in first], [e - 1e4 for e in second], 300.0, 330.0, CONFIG)
    assert moved.value == pytest.approx(plain.value, abs=1e-6)
    fewer = slope_error(first, second[:3], 300.0, 330.0, CONFIG)
    assert fewer.value == pytest.approx(plain.value, abs=4.0 * fewer.error)
    assert fewer.error > 1.1 * plain.error


def test_sides_at_two_temperatures_are_judged_and_drawn():
    rng = np.random.default_rng(4)
    baseline, fair, wrong = (
        make_side({300.0: harmonic(rng, 300.0), 360.0: harmonic(rng, kelvin)})
        for kelvin in (360.0, 360.0, 320.0)
    )
    metrics, curves, measured = compare_ensembles(CONFIG, baseline, fair)
    assert metrics is not None and metrics.temperatures_K == [300.0, 360.0]
    assert measured[0].claim == ENSEMBLE
    assert adjudicate(measured)[0].outcome is Outcome.ACCEPTED
    rise = np.diff(curves["ensemble/expected/log_ratio"]) / np.diff(
        curves["ensemble/expected/energy"]
    )
    assert rise == pytest.approx(expected_slope(300.0, 360.0))
    for side in ("baseline", "candidate"):
        line = np.interp(
            curves[f"ensemble/{side}/energy"],
            curves["ensemble/expected/energy"],
            curves["ensemble/expected/log_ratio"],
        )
        pulls = (curves[f"ensemble/{side}/log_ratio"] - line) / curves[f"ensemble/{side}/error"]
        assert len(pulls) > 5
        assert 0.4 < np.sqrt((pulls**2).mean()) < 1.6
    _, _, measured = compare_ensembles(CONFIG, baseline, wrong)
    assert adjudicate(measured)[0].outcome is Outcome.REJECTED


def test_frames_that_repeat_each_other_make_no_bar_shorter():
    rng = np.random.default_rng(7)
    sides = [harmonic(rng, kelvin) for kelvin in (300.0, 330.0)]
    once = log_ratio(*sides)
    again = log_ratio(*([np.repeat(one, 4) for one in side] for side in sides))
    shared = np.isin(again["energy"], once["energy"])
    assert again["error"][shared] == pytest.approx(once["error"], rel=0.15)


def test_no_ensemble_from_one_temperature_or_two_far_apart():
    rng = np.random.default_rng(5)
    alone = make_side({300.0: harmonic(rng, 300.0)})
    both = make_side({300.0: harmonic(rng, 300.0), 3000.0: harmonic(rng, 3000.0)})
    assert compare_ensembles(CONFIG, alone, both) == (None, {}, [])
    assert compare_ensembles(CONFIG, both, both) == (None, {}, [])


def physical_data(kelvin: float, potential: np.ndarray, kinetic: np.ndarray, freedom: int):
    """What physical_validation reads, with so many degrees of freedom."""
    validation = pytest.importorskip("physical_validation")
    return validation.data.SimulationData(
        units=validation.data.UnitData.units("GROMACS"),
        dt=0.1,
        system=validation.data.SystemData(
            natoms=freedom, nconstraints=2 * freedom, ndof_reduction_tra=0, ndof_reduction_rot=0,
            mass=np.ones(freedom),
        ),
        ensemble=validation.data.EnsembleData(
            "NVT", natoms=freedom, volume=1.0, temperature=kelvin
        ),
        observables=validation.data.ObservableData(
            potential_energy=potential, kinetic_energy=kinetic,
            total_energy=potential + kinetic, volume=np.ones(len(potential)),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("factor", [1.0, 1.03])
def test_physical_validation_finds_the_same_slope(factor):
    validation = pytest.importorskip("physical_validation")
    rng = np.random.default_rng(6)
    energies = [
        0.5 * BOLTZMANN * kelvin * scale * rng.chisquare(MODES, 16000)
        for kelvin, scale in ((300.0, 1.0), (330.0, factor))
    ]
    data = [
        physical_data(kelvin, energy, energy, MODES)
        for kelvin, energy in zip((300.0, 330.0), energies, strict=True)
    ]
    quantiles = validation.ensemble.check(*data, data_is_uncorrelated=True, verbosity=0)
    ours = slope_error([energies[0]], [energies[1]], 300.0, 330.0, CONFIG)
    assert abs(ours.value / ours.error) == pytest.approx(float(quantiles[0]), rel=0.15, abs=0.15)
    assert bool(quantiles[0] > 5.0) is (factor > 1.0)


def test_physical_validation_finds_kinetic_energies_of_modes_canonical(phenol):
    validation = pytest.importorskip("physical_validation")
    positions = wobbled(phenol, 4000)
    velocities = canonical(phenol, positions, 300.0)
    energies, dimensions, _ = mode_energies(phenol, positions, velocities, phenol.masses)
    for mode, freedom in enumerate(dimensions.astype(int)):
        kinetic = energies[:, mode]
        data = physical_data(300.0, kinetic, kinetic, int(freedom))
        off_mean, off_width = validation.kinetic_energy.distribution(
            data, strict=False, verbosity=0, data_is_uncorrelated=True, bootstrap_seed=1
        )
        assert max(abs(off_mean), abs(off_width)) < 4.0
        strict = validation.kinetic_energy.distribution(
            data, strict=True, verbosity=0, data_is_uncorrelated=True
        )
        assert strict > 1e-3

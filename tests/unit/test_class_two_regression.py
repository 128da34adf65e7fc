"""Bayesian regression on energies and slopes of made-up data."""

import numpy as np
import pytest

from kstep.surrogates.class_two.regression import Moments, regress

SIZE, SLOPES, ENERGIES = 12, 900, 150


def data(slope_noise: float, energy_noise: float) -> tuple[Moments, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    start, truth = rng.normal(size=SIZE), rng.normal(size=SIZE)
    moments = Moments(start)
    for _ in range(3):
        energy_design = rng.normal(size=(SIZE, ENERGIES))
        slope_design = rng.normal(size=(SIZE, SLOPES))
        energies = truth @ energy_design + 50.0 + rng.normal(0.0, energy_noise, ENERGIES)
        slopes = truth @ slope_design + rng.normal(0.0, slope_noise, SLOPES)
        moments.add(energies, energy_design, slopes, slope_design)
    return moments, start, truth


@pytest.mark.parametrize(("slope_noise", "energy_noise"), [(0.1, 0.1), (0.3, 0.05), (0.02, 0.4)])
def test_parameters_and_noise_are_found(slope_noise: float, energy_noise: float) -> None:
    """The weight of energies is what their noise says, whichever data are the better ones."""
    moments, start, truth = data(slope_noise, energy_noise)
    found = regress(moments, start, np.ones(SIZE))
    deviation = np.sqrt(np.square(found.root).sum(axis=1))
    assert np.sqrt(np.square((found.mean - truth) / deviation).mean()) < 2.0
    assert 0.5 * energy_noise < found.noise < 2.0 * energy_noise  # known in steps of √10


def test_without_information_the_prior_stands() -> None:
    """A parameter that nothing depends on stays where it started, and as unsure as the prior."""
    rng = np.random.default_rng(2)
    start, blind = np.array([1.0, -2.0, 3.0]), np.array([1.0, 1.0, 0.0])
    moments = Moments(start)
    slopes, energies = (blind[:, None] * rng.normal(size=(3, n)) for n in (60, 20))
    truth = np.array([2.0, 0.5, 0.0])
    moments.add(truth @ energies, energies, truth @ slopes + rng.normal(0.0, 0.1, 60), slopes)
    found = regress(moments, start, np.ones(3))
    assert found.mean[2] == pytest.approx(3.0)
    unsure = found.slope_spread(np.eye(3))
    assert unsure[2] > 10.0 * unsure[:2].max()


def test_a_constant_of_the_energies_changes_nothing() -> None:
    moments, start, _ = data(0.1, 0.1)
    shifted, _, _ = data(0.1, 0.1)
    shifted._energies = [energies + 1e3 for energies in shifted._energies]
    np.testing.assert_allclose(
        regress(shifted, start, np.ones(SIZE)).mean, regress(moments, start, np.ones(SIZE)).mean,
        rtol=1e-6,
    )  # fmt: skip

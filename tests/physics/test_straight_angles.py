"""Angles that are straight at rest: the learned force does not jump where atoms pass the line."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from kstep.regressed.networks.predictor import composition_of
from kstep.surrogates.force_field_like import bonded
from kstep.surrogates.force_field_like.kernel.jump import CompiledJump, make_kernel
from splitting_samples import Sample, ethylammonium, hydroxylamine, make_splitting
from term_samples import joined_terms

ARM_NM = 0.115
SHIFTS = np.linspace(-0.02, 0.02, 21)
"""How far an atom at the end of a straight angle leaves the line, in parts of its arm: what a base
step takes it, and thrice that to either side."""


def straight(end: int, rest: float = np.pi) -> Sample:
    """H₃C–C≡X, X = N, or C–H for another straight angle: a methyl group on a straight chain."""
    heavy = [[0.0, 0.0, 0.0], [0.146, 0.0, 0.0], [0.146 + ARM_NM, 0.0, 0.0]]
    tripod = 0.109 * np.array([[-0.33, 0.94, 0.0], [-0.33, -0.47, 0.82], [-0.33, -0.47, -0.82]])
    last = [[0.146 + ARM_NM + 0.107, 0.0, 0.0]] if end == 6 else []
    x = np.array([*heavy, *tripod, *last])
    bonds = [(0, 1), (1, 2), (0, 3), (0, 4), (0, 5), *([(2, 6)] if last else [])]
    terms = joined_terms(x, bonds, np.random.default_rng(3), rigid=0.0)
    constants = terms.angle_constants.copy()
    constants[constants[:, 1] > 2.9, 1] = rest
    numbers = np.array([6, 6, end, 1, 1, 1, *([1] if last else [])])
    masses = np.array([{1: 1.0, 6: 12.0, 7: 14.0}[n] for n in numbers.tolist()])
    return Sample(numbers, masses, x, replace(terms, angle_constants=constants))


SAMPLES = {"nitrile": straight(7), "alkyne": straight(6), "bent at rest": straight(7, 3.08)}


def across(sample: Sample, atom: int = 2) -> np.ndarray:
    """Geometries [21, N, 3] with an atom on its way across the line."""
    x = np.repeat(sample.x[None], len(SHIFTS), 0)
    x[:, atom, 1:] += ARM_NM * SHIFTS[:, None] * np.array([0.6, 0.8])
    return x


def force_by_torch(sample: Sample) -> Callable[[np.ndarray], np.ndarray]:
    model = make_splitting(seed=5, noise=0.2)
    species = torch.from_numpy(sample.numbers).expand(len(SHIFTS), -1)
    force = model.learned.force_of(species, sample.batch(len(SHIFTS)))
    return lambda x: force(torch.from_numpy(x)).numpy()


def compiled_force(sample: Sample) -> Callable[[np.ndarray], np.ndarray]:
    model = make_splitting(seed=5, noise=0.2)
    jump = CompiledJump(
        model.learned, composition_of(model), sample.numbers, sample.masses, sample.terms
    )
    return lambda x: np.stack([jump.force(geometry) for geometry in x])


def unevenness(values: np.ndarray) -> float:
    """How far from a polynomial of fourth order values [S, …] are, in parts of their range."""
    flat = values.reshape(len(values), -1)
    powers = np.polynomial.polynomial.polyvander(SHIFTS / SHIFTS[-1], 4)
    left = flat - powers @ np.linalg.lstsq(powers, flat)[0]
    return float(np.abs(left).max() / np.ptp(flat, axis=0).max())


@pytest.mark.parametrize("made_by", [force_by_torch, compiled_force])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_force_is_smooth_where_an_atom_passes_the_line(name: str, made_by: Callable) -> None:
    sample = SAMPLES[name]
    assert unevenness(made_by(sample)(across(sample))) < 0.01


@pytest.mark.parametrize("name", SAMPLES)
def test_kernel_and_torch_have_one_force_there(name: str) -> None:
    sample = SAMPLES[name]
    rng = np.random.default_rng(1)
    x = across(sample) + rng.normal(0.0, 0.01, (len(SHIFTS), *sample.x.shape))
    x[0] = sample.x  # on the line
    found, expected = compiled_force(sample)(x), force_by_torch(sample)(x)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-10 * np.abs(expected).max())


def coordinates_of(sample: Sample, x: np.ndarray) -> tuple[bonded.Coordinates, Tensor]:
    model = make_splitting(seed=5, noise=0.2)
    species = torch.from_numpy(sample.numbers).expand(len(x), -1)
    parameters = model.learned.parameters_of(species, sample.batch(len(x)))
    return bonded.coordinates(torch.from_numpy(x), parameters.bonded), parameters.bonded


def test_an_untrained_bend_is_the_harmonic_one() -> None:
    """½ q² exactly, for all that √(1 + q²) − 1 stands for q in odd powers."""
    sample = SAMPLES["nitrile"]
    x = np.repeat(sample.x[None], 5, 0)
    bends = np.array([0.0, 0.01, 0.1, 0.5, 1.0])
    x[:, 2] = x[:, 1] + ARM_NM * np.stack((np.cos(bends), np.sin(bends), 0 * bends), 1)
    here, _ = coordinates_of(sample, x)
    (linear,) = np.flatnonzero(sample.terms.angle_constants[:, 1] > bonded.NEARLY_STRAIGHT)
    square = (here.bend.square() + 2.0 * here.fold)[:, linear].numpy()
    np.testing.assert_allclose(square, (bends / bonded.BEND) ** 2, atol=1e-5)
    far = here.bend[-1, linear].item()
    assert far == pytest.approx(-1.0 / bonded.BEND, rel=0.07)  # as it was, but for the round tip


@pytest.mark.parametrize("sample", [hydroxylamine(), ethylammonium()])
def test_molecules_without_straight_angles_are_as_they_were_to_the_bit(sample: Sample) -> None:
    x = sample.x + np.random.default_rng(2).normal(0.0, 0.02, (4, *sample.x.shape))
    here, parameters = coordinates_of(sample, x)
    assert not here.fold.any()
    assert (parameters.fade == bonded.STRAIGHT).all()
    assert not bonded._beyond_powers(parameters.bend, here).any()


def test_torsions_along_a_straight_angle_are_known() -> None:
    """Whichever way angle and torsion are read; not those beside it."""
    sample = SAMPLES["alkyne"]
    along = bonded._along_straight_angles(sample.batch())[0].numpy()
    chains = {tuple(torsion) for torsion in sample.terms.torsions[along].tolist()}
    improper = sample.terms.torsion_constants[:, -1] == 1.0
    assert along.sum() == 3 + 1
    assert not along[improper].any()
    assert all({1, 2} <= set(chain) for chain in chains)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_compiled_energy_is_that_of_torch_across_the_line(name: str) -> None:
    sample, model = SAMPLES[name], make_splitting(seed=5, noise=0.2)
    x = across(sample)
    species = torch.from_numpy(sample.numbers).expand(len(x), -1)
    parameters = model.learned.parameters_of(species, sample.batch(len(x)))
    expected = model.learned.energy(torch.from_numpy(x), parameters).numpy(force=True)
    kernel = make_kernel(model.learned, sample.numbers, sample.masses, sample.terms)
    np.testing.assert_allclose(kernel.energies(x), expected, rtol=0.0, atol=1e-9)

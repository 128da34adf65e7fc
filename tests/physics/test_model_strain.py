"""What atoms feel of the bonds, angles and torsions around them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kstep.config import ModelConfig
from kstep.surrogates.force_field_like.bonded import coordinates
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.force_field_like.strain import EVEN, strains
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.system.force_field import pad_terms
from term_samples import joined_terms

BOND, ANGLE, GAUCHE = 0.153, np.radians(112.0), np.radians(65.0)


def chain(turns: list[float]) -> Tensor:
    """Carbon atoms in a row with these torsions [1, N, 3], nm."""
    x = [np.zeros(3), np.array([BOND, 0.0, 0.0])]
    x.append(x[1] - BOND * np.array([np.cos(ANGLE), np.sin(ANGLE), 0.0]))
    for turn in turns:
        along = (x[-1] - x[-2]) / BOND
        normal = np.cross(x[-2] - x[-3], along)
        normal /= np.linalg.norm(normal)
        side = np.cos(turn) * np.cross(normal, along) + np.sin(turn) * normal
        x.append(x[-1] + BOND * (np.sin(ANGLE) * side - np.cos(ANGLE) * along))
    return torch.from_numpy(np.stack(x))[None]


def felt(x: Tensor, constants_at: Tensor) -> tuple[Tensor, Tensor]:
    """Stretches, bends and cosines in a row, and the strains of the atoms."""
    bonds = [(i, i + 1) for i in range(x.shape[1] - 1)]
    rng = np.random.default_rng(0)
    terms = batch_terms(
        pad_terms([joined_terms(constants_at[0].numpy(), bonds, rng, 0.0)]), torch.float64
    )
    torch.manual_seed(3)
    made = LearnedPotential(
        ModelConfig(arch="splitting", strains=True, hidden_channels=8, rbf_size=6)
    ).double()
    with torch.no_grad():
        known = made.parameters_of(torch.full(x.shape[:2], 6), terms)
        here = coordinates(x, known.bonded)
        even = torch.cat((here.stretch, here.bend, here.cosine), dim=1)
        return even, strains(here, known.strain)


def test_gauche_turns_of_one_sense_and_of_two_are_told_apart() -> None:
    """Pentane g⁺g⁺ and g⁺g⁻, whose lengths, angles and cosines are the same."""
    one, other = chain([GAUCHE, GAUCHE]), chain([GAUCHE, -GAUCHE])
    before, strained = felt(one, one)
    after, otherwise = felt(other, one)
    torch.testing.assert_close(after, before, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(otherwise[..., :EVEN], strained[..., :EVEN], rtol=0.0, atol=1e-9)
    assert float((otherwise - strained)[..., EVEN:].abs().max()) > 1e-3


def test_a_mirror_image_feels_the_same() -> None:
    x = chain([GAUCHE, 1.9, -0.4])
    _, strained = felt(x, x)
    _, mirrored = felt(x * torch.tensor([1.0, 1.0, -1.0]), x)
    torch.testing.assert_close(mirrored, strained, rtol=1e-9, atol=1e-9)
    assert bool((strained[..., EVEN:] > 0).any())


@pytest.mark.parametrize("atom", [0, 4])
def test_an_atom_feels_only_the_terms_it_belongs_to(atom: int) -> None:
    """At the two ends of a chain of seven, what the other end does is not felt."""
    x = chain([GAUCHE, 3.0, -0.4, 2.0])
    moved = x.clone()
    moved[0, -1] += torch.tensor([0.004, -0.003, 0.005])
    difference = (felt(moved, x)[1] - felt(x, x)[1])[0, atom].abs().max()
    assert (float(difference) > 1e-3) == (atom == 4)

"""The learned potential: a force field that is invariant, differentiable and nowhere singular."""

from dataclasses import replace

import numpy as np
import openmm
import pytest
import torch
from torch import Tensor

from kstep.config import ModelConfig
from kstep.regressed.networks.direct_kicks import DirectForce
from kstep.surrogates.force_field_like.bonded import bonded_energy, coordinates
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.system.force_field import pad_terms
from kstep.system.molecule import Molecule
from model_samples import renumber
from splitting_samples import KICKS, Sample, ethylammonium, hydroxylamine
from term_samples import random_terms

CONFIG = ModelConfig(arch="splitting", hidden_channels=8, rbf_size=6)


def make_force(kicks: str, noise: float = 0.3) -> LearnedPotential | DirectForce:
    """With `noise` on all weights, so that every part speaks."""
    torch.manual_seed(3)
    made = LearnedPotential(CONFIG) if kicks == "conservative" else DirectForce(CONFIG)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += noise * torch.randn_like(parameter)
    return made.double().requires_grad_(False)


def energy_of(potential: LearnedPotential, x: Tensor, sample: Sample) -> Tensor:
    copies = len(x)
    species = torch.from_numpy(sample.numbers).expand(copies, -1)
    return potential.energy(x, potential.parameters_of(species, sample.batch(copies)))


def force_of(made: LearnedPotential | DirectForce, x: Tensor, sample: Sample) -> Tensor:
    species = torch.from_numpy(sample.numbers).expand(len(x), -1)
    return made.force_of(species, sample.batch(len(x)))(x)


@pytest.fixture(params=KICKS)
def kicks(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["constrained", "free"])
def sample(request: pytest.FixtureRequest) -> Sample:
    return ethylammonium(request.param)


def test_the_force_is_minus_the_gradient(sample: Sample) -> None:
    potential, x = make_force("conservative"), sample.states().x
    assert isinstance(potential, LearnedPotential)
    found, step = force_of(potential, x, sample)[0], 1e-5
    shifts = step * torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape[1:])
    high, low = (energy_of(potential, x + sign * shifts, sample) for sign in (1.0, -1.0))
    expected = -((high - low) / (2.0 * step)).view_as(found)
    assert float(expected.abs().max()) > 100.0
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-6


def test_there_is_no_net_force_and_no_torque(kicks: str, sample: Sample) -> None:
    x = sample.states(3).x
    force = force_of(make_force(kicks), x, sample)
    size = float(force.abs().max())
    assert size > 100.0
    assert float(force.sum(1).abs().max()) < 1e-12 * size
    assert float(torch.linalg.cross(x, force).sum(1).abs().max()) < 1e-12 * size


@pytest.mark.parametrize("determinant", [1.0, -1.0])
def test_forces_turn_with_the_molecule(kicks: str, determinant: float, sample: Sample) -> None:
    made, x = make_force(kicks), sample.states(2).x
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn = torch.from_numpy(q * determinant * np.sign(np.linalg.det(q)))
    moved = x @ turn.T + torch.tensor([0.3, -0.2, 0.1])
    before, after = (force_of(made, places, sample) for places in (x, moved))
    torch.testing.assert_close(after, before @ turn.T, rtol=1e-9, atol=1e-7)
    if isinstance(made, LearnedPotential):
        energies = (energy_of(made, places, sample) for places in (moved, x))
        torch.testing.assert_close(*energies, rtol=1e-12, atol=0.0)


def test_forces_follow_their_atoms(kicks: str, sample: Sample) -> None:
    made, x = make_force(kicks), sample.states().x
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(0))
    terms = renumber(sample.batch(), torch.argsort(order))
    terms = replace(terms, nonbonded=terms.nonbonded[:, order])
    species = torch.from_numpy(sample.numbers)[order][None]
    found = made.force_of(species, terms)(x[:, order])
    torch.testing.assert_close(found, force_of(made, x, sample)[:, order], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("name", ["bonds", "angles", "torsions"])
def test_a_term_read_backwards_is_the_same(kicks: str, name: str, sample: Sample) -> None:
    made, x = make_force(kicks), sample.states().x
    terms = replace(sample.batch(), **{name: getattr(sample.batch(), name).flip(-1)})
    species = torch.from_numpy(sample.numbers)[None]
    found = made.force_of(species, terms)(x)
    torch.testing.assert_close(found, force_of(made, x, sample), rtol=1e-9, atol=1e-7)


def test_an_untrained_potential_is_the_bonded_force_field(phenol: Molecule) -> None:
    """Energies of bonds, angles and torsions as OpenMM has them, far from rest."""
    terms = batch_terms(pad_terms([phenol.terms]), torch.float64)
    rng = np.random.default_rng(0)
    x = phenol.positions + rng.normal(0.0, 0.01, (4, *phenol.positions.shape))
    potential = make_force("conservative", noise=0.0)
    assert isinstance(potential, LearnedPotential)
    species = torch.from_numpy(phenol.numbers.astype(np.int64))[None].expand(4, -1)
    parameters = potential.parameters_of(species, terms.expand(4))
    here = coordinates(torch.from_numpy(x), parameters.bonded)
    found = bonded_energy(here, parameters.bonded)
    system = openmm.XmlSerializer.deserialize(phenol.system_xml.read_text())
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.NonbondedForce | openmm.GBSAOBCForce):
            system.removeForce(index)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    expected = []
    for places in x:
        context.setPositions(places)
        expected.append(context.getState(energy=True).getPotentialEnergy()._value)
    differences = [torch.as_tensor(e, dtype=torch.float64) for e in (found, expected)]
    differences = [e[1:] - e[0] for e in differences]
    assert float(differences[1].abs().min()) > 1.0
    torch.testing.assert_close(*differences, rtol=1e-4, atol=1e-3)
    whole = potential.energy(torch.from_numpy(x), parameters)
    assert float((whole - found).abs().max()) > 1e-3  # the rest is pairs and surroundings


CHAINS = {
    "in line": [[0.0, 0, 0], [0.106, 0, 0], [0.226, 0, 0], [0.332, 0, 0]],
    "one end bent": [[0.0, 0, 0], [0.106, 0, 0], [0.226, 0, 0], [0.28, 0.09, 0]],
    "folded back": [[0.0, 0, 0], [0.106, 0, 0], [0.03, 0, 0], [0.15, 0, 0]],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bend", [0.0, 1e-9, 1e-5, 1e-3])
@pytest.mark.parametrize("chain", CHAINS)
def test_straight_chains_are_no_singularity(
    chain: str, bend: float, dtype: torch.dtype, kicks: str
) -> None:
    """H–C≡C–H: angles of 180°, at which a torsion has no meaning."""
    x = torch.tensor(CHAINS[chain], dtype=dtype)[None]
    x[0, 1, 2] += bend
    arrays = pad_terms([random_terms(x[0].double().numpy(), rigid=0.0)])
    arrays |= {
        "bonds": np.array([[[0, 1], [1, 2], [2, 3]]]),
        "angles": np.array([[[0, 1, 2], [1, 2, 3]]]),
        "angle_constants": np.array([[[400.0, np.pi], [400.0, np.pi]]]),
        "torsions": np.array([[[0, 1, 2, 3]]]),
        "torsion_constants": np.array([[[1.0, -3.0, 2.0, 0.5, 0.0, 1.0, 0.0]]]),
    }
    made = make_force(kicks, noise=0.1).to(dtype).requires_grad_()
    force = made.force_of(torch.tensor([[1, 6, 6, 1]]), batch_terms(arrays, dtype))(x)
    assert bool(force.isfinite().all())
    assert float(force.abs().max()) < 1e6
    force.square().sum().backward()  # as in a training
    assert all(bool(p.grad.isfinite().all()) for p in made.parameters() if p.grad is not None)


def test_padding_has_no_force_and_changes_none(kicks: str) -> None:
    """Molecules of eleven and five atoms in one batch, with and without rigid bonds."""
    samples = (ethylammonium(), hydroxylamine(), hydroxylamine(constrained=False))
    terms = batch_terms(pad_terms([one.terms for one in samples]), torch.float64)
    x, species = torch.zeros(3, 11, 3, dtype=torch.float64), torch.zeros(3, 11, dtype=torch.long)
    for row, one in enumerate(samples):
        x[row, : len(one.x)] = one.states(seed=row).x[0]
        species[row, : len(one.x)] = torch.from_numpy(one.numbers)
    made = make_force(kicks).requires_grad_()
    force = made.force_of(species, terms)(x)
    for row, one in enumerate(samples):
        size = len(one.x)
        alone = force_of(made, x[row : row + 1, :size], one)
        torch.testing.assert_close(force[row, :size], alone[0], rtol=1e-9, atol=1e-7)
        assert not force[row, size:].any()
    if isinstance(made, LearnedPotential):
        together = made.energy(x, made.parameters_of(species, terms))
        alone = [energy_of(made, x[row : row + 1, : len(one.x)], one)
                 for row, one in enumerate(samples)]  # fmt: skip
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=0.0)
    force.square().sum().backward()
    gradients = [p.grad for p in made.parameters()]
    assert all(bool(g.isfinite().all()) for g in gradients if g is not None)


def test_direct_kicks_are_no_gradient() -> None:
    """Their Jacobian is not symmetric, that of a potential's force is."""
    sample = hydroxylamine()
    x = sample.states().x
    asymmetry = {}
    for kicks in KICKS:
        made = make_force(kicks)
        jacobian = torch.autograd.functional.jacobian(lambda y, m=made: force_of(m, y, sample), x)
        square = jacobian.view(x.numel(), x.numel())
        asymmetry[kicks] = float((square - square.T).abs().max() / square.abs().max())
    assert asymmetry["conservative"] < 1e-12
    assert asymmetry["direct"] > 1e-3

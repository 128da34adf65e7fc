"""A jump must not depend on where, in which orientation, frame or order a molecule is written."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kstep.regressed.networks.batch import JumpPrediction
from kstep.regressed.networks.jump import NetworkInput, bend
from kstep.regressed.networks.propagator import LARGEST
from model_samples import (
    ARCHITECTURES,
    MASSES,
    PHYSICS,
    REGRESSED,
    make_batch,
    make_model,
    renumber,
    select,
    states_of,
)

TOLERANCE = 1e-4


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def assert_same(found: JumpPrediction, expected: JumpPrediction) -> None:
    assert relative(found.dx, expected.dx) < TOLERANCE
    assert relative(found.dv, expected.dv) < TOLERANCE
    if expected.force is not None:
        assert found.force is not None
        assert relative(found.force, expected.force) < TOLERANCE


class Silent(nn.Module):
    def forward(self, inputs: NetworkInput) -> torch.Tensor:
        return torch.zeros(*inputs.x.shape, 2)


@pytest.fixture(params=ARCHITECTURES)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=REGRESSED)
def regressed(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("determinant", [1.0, -1.0])
def test_rotation_and_reflection_and_translation(arch: str, determinant: float) -> None:
    model, batch = make_model(arch, use_force_head=True), make_batch((9, 7))
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    q *= determinant * np.sign(np.linalg.det(q))
    turn = torch.from_numpy(q.astype(np.float32))
    shift = torch.tensor([0.3, -0.2, 0.1]) * batch.mask[..., None]
    turned = replace(batch, x=batch.x @ turn.T + shift, v=batch.v @ turn.T, f=batch.f @ turn.T)
    before, after = model(batch), model(turned)
    force = None if before.force is None else before.force @ turn.T
    rotated = JumpPrediction(before.dx @ turn.T, before.dv @ turn.T, force, before.imbalance)
    assert_same(after, rotated)
    assert relative(after.dx, before.dx) > 0.1  # the turn did something


def test_boost(arch: str) -> None:
    model, batch = make_model(arch), make_batch((9,))
    boost = torch.tensor([1.0, 2.0, -0.5])
    before, after = model(batch), model(replace(batch, v=batch.v + boost))
    flown = (boost * model.physics.duration).expand(1, 9, 3)
    assert relative(after.dx - before.dx, flown) < 1e-4
    assert relative(after.dv, before.dv) < TOLERANCE


def test_order_of_atoms(arch: str) -> None:
    model, batch = make_model(arch), make_batch((9,))
    order = torch.from_numpy(np.random.default_rng(0).permutation(9))
    terms = renumber(batch.terms, torch.argsort(order))
    terms = replace(terms, nonbonded=terms.nonbonded[:, order])
    states = {name: part[:, order] for name, part in states_of(batch).items()}
    before, after = model(batch), model(type(batch)(**states, terms=terms))
    assert relative(after.dx, before.dx[:, order]) < TOLERANCE
    assert relative(after.dv, before.dv[:, order]) < TOLERANCE


@pytest.mark.parametrize("name", ["bonds", "angles", "torsions"])
def test_terms_read_backwards_and_in_another_order(name: str) -> None:
    model, batch = make_model("propagator"), make_batch((9,))
    constants = f"{name.removesuffix('s')}_constants"
    atoms, numbers = (getattr(batch.terms, part) for part in (name, constants))
    order = torch.arange(atoms.shape[1]).flip(0)
    turned = {name: atoms[:, order].flip(-1), constants: numbers[:, order]}
    terms = replace(batch.terms, **turned)
    assert_same(model(replace(batch, terms=terms)), model(batch))


@pytest.mark.parametrize("name", ["bond", "angle", "torsion", "nonbonded"])
def test_every_kind_of_term_is_seen(name: str) -> None:
    model, batch = make_model("propagator"), make_batch((9,))
    constants = name if name == "nonbonded" else f"{name}_constants"
    numbers = getattr(batch.terms, constants).clone()
    numbers[..., 0] *= 1.5
    other = replace(batch, terms=replace(batch.terms, **{constants: numbers}))
    assert relative(model(other).dx, model(batch).dx) > 5 * TOLERANCE


def test_batch_of_different_molecules_equals_one_by_one(arch: str) -> None:
    model, batch = make_model(arch), make_batch((9, 4, 6, 2), padding=2, loose=(2,))
    together = model(batch)
    for row, size in enumerate((9, 4, 6, 2)):
        alone = model(select(batch, row))
        assert relative(together.dx[row, :size], alone.dx[0]) < TOLERANCE
        assert relative(together.dv[row, :size], alone.dv[0]) < TOLERANCE
        assert not together.dx[row, size:].any()
        assert not together.dv[row, size:].any()


@pytest.mark.parametrize("changed", ["x", "v", "f"])
def test_no_state_makes_a_jump_explode(regressed: str, changed: str) -> None:
    """A thousand times too fast, or too far apart: what the network adds stays bounded."""
    model, batch = make_model(regressed), make_batch((9, 5))
    wild = replace(batch, **{changed: 1000.0 * getattr(batch, changed)})
    model(wild).dx.sum().backward()
    jump = model(wild)
    assert jump.dx.isfinite().all()
    assert jump.dv.isfinite().all()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_vectors_of_the_propagator_stay_short() -> None:
    """What is read out are vectors of bounded length, however large those put in."""
    model, batch = make_model("propagator"), make_batch((9, 5))
    read: list[torch.Tensor] = []
    model.network.readout.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    model(replace(batch, v=1e3 * batch.v, f=1e6 * batch.f))
    assert float(read[0].norm(dim=2).max()) <= 2.0 * LARGEST


@pytest.mark.parametrize("settings", [{}, {"predict_delta": False}, {"tanh_head": False}])
def test_momentum_is_conserved(regressed: str, settings: dict[str, bool]) -> None:
    model, batch = make_model(regressed, use_force_head=True, **settings), make_batch((9, 5))
    jump = model(batch)
    masses = batch.masses[..., None]
    thermal = (masses * batch.v.abs()).sum()
    assert float((masses * jump.dv).sum(1).abs().max() / thermal) < 1e-6
    shift = (masses * (jump.dx - PHYSICS.duration * batch.v)).sum(1)
    assert float(shift.abs().max() / (thermal * PHYSICS.duration)) < 1e-6
    assert float(jump.force.sum(1).abs().max() / jump.force.abs().sum()) < 1e-5
    assert float(jump.imbalance.abs().max()) > 1e-3  # there was something to project out


def test_silent_network_is_free_flight(regressed: str) -> None:
    model, batch = make_model(regressed), make_batch((9,))
    model.network = Silent()
    batch = replace(batch, v=0.2 * batch.v)  # below half the cap
    jump = model(batch)
    assert relative(jump.dx, PHYSICS.duration * batch.v) < TOLERANCE
    assert not jump.dv.any()


def test_displacements_stay_below_the_caps(regressed: str) -> None:
    model, batch = make_model(regressed), make_batch((9,))
    wild = replace(batch, v=batch.v * 30.0)
    jump = model(wild)
    weights = wild.masses[..., None] / wild.masses.sum()
    drift = PHYSICS.duration * (weights * wild.v).sum(1, keepdim=True)
    caps = torch.tensor([PHYSICS.caps_nm[n] for n in wild.species[0].tolist()])
    # Balancing the bent displacements may shift all by less than the mean of the caps.
    mean = float((weights[0, :, 0] * caps).sum())
    assert bool(((jump.dx - drift)[0].norm(dim=-1) <= caps + mean).all())
    free = PHYSICS.duration * wild.v
    assert float(free.norm(dim=-1).max()) > 0.3  # without caps it would have gone farther


def test_bend_is_identity_then_smooth_then_bounded() -> None:
    r = torch.linspace(0.001, 1.0, 2000, dtype=torch.float64)
    directions = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    bent = bend(
        (r[:, None] * directions)[None], torch.full((1, 2000, 1), 0.1, dtype=torch.float64)
    )[0]
    lengths = bent.norm(dim=-1)
    assert torch.allclose(bent / lengths[:, None], directions.expand(2000, 3))
    assert torch.allclose(lengths[r <= 0.05], r[r <= 0.05])
    assert float(lengths.max()) <= 0.1 + 1e-7
    slope = torch.diff(lengths) / torch.diff(r)
    assert float(slope.min()) > -1e-9
    assert float(torch.diff(slope).abs().max()) < 0.02  # no kink


def test_masses_of_samples_are_those_of_their_elements() -> None:
    batch = make_batch((5,))
    assert batch.masses[0].tolist() == pytest.approx([MASSES[n] for n in batch.species[0].tolist()])

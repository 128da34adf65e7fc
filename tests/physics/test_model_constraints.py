"""Rigid bonds in torch: against OpenMM's, reversible, exact on the constraints, differentiable."""

import numpy as np
import openmm
import pytest
import torch
from torch import Tensor

from kstep.regressed.networks.predictor import make_predictor
from kstep.surrogates.constraints import CONVERGED, RigidBonds, rigid_bonds
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.system.force_field import pad_terms
from kstep.units import BOLTZMANN
from splitting_samples import DT, Sample, ethylammonium, hydroxylamine, make_splitting
from term_samples import no_terms

TIGHT = 1e-13


@pytest.fixture(scope="module")
def sample() -> Sample:
    return ethylammonium()


@pytest.fixture(scope="module")
def context(sample: Sample) -> openmm.Context:
    """OpenMM's own constraints, and its RATTLE drift as a step of 2 fs."""
    system = openmm.System()
    for mass in sample.masses:
        system.addParticle(mass)
    for first, second in sample.rigid_pairs:
        length = np.linalg.norm(sample.x[first] - sample.x[second])
        system.addConstraint(int(first), int(second), length)
    integrator = openmm.CustomIntegrator(DT)
    integrator.setConstraintTolerance(TIGHT)
    integrator.addPerDofVariable("start", 0)
    integrator.addComputePerDof("start", "x")
    integrator.addComputePerDof("x", "x + dt*v")
    integrator.addConstrainPositions()
    integrator.addComputePerDof("v", "(x - start)/dt")
    integrator.addConstrainVelocities()
    return openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))


def state_of(context: openmm.Context) -> tuple[np.ndarray, np.ndarray]:
    state = context.getState(positions=True, velocities=True)
    arrays = (state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True))
    return tuple(np.array(array._value) for array in arrays)  # type: ignore[return-value]


def stretches(rigid: RigidBonds, x: Tensor) -> Tensor:
    """Relative deviations of the rigid bonds from their lengths."""
    lengths = rigid.squares.sqrt()
    return ((rigid.incidence @ x).norm(dim=-1) - lengths) / lengths


def rates(rigid: RigidBonds, x: Tensor, v: Tensor) -> Tensor:
    """How fast the rigid bonds change their lengths, nm/ps."""
    bonds = rigid.incidence @ x
    return ((rigid.incidence @ v) * bonds).sum(-1) / bonds.norm(dim=-1)


def test_the_rigid_bonds_are_those_without_a_stiffness(sample: Sample) -> None:
    rigid = sample.rigid()
    assert rigid.incidence.shape == (1, 8, 11)
    for row, (first, second) in zip(rigid.incidence[0], sample.rigid_pairs, strict=True):
        assert row[[first, second]].tolist() == [1.0, -1.0]
        assert float(row.abs().sum()) == 2.0


def test_positions_are_constrained_as_by_openmm(sample: Sample, context: openmm.Context) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = sample.x + rng.normal(0.0, 0.004, sample.x.shape)
        context.setPositions(x)
        context.applyConstraints(TIGHT)
        expected, _ = state_of(context)
        start = torch.from_numpy(x)[None]
        found, _ = sample.rigid().at(start).drift(torch.zeros_like(start), 1.0, sweeps=20)
        assert np.abs(found.x[0].numpy() - expected).max() < 1e-8
        assert np.abs(expected - x).max() > 1e-3


def test_velocities_are_constrained_as_by_openmm(sample: Sample, context: openmm.Context) -> None:
    rng = np.random.default_rng(1)
    for x in sample.states(5).x:
        v = rng.normal(size=sample.x.shape)
        context.setPositions(x.numpy())
        context.setVelocities(v)
        context.applyVelocityConstraints(TIGHT)
        _, expected = state_of(context)
        found = sample.rigid().at(x[None]).project(torch.from_numpy(v)[None])
        assert np.abs(found[0].numpy() - expected).max() < 1e-8
        assert np.abs(expected - v).max() > 0.1


def test_a_drift_is_openmms_rattle(sample: Sample, context: openmm.Context) -> None:
    start = sample.states(5)
    end, v = sample.rigid(5).at(start.x).drift(start.v, DT)
    for row in range(5):
        context.setPositions(start.x[row].numpy())
        context.setVelocities(start.v[row].numpy())
        context.getIntegrator().step(1)
        expected_x, expected_v = state_of(context)
        assert np.abs(end.x[row].numpy() - expected_x).max() < 1e-8
        assert np.abs(v[row].numpy() - expected_v).max() < 1e-8
        assert np.abs(v[row].numpy() - start.v[row].numpy()).max() > 0.01


@pytest.mark.parametrize(("duration", "bound"), [(DT, 1e-14), (2.0 * DT, 1e-12)])
def test_a_drift_ends_on_the_constraints(sample: Sample, duration: float, bound: float) -> None:
    """At thermal velocities, after the number of sweeps there is."""
    start, rigid = sample.states(50), sample.rigid(50)
    end, v = rigid.at(start.x).drift(start.v, duration)
    free = start.x + duration * start.v
    assert float(stretches(rigid, free).abs().max()) > 1e-3
    assert float(stretches(rigid, end.x).abs().max()) < bound
    assert float(rates(rigid, end.x, v).abs().max()) < 1e-12
    again, _ = end.drift(v, duration)
    torch.testing.assert_close(again.bonds, rigid.incidence @ again.x)


def test_a_drift_says_where_it_did_not_converge(sample: Sample) -> None:
    """Its own miss, and those of the drifts before it."""
    start, rigid = sample.states(4), sample.rigid(4)
    speeds = torch.tensor([1.0, 1.0, 6.0, 8.0], dtype=torch.float64)[:, None, None]
    end, v = rigid.at(start.x).drift(speeds * start.v, DT)
    off = ((1.0 + stretches(rigid, end.x)).square() - 1.0).abs().amax(1)
    assert (end.missed[:2] < 1e-13).all()
    assert (end.missed[2:] > CONVERGED).all()
    torch.testing.assert_close(end.missed[2:], off[2:])
    later, _ = end.drift(torch.zeros_like(v), DT, sweeps=100)
    torch.testing.assert_close(later.missed, end.missed)
    free = hydroxylamine(constrained=False)
    x = free.states(3).x
    assert not free.rigid(3).at(x).drift(torch.ones_like(x), DT)[0].missed.any()


def test_a_jump_by_direct_kicks_that_did_not_converge_leads_nowhere(sample: Sample) -> None:
    start, model = sample.states(2), make_splitting("direct")
    jump = make_predictor(model, sample.numbers, sample.masses, sample.terms)
    v = start.v.numpy() * np.array([1.0, 40.0])[:, None, None]
    x, landed_v = jump(start.x.numpy(), v, start.f.numpy())
    assert np.isfinite(x[0]).all()
    assert np.isnan(x[1]).all()
    assert np.isnan(landed_v[1]).all()


@pytest.mark.parametrize("duration", [DT, 2.0 * DT])
def test_a_drift_is_reversible(sample: Sample, duration: float) -> None:
    start, rigid = sample.states(20), sample.rigid(20)
    end, v = rigid.at(start.x).drift(start.v, duration)
    back, returned = end.drift(-v, duration)
    assert float((back.x - start.x).abs().max()) < 1e-12
    assert float((returned + start.v).abs().max()) < 1e-9
    there, _ = end.drift(v, -duration)
    assert float((there.x - start.x).abs().max()) < 1e-12


def test_without_rigid_bonds_a_drift_is_free_flight() -> None:
    sample = hydroxylamine(constrained=False)
    start = sample.states(3)
    end, v = sample.rigid(3).at(start.x).drift(start.v, DT)
    assert end.bonds.shape == (3, 0, 3)
    torch.testing.assert_close(end.x, start.x + DT * start.v, rtol=0.0, atol=1e-15)
    torch.testing.assert_close(v, start.v, rtol=0.0, atol=1e-15)


def test_a_rotor_turns_by_the_angle_of_its_speed() -> None:
    """RATTLE's step of a rigid rotor turns it by arcsin(ω h) and keeps its speed exactly."""
    masses = torch.tensor([[12.0, 1.0]], dtype=torch.float64)
    terms = one_bond(0.11)
    rigid = rigid_bonds(terms, masses)
    x = torch.zeros(1, 2, 3, dtype=torch.float64)
    x[0, :, 0] = torch.tensor([-0.11 / 13.0, 0.11 * 12.0 / 13.0], dtype=torch.float64)
    spin = torch.tensor([0.0, 0.0, 30.0], dtype=torch.float64)
    v = torch.linalg.cross(spin.expand_as(x), x)
    end, after = rigid.at(x).drift(v, DT, sweeps=12)
    turned = torch.atan2(end.bonds[0, 0, 1], end.bonds[0, 0, 0]) - torch.pi
    assert float(turned) % (2 * np.pi) == pytest.approx(np.arcsin(30.0 * DT), rel=1e-10)
    torch.testing.assert_close(after.norm(dim=-1), v.norm(dim=-1), rtol=1e-10, atol=0.0)
    torch.testing.assert_close(after, torch.linalg.cross(spin.expand_as(x), end.x), rtol=1e-9,
                               atol=1e-12)  # fmt: skip


def one_bond(length: float) -> TermBatch:
    arrays = {name: array[None] for name, array in vars(no_terms(2)).items()}
    arrays["bonds"] = np.array([[[0, 1]]])
    arrays["bond_constants"] = np.array([[[0.0, length]]])
    return batch_terms(arrays, torch.float64)


def test_padding_changes_nothing(sample: Sample) -> None:
    """Molecules of eight, three and no rigid bonds in one batch."""
    samples = (sample, hydroxylamine(), hydroxylamine(constrained=False))
    terms = batch_terms(pad_terms([one.terms for one in samples]), torch.float64)
    x, v, masses = (torch.zeros(3, 11, *rest, dtype=torch.float64) for rest in ((3,), (3,), ()))
    for row, one in enumerate(samples):
        start, size = one.states(seed=row), len(one.x)
        x[row, :size], v[row, :size] = start.x[0], start.v[0]
        masses[row, :size] = torch.from_numpy(one.masses)
    end, after = rigid_bonds(terms, masses).at(x).drift(v, DT)
    for row, one in enumerate(samples):
        size = len(one.x)
        alone, own = one.rigid().at(x[row : row + 1, :size]).drift(v[row : row + 1, :size], DT)
        torch.testing.assert_close(end.x[row, :size], alone.x[0], rtol=0.0, atol=1e-14)
        torch.testing.assert_close(after[row, :size], own[0], rtol=0.0, atol=1e-11)
        assert not end.x[row, size:].any()
        assert not after[row, size:].any()


def test_gradients_flow_through_a_drift() -> None:
    sample = hydroxylamine()
    start, rigid = sample.states(), sample.rigid()

    def end(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        tangent, after = rigid.at(x).drift(v, DT)
        return tangent.x, after

    x, v = (part.clone().requires_grad_() for part in (start.x, start.v))
    assert torch.autograd.gradcheck(end, (x, v), eps=1e-6, atol=1e-5, rtol=1e-5)


def test_in_single_precision_too(sample: Sample) -> None:
    """What a training uses."""
    start = sample.states(20)
    rigid = rigid_bonds(start.terms, start.masses.float())
    end, v = rigid.at(start.x.float()).drift(start.v.float(), DT)
    assert end.x.dtype == v.dtype == torch.float32
    assert float(stretches(rigid, end.x).abs().max()) < 1e-5
    exact, _ = sample.rigid(20).at(start.x).drift(start.v, DT)
    assert float((end.x - exact.x).abs().max()) < 1e-6


def test_projection_takes_the_least_kinetic_energy(sample: Sample) -> None:
    """What is taken away is orthogonal, in the metric of the masses, to what is left."""
    start = sample.states(5)
    v = torch.from_numpy(np.random.default_rng(3).normal(size=start.x.shape))
    left = sample.rigid(5).at(start.x).project(v)
    overlap = (start.masses[..., None] * left * (v - left)).sum((1, 2))
    assert float(overlap.abs().max()) < 1e-12 * BOLTZMANN * 300.0 * 1e4

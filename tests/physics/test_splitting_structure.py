"""What a splitting promises for any weights, and what it becomes with the right force."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import openmm
import pytest
import torch
from torch import Tensor

from kstep.integrators.map_quality import tangent_basis, volume_and_defect
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.networks.splitting import SplittingJump, closing_weight
from kstep.surrogates.constraints import rigid_bonds
from kstep.surrogates.force_field_like import bonded
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.system.force_field import pad_terms
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN
from splitting_samples import (
    DT,
    KICKS,
    Force,
    K,
    Map,
    Sample,
    ethylammonium,
    hydroxylamine,
    macro_step,
    make_splitting,
)


@pytest.fixture(params=KICKS)
def kicks(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["constrained", "free"])
def constrained(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(params=[(0.0, 1), (0.5, 1), (1.0, 1), (0.5, 2)], ids=str)
def composition(request: pytest.FixtureRequest) -> dict[str, float]:
    impulse, drifts_per_step = request.param
    return {"impulse": impulse, "drifts_per_step": drifts_per_step}


def learned(model: SplittingJump, start: JumpBatch) -> Force:
    """The learned force, as if it were the true one."""
    return model.learned.force_of(start.species, start.terms)


def energy(model: SplittingJump, start: JumpBatch, x: Tensor, v: Tensor) -> Tensor:
    """Kinetic energy and the learned potential's, kJ/mol."""
    assert isinstance(model.learned, LearnedPotential)
    parameters = model.learned.parameters_of(start.species, start.terms)
    kinetic = 0.5 * (start.masses[..., None] * v.square()).sum((1, 2))
    return model.learned.energy(x, parameters) + kinetic


def local_map(step: Map, start: JumpBatch, sample: Sample) -> tuple[Tensor, Map]:
    """The map in coordinates of the tangent spaces at start and end: (δq, δp) → (δq', δp').

    As `kstep.integrators.map_quality` explains they are canonical, in the unit of √m x.
    """
    masses, pairs = sample.masses, sample.rigid_pairs
    root, tau = start.masses.sqrt()[..., None], K * DT
    bases = [torch.from_numpy(tangent_basis(x[0].numpy(), masses, pairs))
             for x in (start.x, step(start.x, start.v)[0])]  # fmt: skip
    rigid = rigid_bonds(start.terms, start.masses)

    def mapped(local: Tensor) -> Tensor:
        dq, dp = (torch.einsum("e,eni->ni", part, bases[0])[None] for part in local.chunk(2))
        x = start.x + dq / root
        x, v = step(x, rigid.at(x).project(start.v + dp / root / tau))
        ends = [torch.einsum("eni,ni->e", bases[1], (root * part)[0]) for part in (x, tau * v)]
        return torch.cat(ends)

    return torch.zeros(2 * len(bases[0]), dtype=torch.float64), mapped


def jacobian(step: Map, start: JumpBatch, sample: Sample) -> np.ndarray:
    """Derivative of the map on the constraint manifold, by autodiff."""
    local, mapped = local_map(step, start, sample)
    return torch.autograd.functional.jacobian(mapped, local).numpy()


def test_there_and_back_is_the_start(
    kicks: str, constrained: bool, composition: dict[str, float]
) -> None:
    sample = ethylammonium(constrained)
    start, model = sample.states(3), make_splitting(kicks, **composition)
    step = macro_step(model, start, sample.springs)
    x, v = step(start.x, start.v)
    back_x, back_v = step(x, -v)
    assert float((back_x - start.x).abs().max()) < 1e-12
    assert float((back_v + start.v).abs().max()) < 1e-9
    kicked = (x - start.x - K * DT * start.v).abs().max()
    assert float(kicked) > 1e-3  # far from free flight


@pytest.mark.parametrize("impulse", [0.0, 0.5])
def test_volume_is_kept(kicks: str, constrained: bool, impulse: float) -> None:
    """For any weights; symplectic where the kicks are gradients, and not where they are not."""
    sample = hydroxylamine(constrained)
    start, model = sample.states(), make_splitting(kicks, impulse=impulse)
    found = jacobian(macro_step(model, start, sample.springs), start, sample)
    assert len(found) == (24 if constrained else 30)
    volume, defect = volume_and_defect(found)
    assert abs(volume) < 1e-6
    if kicks == "conservative":
        assert defect < 1e-6
    else:
        assert defect > 1e-3
    assert np.abs(found - np.eye(len(found))).max() > 0.1


def test_momenta_are_conserved(
    kicks: str, constrained: bool, composition: dict[str, float]
) -> None:
    sample = ethylammonium(constrained)
    start, model = sample.states(3), make_splitting(kicks, **composition)
    start = replace(start, x=start.x + torch.tensor([1.0, -2.0, 0.5]))
    masses = start.masses[..., None]

    def momenta(x: Tensor, v: Tensor) -> Tensor:
        return torch.cat(((masses * v).sum(1), torch.linalg.cross(x, masses * v).sum(1)))

    before = momenta(start.x, start.v)
    x, v = macro_step(model, start, sample.springs)(start.x, start.v)
    size = float((masses * v.abs()).sum(1).max()) * 2.0
    assert float((momenta(x, v) - before).abs().max()) < 1e-12 * size
    assert float((masses * (v - start.v)).abs().max()) > 1e-2 * size


@pytest.mark.parametrize("impulse", [0.0, 0.5])
def test_the_landing_is_on_the_constraints(kicks: str, impulse: float) -> None:
    sample = ethylammonium()
    start, model = sample.states(5), make_splitting(kicks, impulse=impulse)
    jump = model(start)
    x, v = start.x + jump.dx, start.v + jump.dv
    bonds = sample.rigid(5).incidence @ x
    lengths = sample.rigid(5).squares.sqrt()
    assert float((bonds.norm(dim=-1) / lengths - 1.0).abs().max()) < 1e-12
    rates = ((sample.rigid(5).incidence @ v) * bonds).sum(-1)
    assert float(rates.abs().max()) < 1e-12


def minimum(model: SplittingJump, sample: Sample) -> JumpBatch:
    """A state at rest where the learned potential is least along the constraints (Newton)."""
    start, rigid = sample.states(spread=0.0), sample.rigid()
    potential = model.learned
    assert isinstance(potential, LearnedPotential)
    parameters = potential.parameters_of(start.species, start.terms)
    x = start.x
    for _ in range(8):
        basis = torch.from_numpy(tangent_basis(x[0].numpy(), sample.masses, sample.rigid_pairs))
        basis = basis / start.masses.sqrt()[0, :, None]

        def moved(local: Tensor, x: Tensor = x, basis: Tensor = basis) -> Tensor:
            shift = torch.einsum("e,eni->ni", local, basis)[None]
            return rigid.at(x).drift(shift, 1.0)[0].x

        def height(local: Tensor) -> Tensor:
            return potential.energy(moved(local), parameters).sum()

        here = torch.zeros(len(basis), dtype=torch.float64)
        slope = torch.autograd.functional.jacobian(height, here)
        curvature, modes = torch.linalg.eigh(torch.autograd.functional.hessian(height, here))
        step = -modes @ ((modes.T @ slope) / curvature.abs().clamp_min(300.0))
        x = moved(step * (0.05 / step.norm()).clamp_max(1.0))
    return replace(start, x=x, v=torch.zeros_like(x))


def test_eigenvalues_at_a_minimum_lie_on_the_unit_circle(constrained: bool) -> None:
    """Nothing grows or fades: what a regressed map cannot promise."""
    sample = hydroxylamine(constrained)
    model = make_splitting()
    start = minimum(model, sample)
    true = learned(model, start)
    force = sample.rigid().at(start.x).project(true(start.x) / start.masses[..., None])
    assert float(force.abs().max()) < 1e-4
    values = np.linalg.eigvals(jacobian(macro_step(model, start, true), start, sample))
    vibrations = np.abs(np.angle(values)) > 0.05
    assert np.count_nonzero(vibrations) == len(values) - 12  # all but turns and shifts
    assert np.abs(np.abs(values[vibrations]) - 1.0).max() < 1e-9
    # Of a shift and its momentum, a Jordan block: round-off enters by its root.
    assert np.abs(np.abs(values) - 1.0).max() < 1e-4


def test_with_the_right_force_the_error_falls_with_the_square_of_the_step(
    constrained: bool,
) -> None:
    sample = hydroxylamine(constrained)
    start, model = sample.states(), make_splitting()
    true = learned(model, start)
    before = float(energy(model, start, start.x, start.v))
    errors, ends = [], []
    for drifts_per_step in (4, 8, 16):
        finer = model.composed(K, DT, drifts_per_step, 0.0)
        x, v = start.x, start.v
        for _ in range(2):
            x, v = macro_step(finer, start, true)(x, v)
        errors.append(abs(float(energy(model, start, x, v)) - before))
        ends.append(x)
    assert errors[0] > 1e-4
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([4.0] * 2, rel=0.1)
    steps = [float((a - b).abs().max()) for a, b in pairwise(ends)]
    assert steps[0] / steps[1] == pytest.approx(4.0, rel=0.1)


def test_with_the_right_force_it_is_openmms_velocity_verlet(
    isobutanol: Molecule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """k steps with RATTLE, by the bonded terms of a molecule with CH₃, CH₂, CH and OH."""
    monkeypatch.setattr(bonded, "STRAIGHT", 1e-24)  # OpenMM knows no softened torsions
    system = openmm.XmlSerializer.deserialize(isobutanol.system_xml.read_text())
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.NonbondedForce | openmm.GBSAOBCForce):
            system.removeForce(index)
    integrator = recording_velocity_verlet(DT)
    integrator.setConstraintTolerance(1e-13)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)

    def forces_at(x: Tensor) -> Tensor:
        context.setPositions(x[0].numpy())
        forces = context.getState(forces=True).getForces(asNumpy=True)._value
        return torch.from_numpy(np.array(forces))[None]

    terms = batch_terms(pad_terms([isobutanol.terms]), torch.float64)
    species = torch.from_numpy(isobutanol.numbers.astype(np.int64))[None]
    masses = torch.from_numpy(isobutanol.masses)[None]
    rng = np.random.default_rng(0)
    rigid = rigid_bonds(terms, masses)
    x = torch.from_numpy(isobutanol.positions + rng.normal(0.0, 0.003, (1, isobutanol.n_atoms, 3)))
    tangent, _ = rigid.at(x).drift(torch.zeros_like(x), 1.0, sweeps=40)
    thermal = (BOLTZMANN * 300.0 / masses[..., None]).sqrt()
    v = tangent.project(torch.from_numpy(rng.normal(size=x.shape)) * thermal)
    start = JumpBatch(species, masses, tangent.x, v, forces_at(tangent.x), terms)

    model = make_splitting(noise=0.0)
    for part in (model.learned.nonbonded.parameters(), model.learned.bonded.parameters()):
        for parameter in part:
            parameter.zero_()  # what is left are the force field's constants
    found_x, found_v = macro_step(model, start, forces_at)(start.x, start.v)
    context.setPositions(start.x[0].numpy())
    context.setVelocities(start.v[0].numpy())
    integrator.step(K)
    state = context.getState(positions=True, velocities=True)
    expected_x, expected_v = (
        torch.from_numpy(np.array(part._value))[None]
        for part in (state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True))
    )
    assert float((found_x - expected_x).abs().max()) < 1e-9
    assert float((found_v - expected_v).abs().max()) < 1e-7
    assert float((expected_v - start.v).abs().max()) > 0.1


def test_the_weights_of_a_jump_add_up_to_its_duration() -> None:
    """Whatever the composition, a constant force does the same to the velocities."""
    for k_steps, drifts_per_step, impulse in ((4, 1, 0.0), (8, 1, 0.5), (8, 2, 1.0), (16, 1, 0.3)):
        model = make_splitting().composed(k_steps, DT, drifts_per_step, impulse)
        closing = model.physics.closing_ps
        assert model.drifts == k_steps * drifts_per_step
        assert model.physics.duration == pytest.approx(k_steps * DT)
        assert closing == pytest.approx(closing_weight(k_steps, DT, drifts_per_step, impulse))
        whole = 2.0 * (closing + model.end_weight) + (model.drifts - 1) * model.step
        assert whole == pytest.approx(k_steps * DT)
    assert closing_weight(8, DT) == pytest.approx(0.5 * DT)
    assert closing_weight(8, DT, 2) == pytest.approx(0.25 * DT)
    assert closing_weight(8, DT, 2, 1.0) == pytest.approx(4.0 * DT)


def test_another_composition_leaves_the_first_as_it_was() -> None:
    start, model = hydroxylamine().states(), make_splitting()
    before = model(start).dx
    other = model.composed(2 * K, DT, 2, 0.5)
    assert not torch.equal(other(start).dx, before)
    assert torch.equal(model(start).dx, before)
    assert all(a is b for a, b in zip(model.parameters(), other.parameters(), strict=True))

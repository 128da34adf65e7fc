"""Compiled code against torch: the same force, the same drift, the same jump."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from kstep.compiled.functions import angle_above, exponential
from kstep.compiled.lanes import LANES, in_lanes, load, store
from kstep.compiled.machine import compiled
from kstep.compiled.rigid import (
    drift,
    make_rigid_scratch,
    measure,
    project,
    project_at,
    rigid_tables,
)
from kstep.config import GuardConfig
from kstep.integrators.compiled_dynamics import make_dynamics as with_compiled_projection
from kstep.integrators.guard import landing_is_sane
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials.systems import load_system
from kstep.regressed.networks.predictor import composition_of
from kstep.regressed.networks.splitting import SplittingJump
from kstep.surrogates.force_field_like.kernel.jump import CompiledJump, make_kernel
from kstep.system.molecule import Molecule
from splitting_samples import Sample, ethylammonium, hydroxylamine, make_splitting

SAMPLES = {"a coupled group": hydroxylamine(), "three of them": ethylammonium(),
           "free": ethylammonium(constrained=False)}  # fmt: skip


def compiled_jump(model: SplittingJump, sample: Sample) -> CompiledJump:
    return CompiledJump(
        model.learned, composition_of(model), sample.numbers, sample.masses, sample.terms
    )


def torch_force(model: SplittingJump, sample: Sample, x: torch.Tensor) -> torch.Tensor:
    species = torch.from_numpy(sample.numbers).expand(len(x), -1)
    return model.learned.force_of(species, sample.batch(len(x)))(x)


@pytest.mark.parametrize("strains", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_forces_are_those_of_torch(name: str, strains: bool) -> None:
    sample, model = SAMPLES[name], make_splitting(strains=strains)
    start = sample.states(4, spread=0.01)
    jump = compiled_jump(model, sample)
    found = np.stack([jump.force(x) for x in start.x.numpy()])
    expected = torch_force(model, sample, start.x).numpy()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("strains", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_energies_are_those_of_torch(name: str, strains: bool) -> None:
    sample, model = SAMPLES[name], make_splitting(strains=strains)
    start = sample.states(11, spread=0.01)  # more than one octet
    kernel = make_kernel(model.learned, sample.numbers, sample.masses, sample.terms)
    species = torch.from_numpy(sample.numbers).expand(len(start.x), -1)
    parameters = model.learned.parameters_of(species, sample.batch(len(start.x)))
    expected = model.learned.energy(start.x, parameters).numpy(force=True)
    found = kernel.evaluate(start.x.numpy())
    np.testing.assert_allclose(found.energies, expected, rtol=0.0, atol=1e-10 * np.ptp(expected))
    np.testing.assert_array_equal(kernel.energies(start.x.numpy()), found.energies)
    forces = torch_force(model, sample, start.x).numpy()
    np.testing.assert_allclose(found.forces, forces, rtol=0.0, atol=1e-10 * np.abs(forces).max())


@given(seed=st.integers(0, 2**31), far=st.floats(0.0, 0.05))
def test_forces_agree_far_from_rest_too(seed: int, far: float) -> None:
    """Also where bonds are broken and angles straight."""
    sample, model = SAMPLES["a coupled group"], make_splitting(seed=3, noise=0.2)
    x = sample.x + np.random.default_rng(seed).normal(0.0, far, sample.x.shape)
    found = compiled_jump(model, sample).force(x)
    expected = torch_force(model, sample, torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-8 * np.abs(expected).max())


@compiled
def exponential_of(values, found):
    store(found, exponential(load(values)))


@compiled
def angle_of(y, x, found):
    store(found, angle_above(load(y), load(x)))


eight = functools.partial(st.lists, min_size=LANES, max_size=LANES)


@given(eight(st.floats(-690.0, 690.0)))
def test_exponentials_are_those_of_the_library(numbers: list[float]) -> None:
    values, found = np.array(numbers), np.empty(LANES)
    exponential_of(values, found)
    np.testing.assert_allclose(found, np.exp(values), rtol=1e-13)


def test_exponentials_beyond_the_range_of_numbers() -> None:
    found = np.empty(LANES)
    exponential_of(np.array([-np.inf, -1e4, 0.0, 1e4, np.inf, np.nan, 1.0, -1.0]), found)
    assert (found[:2] < 1e-300).all()
    assert found[2] == 1.0
    assert (found[3:5] > 1e300).all()
    assert np.isnan(found[5])


@given(eight(st.floats(1e-12, 1e3)), eight(st.floats(-1e3, 1e3)))
def test_angles_are_those_of_the_library(above: list[float], along: list[float]) -> None:
    y, x, found = np.array(above), np.array(along), np.empty(LANES)
    angle_of(y, x, found)
    np.testing.assert_allclose(found, np.arctan2(y, x), rtol=1e-13)


@pytest.mark.parametrize("replicas", [1, 3, LANES, 2 * LANES + 1])
def test_a_replica_is_the_same_in_any_company(replicas: int) -> None:
    """Bit by bit, however many lanes the others fill, and however fast they are."""
    sample, model = SAMPLES["three of them"], make_splitting()
    start, jump = sample.states(2 * LANES + 1), compiled_jump(model, sample)
    x, v, f = (array.numpy()[:replicas].copy() for array in (start.x, start.v, start.f))
    v[:-1] *= 3.0
    together = jump(x, v, f)
    for replica in range(replicas):
        own = slice(replica, replica + 1)
        for one, all_of_them in zip(jump(x[own], v[own], f[own]), together, strict=True):
            np.testing.assert_array_equal(one, all_of_them[own])


def test_lanes_lie_side_by_side() -> None:
    apart = np.empty((LANES, 2))[:, 0]
    with pytest.raises(TypingError, match="lanes lie in rows"):
        exponential_of(apart, np.empty(LANES))


def test_no_replicas_are_none() -> None:
    sample = SAMPLES["free"]
    nobody = np.empty((0, len(sample.masses), 3))
    x, v = compiled_jump(make_splitting(), sample)(nobody, nobody, nobody)
    assert x.shape == v.shape == nobody.shape


@pytest.mark.parametrize("impulse", [0.0, 1.0])
@pytest.mark.parametrize("drifts_per_step", [1, 2])
@pytest.mark.parametrize("name", SAMPLES)
def test_jumps_are_those_of_torch(name: str, drifts_per_step: int, impulse: float) -> None:
    sample = SAMPLES[name]
    model = make_splitting(impulse=impulse, drifts_per_step=drifts_per_step)
    start = sample.states(3)
    given = start.x.numpy(), start.v.numpy(), start.f.numpy()
    kept = [array.copy() for array in given]
    x, v = compiled_jump(model, sample)(*given)
    expected = model(start)
    np.testing.assert_allclose(x, (start.x + expected.dx).numpy(), rtol=0.0, atol=1e-13)
    np.testing.assert_allclose(v, (start.v + expected.dv).numpy(), rtol=0.0, atol=1e-9)
    assert np.abs(x - given[0]).max() > 1e-3
    assert all(map(np.array_equal, given, kept))


def test_there_and_back_is_the_start() -> None:
    sample, model = SAMPLES["three of them"], make_splitting()
    start, jump = sample.states(2), compiled_jump(model, sample)
    mobility = 1.0 / sample.masses[:, None]
    tables = rigid_of(sample)

    def macro_step(x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, v = jump(x, v, sample.springs(torch.from_numpy(x)).numpy())
        v = v + model.physics.closing_ps * mobility * sample.springs(torch.from_numpy(x)).numpy()
        at, moving = in_lanes(x), in_lanes(v)
        project_at(at, moving, tables, make_rigid_scratch(tables))
        return x, np.moveaxis(moving, -1, 0)[: len(x)]

    x, v = macro_step(start.x.numpy(), start.v.numpy())
    back, reversed_v = macro_step(x, -v)
    assert np.abs(back - start.x.numpy()).max() < 1e-12
    assert np.abs(reversed_v + start.v.numpy()).max() < 1e-9


def rigid_of(sample: Sample):
    lengths = sample.terms.bond_constants[sample.terms.bond_constants[:, 0] == 0.0, 1]
    return rigid_tables(sample.rigid_pairs, lengths, sample.masses)


@pytest.mark.parametrize("speed", [1.0, 15.0])
def test_a_drift_ends_on_the_constraints_however_fast(speed: float) -> None:
    """Where a fixed number of sweeps no longer converges."""
    sample = SAMPLES["three of them"]
    tables = rigid_of(sample)
    scratch = make_rigid_scratch(tables)
    start = sample.states()
    x, v = in_lanes(start.x.numpy()), in_lanes(speed * start.v.numpy())
    measure(x, tables, scratch)
    project(v, tables, scratch)
    first_x, first_v = x.copy(), v.copy()
    drift(x, v, 0.002, tables, scratch)
    measure(x, tables, scratch)
    project(v, tables, scratch)
    ends = x[tables.atoms]
    squares = np.square(ends[:, 0] - ends[:, 1]).sum(1)
    np.testing.assert_allclose(squares, np.tile(tables.squares, (LANES, 1)).T, rtol=1e-12)
    drift(x, v, -0.002, tables, scratch)
    measure(x, tables, scratch)
    project(v, tables, scratch)
    assert np.abs(x - first_x).max() < 1e-13
    assert np.abs(v - first_v).max() < 1e-9


def test_a_replica_too_fast_for_its_constraints_is_no_number() -> None:
    """And the guard refuses it; the others are as they would be without it."""
    sample, model = SAMPLES["three of them"], make_splitting()
    start, jump = sample.states(3), compiled_jump(model, sample)
    x, v, f = (array.numpy().copy() for array in (start.x, start.v, start.f))
    alone = jump(x[:1], v[:1], f[:1])
    v[1] *= 60.0
    landed_x, landed_v = jump(x, v, f)
    assert np.isnan(landed_x[1]).any()
    assert np.isnan(landed_v[1]).any()
    np.testing.assert_array_equal(landed_x[0], alone[0][0])
    sane = landing_is_sane(GuardConfig(enabled=False), x, landed_x, landed_v, 0.016)
    assert sane.tolist() == [True, False, True]


def test_no_drift_ends_off_the_constraints() -> None:
    """At whatever speed: on them, or nowhere."""
    sample = SAMPLES["three of them"]
    tables, ends = rigid_of(sample), []
    scratch, start = make_rigid_scratch(tables), sample.states(LANES)
    for speed in (1.0, 10.0, 20.0, 40.0, 80.0, 160.0):
        x, v = in_lanes(start.x.numpy()), in_lanes(speed * start.v.numpy())
        measure(x, tables, scratch)
        drift(x, v, 0.002, tables, scratch)
        bonds = x[tables.atoms]
        squares = np.square(bonds[:, 0] - bonds[:, 1]).sum(1)
        missed = np.abs(squares / tables.squares[:, None] - 1.0).max(0)
        ends.append(np.isnan(missed).mean())
        assert (missed[~np.isnan(missed)] < 1e-12).all()
    assert ends[0] == 0.0
    assert ends[-1] > 0.5


def test_bonds_that_share_atoms_are_solved_together(phenol: Molecule) -> None:
    assert np.diff(rigid_of(SAMPLES["three of them"]).groups).tolist() == [3, 2, 3]
    chain = rigid_tables(np.array([[0, 1], [4, 5], [2, 1], [2, 3]]), np.full(4, 0.1), np.ones(6))
    assert np.diff(chain.groups).tolist() == [3, 1]
    none = rigid_tables(np.empty((0, 2), np.int64), np.empty(0), phenol.masses)
    assert none.groups.tolist() == [0]


def test_what_is_not_finite_stays_so() -> None:
    sample, model = SAMPLES["a coupled group"], make_splitting()
    start = sample.states(2)
    v = start.v.numpy().copy()
    v[1, 0, 0] = np.nan
    jump = compiled_jump(model, sample)
    x, v = jump(start.x.numpy(), v, start.f.numpy())
    assert np.isfinite(x[0]).all()
    assert np.isnan(v[1]).any()
    alone, _ = jump(start.x.numpy()[:1], start.v.numpy()[:1], start.f.numpy()[:1])
    np.testing.assert_array_equal(x[:1], alone)


def test_padding_of_terms_is_no_matter() -> None:
    """A molecule without torsions, or without any soft bond."""
    sample, model = SAMPLES["a coupled group"], make_splitting()
    empty = {"torsions": np.empty((0, 4), np.int64), "torsion_constants": np.empty((0, 7))}
    bare = replace(sample, terms=replace(sample.terms, **empty))
    x = bare.states().x
    np.testing.assert_allclose(
        compiled_jump(model, bare).force(x[0].numpy()),
        torch_force(model, bare, x)[0].numpy(),
        rtol=0.0,
        atol=1e-8,
    )


def test_projected_velocities_are_those_of_openmm(
    phenol: Molecule, make_dynamics: Callable[[Molecule], TrueDynamics]
) -> None:
    """Also where the bonds are not quite of their length."""
    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    fast = with_compiled_projection(system, 0.002, "Reference", "phenol")
    slow = make_dynamics(phenol)
    rng = np.random.default_rng(4)
    x = phenol.positions + rng.normal(0.0, 0.002, phenol.positions.shape)
    v = rng.normal(0.0, 1.0, x.shape)
    found = fast.constrain_velocities(x, v)
    np.testing.assert_allclose(found, slow.constrain_velocities(x, v), rtol=0.0, atol=1e-6)
    assert np.abs(found - v).max() > 0.1
    np.testing.assert_allclose(fast.constrain_velocities(x, found), found, rtol=0.0, atol=1e-13)

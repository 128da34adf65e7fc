"""Rows of Wilson's B matrix, E' and E'': against autograd and OpenMM."""

from collections.abc import Callable

import numpy as np
import openmm
import pytest
import torch
from torch import Tensor

from kstep.regressed.networks import internal
from kstep.regressed.networks.internal import ARM_NM, InternalGeometry, internal_geometry
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.system.force_field import pad_terms
from kstep.system.molecule import Molecule
from model_samples import make_batch, renumber
from term_samples import no_terms, random_terms

UNITS = (internal._BOND_UNITS, internal._ANGLE_UNITS, internal._TORSION_UNITS)


def batched(molecule: Molecule) -> TermBatch:
    return batch_terms(pad_terms([molecule.terms]))


def geometry_of(molecule: Molecule, seed: int = 0) -> Tensor:
    """Positions far from rest, so that nothing is planar or equal by symmetry [1, N, 3]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(molecule.positions + rng.normal(0.0, 0.01, molecule.positions.shape))[
        None
    ]


def coordinates(x: Tensor, terms: TermBatch) -> Tensor:
    """All internal coordinates of one molecule at x [N, 3], by other formulae than the model's."""
    a, b = (x[atoms] for atoms in terms.bonds[0].T)
    lengths = (a - b).norm(dim=-1)
    a, b, c = (x[atoms] for atoms in terms.angles[0].T)
    angles = torch.atan2(torch.linalg.cross(a - b, c - b).norm(dim=-1), ((a - b) * (c - b)).sum(-1))
    a, b, c, d = (x[atoms] for atoms in terms.torsions[0].T)
    axis = torch.nn.functional.normalize(c - b, dim=-1)
    first, last = (v - (v * axis).sum(-1, keepdim=True) * axis for v in (a - b, d - c))
    sine = (torch.linalg.cross(axis, first) * last).sum(-1)
    return torch.cat((lengths, angles, torch.atan2(sine, (first * last).sum(-1))))


def scales(x: Tensor, terms: TermBatch) -> Tensor:
    """What a row is of its derivative: an arm for angles, for torsions the sines of both too."""
    a, b, c, d = (x[atoms] for atoms in terms.torsions[0].T)
    bonds = [torch.nn.functional.normalize(v, dim=-1) for v in (b - a, c - b, d - c)]
    sines = [torch.linalg.cross(v, w).norm(dim=-1) for v, w in (bonds[:2], bonds[1:])]
    parts = (terms.bonds[0], terms.angles[0])
    ones, arms = (torch.ones(len(part), dtype=x.dtype) for part in parts)
    return torch.cat((ones, ARM_NM * arms, ARM_NM * sines[0] * sines[1]))


def derivatives(x: Tensor, terms: TermBatch) -> Tensor:
    """∂q/∂x of all internal coordinates [T, N, 3]."""
    found = torch.autograd.functional.jacobian(lambda y: coordinates(y, terms), x)
    assert isinstance(found, Tensor)
    return found


def energy_slopes(geometry: InternalGeometry, terms: TermBatch) -> tuple[Tensor, Tensor]:
    """E' and E'' of all coordinates of one molecule, kJ/mol per nm or rad."""
    sizes = [part.shape[1] for part in (terms.bonds, terms.angles, terms.torsions)]
    units = torch.cat([torch.tensor([u]).expand(n, 3) for u, n in zip(UNITS, sizes, strict=True)])
    _, slope, curvature = (geometry.state[0] * units).unbind(-1)
    return slope * geometry.sense[0], curvature


@pytest.fixture(params=["phenol", "isobutanol"])
def molecule(request: pytest.FixtureRequest) -> Molecule:
    return request.getfixturevalue(request.param)


def test_rows_are_the_derivatives_of_their_coordinates(molecule: Molecule) -> None:
    x, terms = geometry_of(molecule), batched(molecule)
    expected = derivatives(x[0], terms) * scales(x[0], terms)[:, None, None]
    rows = internal_geometry(x, terms).rows[0].view(expected.shape)
    torch.testing.assert_close(rows, expected, rtol=1e-6, atol=1e-6)
    kinds = [part.shape[1] for part in (terms.bonds, terms.angles, terms.torsions)]
    for part in rows.split(kinds):
        assert 0.3 < float(part.norm(dim=(1, 2)).mean()) < 3.0  # all of order one


def test_deviations_from_rest(molecule: Molecule) -> None:
    x, terms = geometry_of(molecule), batched(molecule)
    q, state = coordinates(x[0], terms), internal_geometry(x, terms).state[0]
    n_bonds, n_angles = terms.bonds.shape[1], terms.angles.shape[1]
    rest = torch.cat((terms.bond_constants[0, :, 1], terms.angle_constants[0, :, 1]))
    strain = (q[: n_bonds + n_angles] - rest).split([n_bonds, n_angles])
    torch.testing.assert_close(state[:n_bonds, 0] * UNITS[0][0], strain[0])
    torch.testing.assert_close(state[n_bonds : -len(terms.torsions[0]), 0] * UNITS[1][0], strain[1])
    torch.testing.assert_close(state[n_bonds + n_angles :, 0], q[n_bonds + n_angles :].cos())


def test_slopes_make_openmms_forces(molecule: Molecule) -> None:
    """−Σ E' ∂q/∂x is what bonds, angles and torsions of the System pull with."""
    x, terms = geometry_of(molecule), batched(molecule)
    slope, _ = energy_slopes(internal_geometry(x, terms), terms)
    forces = -(slope[:, None, None] * derivatives(x[0], terms)).sum(0)
    system = openmm.XmlSerializer.deserialize(molecule.system_xml.read_text())
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.NonbondedForce | openmm.GBSAOBCForce):
            system.removeForce(index)
    assert system.getNumForces() >= 3
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(x[0].numpy())
    expected = context.getState(forces=True).getForces(asNumpy=True)._value
    assert np.abs(expected).max() > 500.0
    np.testing.assert_allclose(forces, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_curvatures_are_the_change_of_slopes(molecule: Molecule) -> None:
    x, terms = geometry_of(molecule), batched(molecule)
    step = 1e-6 * torch.from_numpy(np.random.default_rng(1).normal(size=x.shape))
    before, after = (
        energy_slopes(internal_geometry(x + sign * step, terms), terms)[0] for sign in (-1, 1)
    )
    _, curvature = energy_slopes(internal_geometry(x, terms), terms)
    moved = coordinates((x + step)[0], terms) - coordinates((x - step)[0], terms)
    torch.testing.assert_close(after - before, curvature * moved, rtol=1e-5, atol=1e-6)
    assert float((after - before).abs().max()) > 1e-3


def test_kinds_and_atoms(molecule: Molecule) -> None:
    terms, own = batched(molecule), molecule.terms
    geometry = internal_geometry(geometry_of(molecule), terms)
    rigid = own.bond_constants[:, 0] == 0.0
    improper = own.torsion_constants[:, -1] == 1.0
    expected = [*np.where(rigid, 1, 0), *[2] * len(own.angles), *np.where(improper, 4, 3)]
    assert geometry.kind[0].tolist() == expected
    ends = [*own.bonds, *own.angles[:, [0, 2]], *own.torsions[:, [0, 3]]]
    middles = [*own.bonds, *own.angles[:, [1, 1]], *own.torsions[:, [1, 2]]]
    np.testing.assert_array_equal(geometry.ends[0], ends)
    np.testing.assert_array_equal(geometry.middles[0], middles)


@pytest.mark.parametrize("motion", ["translation", "rotation"])
def test_rigid_motion_changes_no_coordinate(molecule: Molecule, motion: str) -> None:
    x, terms = geometry_of(molecule), batched(molecule)
    axis = torch.tensor([0.3, -0.8, 0.5], dtype=x.dtype).expand(x.shape)
    rigid = axis if motion == "translation" else torch.linalg.cross(axis, x)
    rows = internal_geometry(x, terms).rows[0]
    assert float((rows @ rigid.flatten()).abs().max()) < 1e-12
    assert float((rows @ (x * x).flatten()).abs().max()) > 1e-3


def test_no_motion_of_other_molecules_matters_to_a_row() -> None:
    """Rows are those of the molecule alone, whatever it is batched with."""
    batch = make_batch((9, 5, 7), padding=2, loose=(2,))
    together = internal_geometry(batch.x, batch.terms)
    for row, size in enumerate((9, 5, 7)):
        terms = batch.terms.of(torch.tensor([row]), size)
        alone = internal_geometry(batch.x[row : row + 1, :size], terms)
        kept = together.rows[row].any(dim=-1)
        assert int(kept.sum()) == alone.rows.shape[1]
        found = together.rows[row, kept].view(-1, 11, 3)
        torch.testing.assert_close(found[:, :size].flatten(1), alone.rows[0])
        assert not found[:, size:].any()
        torch.testing.assert_close(together.state[row, kept], alone.state[0])


def test_padding_is_zero_and_has_no_gradient() -> None:
    x = torch.randn(1, 5, 3, dtype=torch.float64).mul(0.1)
    arrays = pad_terms([no_terms(5), random_terms(x[0].numpy())])
    terms = batch_terms({name: array[:1] for name, array in arrays.items()})
    assert terms.torsions.shape[1] > 0
    x.requires_grad_()
    geometry = internal_geometry(x, terms)
    assert not geometry.rows.any()
    assert not geometry.state.any()
    (geometry.rows.sum() + geometry.state.sum()).backward()
    assert x.grad is not None
    assert not x.grad.any()


def straight(points: list[list[float]]) -> Tensor:
    return torch.tensor(points, dtype=torch.float64)[None]


CHAINS: dict[str, Callable[[float], Tensor]] = {
    "whole chain": lambda e: straight([[0, 0, 0], [0.12, e, 0], [0.27, 0, 0], [0.39, 0, 0.7 * e]]),
    "one end": lambda e: straight([[0, 0, 0], [0.12, e, 0], [0.27, 0, 0], [0.33, 0.1, e]]),
    "folded back": lambda e: straight([[0, 0, 0], [0.12, e, 0], [0.03, 0, 0], [0.16, 0, 0]]),
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("bend", [0.0, 1e-9, 1e-6, 1e-4, 1e-3, 1e-2])
def test_straight_chains_are_bounded_and_differentiable(chain: str, bend: float) -> None:
    """Alkynes and nitriles: the torsion is not defined, the angle's derivative diverges."""
    for dtype in (torch.float32, torch.float64):
        x = CHAINS[chain](bend).to(dtype).requires_grad_()
        terms = batch_terms(pad_terms([random_terms(x[0].detach().double().numpy(), seed=1)]))
        chained = {
            "angles": torch.tensor([[[0, 1, 2], [1, 2, 3]]]),
            "torsions": torch.tensor([[[0, 1, 2, 3]]]),
            "angle_constants": torch.tensor([[[500.0, 3.14159], [500.0, 2.0]]]),
            "torsion_constants": torch.tensor([[[1.0, -3.0, 2.0, 0.5, 0.0, 1.0, 0.0]]]),
        }
        terms = TermBatch(**(vars(terms) | chained))
        geometry = internal_geometry(x, terms)
        assert bool(geometry.rows.isfinite().all())
        assert float(geometry.rows.abs().max()) < 10.0
        assert float(geometry.state.abs().max()) < 100.0
        (geometry.rows.square().sum() + geometry.state.square().sum()).backward()
        assert x.grad is not None
        assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("name", ["bonds", "angles", "torsions"])
def test_a_coordinate_read_backwards_is_the_same(name: str) -> None:
    batch = make_batch((9,))
    terms = TermBatch(**(vars(batch.terms) | {name: getattr(batch.terms, name).flip(-1)}))
    found, expected = (internal_geometry(batch.x.double(), t) for t in (terms, batch.terms))
    torch.testing.assert_close(found.rows.abs(), expected.rows.abs(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.rows, expected.rows, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.state, expected.state, atol=1e-5, rtol=1e-5)


def test_a_mirror_image_has_the_mirrored_rows_and_the_same_state() -> None:
    batch, mirror = make_batch((9,)), torch.tensor([1.0, 1.0, -1.0])
    before, after = (internal_geometry(x, batch.terms) for x in (batch.x, batch.x * mirror))
    rows = (before.rows.view(1, -1, 9, 3) * mirror).flatten(2)
    torsions = batch.terms.torsions.shape[1]
    torch.testing.assert_close(after.rows[:, -torsions:], -rows[:, -torsions:])
    torch.testing.assert_close(after.rows * after.sense[..., None], rows * before.sense[..., None])
    torch.testing.assert_close(after.state, before.state)


def test_coordinates_follow_their_atoms() -> None:
    batch, order = make_batch((9,)), torch.randperm(9, generator=torch.Generator().manual_seed(0))
    before = internal_geometry(batch.x, batch.terms)
    after = internal_geometry(batch.x[:, order], renumber(batch.terms, torch.argsort(order)))
    rows = before.rows.view(1, -1, 9, 3)[:, :, order].flatten(2)
    torch.testing.assert_close(after.rows, rows)
    torch.testing.assert_close(after.state, before.state)

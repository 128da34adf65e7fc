"""Internal coordinates: what bonds, angles and torsions make of a geometry.

A force field is nearly a sum over internal coordinates, U ≈ Σ_t E_t(q_t), so its Hessian is
nearly Σ_t E_t'' b_t b_tᵀ with b_t = ∂q_t/∂x, the rows of Wilson's B matrix (Wilson, Decius &
Cross, *Molecular Vibrations*, 1955, ch. 4). Rows are computed here for the current geometry,
together with E_t' and E_t'' as the force field at hand has them: features for the network, which
decides what they are worth.

A reflection changes the sign of a torsion φ, and so of its row and of E_t'. A network that is to
commute with reflections is therefore given E_t'/sin φ, and sin φ to multiply rows by.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.surrogates.force_field_like.terms import TermBatch
from kstep.system.force_field import PERIODICITIES

ARM_NM = 0.14
"""Turns rows of angles and torsions, per nm, into numbers around one like those of bonds."""
SHORTEST_SINE = 0.15
"""Below this sine an angle counts as straight: the direction of its rows means nothing there, and
they fade out."""
SMALLEST_AREA = 1e-6
"""Below this square of a parallelogram's area a chain counts as straight, nm⁴."""
KINDS = 5
"""Bond, rigid bond, angle, proper and improper torsion."""

_BOND_UNITS = (5e-3, 2e3, 3e5)  # nm, kJ/mol/nm, kJ/mol/nm²: typical q − q₀, E' and E''
_ANGLE_UNITS = (0.07, 40.0, 600.0)  # rad, kJ/mol/rad, kJ/mol/rad²
_TORSION_UNITS = (1.0, 10.0, 40.0)


@dataclass(frozen=True, eq=False)
class InternalGeometry:
    """Internal coordinates of a batch: bonds first, then angles, then torsions.

    Attributes:
        rows: b_t, dimensionless [B, T, 3N]; zero for padding. Those of torsions carry the sines
            of their two angles, those of angles are per ARM_NM.
        sense: s_t, which changes sign where the row does: sin φ for torsions, else 1 [B, T].
        state: deviation from rest (cos φ for torsions), E'/s_t and E'', in typical units
            [B, T, 3].
        kind: 0 bond, 1 rigid bond, 2 angle, 3 proper, 4 improper [B, T].
        ends, middles: atoms at the ends and between them, twice the same where there is one;
            a bond's ends stand for both [B, T, 2].
    """

    rows: Float[Tensor, "B T N3"]
    sense: Float[Tensor, "B T"]
    state: Float[Tensor, "B T 3"]
    kind: Int[Tensor, "B T"]
    ends: Int[Tensor, "B T 2"]
    middles: Int[Tensor, "B T 2"]


def internal_geometry(x: Float[Tensor, "B N 3"], terms: TermBatch) -> InternalGeometry:
    """Rows and state of every internal coordinate at positions x, nm."""
    bonds, angles, torsions = terms.bonds, terms.angles, terms.torsions
    arms = _arms(
        x,
        heads=(bonds[..., :1], angles[..., ::2], torsions[..., 1:]),
        tails=(bonds[..., 1:], angles[..., 1:2].expand(-1, -1, 2), torsions[..., :3]),
    )
    *torsion_part, sine = _torsions(*arms[2], torsions, terms.torsion_constants)
    parts = (
        _bonds(*arms[0], bonds, terms.bond_constants),
        _angles(*arms[1], angles, terms.angle_constants),
        torsion_part,
    )
    improper = terms.torsion_constants[..., -1].long()
    rigid = (terms.bond_constants[..., 0] == 0).long()
    atoms = (bonds, angles, torsions)
    rows = [_rows(x, of, vectors) for of, (vectors, _) in zip(atoms, parts, strict=True)]
    return InternalGeometry(
        rows=torch.cat(rows, dim=1),
        sense=torch.cat((sine.new_ones(len(x), bonds.shape[1] + angles.shape[1]), sine), dim=1),
        state=torch.cat([state for _, state in parts], dim=1),
        kind=torch.cat((rigid, torch.full_like(angles[..., 0], 2), 3 + improper), dim=1),
        ends=torch.cat((bonds, angles[..., ::2], torsions[..., ::3]), dim=1),
        middles=torch.cat((bonds, angles[..., 1:2].expand(-1, -1, 2), torsions[..., 1:3]), dim=1),
    )


Atoms = tuple[Int[Tensor, "B NB 1"], Int[Tensor, "B NA 2"], Int[Tensor, "B NT 3"]]


def _arms(
    x: Float[Tensor, "B N 3"], heads: Atoms, tails: Atoms
) -> list[tuple[Float[Tensor, "B n K 3"], Float[Tensor, "B n K 1"]]]:
    """Vectors from tail to head and their lengths, the n of each coordinate one after another.

    All in one go: on one small molecule the number of operations is what takes the time. Lengths
    are 1 for padding, so that nothing is divided by zero.
    """
    ends = torch.stack([_first_to_last(atoms) for atoms in (heads, tails)], dim=1)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    head, tail = x[batch, ends].unbind(1)
    arms = head - tail
    absent = (ends[:, 0] == ends[:, 1])[..., None].to(x.dtype)
    lengths = (arms.square().sum(-1, keepdim=True) + absent).clamp_min(1e-8).sqrt()
    shapes = [(len(x), atoms.shape[2], atoms.shape[1]) for atoms in heads]
    sizes = [n * k for _, n, k in shapes]
    parts = zip(shapes, torch.split(arms, sizes, 1), torch.split(lengths, sizes, 1), strict=True)
    return [(arm.view(*shape, 3), length.view(*shape, 1)) for shape, arm, length in parts]


def _first_to_last(atoms: Atoms) -> Int[Tensor, "B nK"]:
    """The first atoms of all coordinates of a kind, then the second ones; kind after kind."""
    return torch.cat([of.transpose(1, 2).flatten(1) for of in atoms], dim=1)


Part = tuple[Float[Tensor, "B n K 3"], Float[Tensor, "B K 3"]]
"""Vectors at the atoms of coordinates of one kind, and their state."""


def _bonds(
    arms: Float[Tensor, "B 1 K 3"],
    lengths: Float[Tensor, "B 1 K 1"],
    atoms: Int[Tensor, "B K 2"],
    constants: Float[Tensor, "B K 2"],
) -> Part:
    stiffness, rest = constants.unbind(-1)
    unit = arms / lengths
    strain = lengths[:, 0, :, 0] - rest
    state = _state(strain, stiffness * strain, stiffness, _BOND_UNITS)
    return torch.cat((unit, -unit), dim=1), state * _present(atoms)


def _angles(
    arms: Float[Tensor, "B 2 K 3"],
    lengths: Float[Tensor, "B 2 K 1"],
    atoms: Int[Tensor, "B K 3"],
    constants: Float[Tensor, "B K 2"],
) -> Part:
    stiffness, rest = constants.unbind(-1)
    units = arms / lengths
    cosine = (units[:, 0] * units[:, 1]).sum(-1, keepdim=True).clamp(-0.9999, 0.9999)
    sine = (1.0 - cosine.square()).sqrt().clamp_min(SHORTEST_SINE)
    ends = (units * cosine[:, None] - units.flip(1)) * (ARM_NM / (lengths * sine[:, None]))
    strain = torch.acos(cosine).squeeze(-1) - rest
    state = _state(strain, stiffness * strain, stiffness, _ANGLE_UNITS)
    vectors = torch.cat((ends[:, :1], -ends.sum(1, keepdim=True), ends[:, 1:]), dim=1)
    return vectors, state * _present(atoms)


def _torsions(
    arms: Float[Tensor, "B 3 K 3"],
    lengths: Float[Tensor, "B 3 K 1"],
    atoms: Int[Tensor, "B K 4"],
    constants: Float[Tensor, "B K 7"],
) -> tuple[Float[Tensor, "B 4 K 3"], Float[Tensor, "B K 3"], Float[Tensor, "B K"]]:
    one, length = arms[:, 0], lengths[:, 1]
    normals = torch.linalg.cross(arms[:, :2], arms[:, 1:])
    normal, other = normals.unbind(1)
    areas = normals.square().sum(-1, keepdim=True)
    along = (arms[:, :2] * arms[:, 1:]).sum(-1, keepdim=True) / length.square()[:, None]
    outer = normals * (length[:, None] / areas.clamp_min(SMALLEST_AREA))
    first, last = outer.unbind(1)
    inner = (along * outer).sum(1)
    # (a × b) × (b × c) = b (a · (b × c)) makes the sine a triple product.
    sine = length.squeeze(-1) * (one * other).sum(-1)
    cosine = (normal * other).sum(-1)
    # Where three atoms are in line there is no torsion; 1 keeps the angle differentiable.
    defined = sine.square() + cosine.square() > SMALLEST_AREA**2
    phi = torch.atan2(torch.where(defined, sine, 0.0), torch.where(defined, cosine, 1.0))
    turns = torch.arange(1, PERIODICITIES + 1, dtype=phi.dtype, device=phi.device)
    slopes = constants[..., :PERIODICITIES] * turns
    cosines = torch.cos(phi[..., None] * turns)
    slope = -(slopes * _sine_ratios(cosines[..., 0])).sum(-1)
    curvature = -(slopes * turns * cosines).sum(-1)
    # ∂φ/∂x diverges where a chain is straight, where φ means nothing: with the sines of both
    # angles the rows fade out there instead.
    sines = (areas[:, 0] * areas[:, 1]).clamp_min(SMALLEST_AREA**2).sqrt()
    sines = sines / (lengths[:, 0] * length.square() * lengths[:, 2])
    vectors = torch.stack((-first, first + inner, -last - inner, last), dim=1)
    state = _state(cosines[..., 0], slope, curvature, _TORSION_UNITS)
    return vectors * (ARM_NM * sines)[:, None], state * _present(atoms), torch.sin(phi)


def _sine_ratios(cosine: Float[Tensor, "B K"]) -> Float[Tensor, "B K P"]:
    """Ratios sin nφ / sin φ for n = 1 … 6: Chebyshev polynomials of the second kind."""
    ratios = [torch.ones_like(cosine), 2.0 * cosine]
    for _ in range(PERIODICITIES - 2):
        ratios.append(2.0 * cosine * ratios[-1] - ratios[-2])
    return torch.stack(ratios, dim=-1)


def _present(atoms: Int[Tensor, "B K n"]) -> Float[Tensor, "B K 1"]:
    return (atoms[..., :1] != atoms[..., 1:2]).to(torch.get_default_dtype())


def _state(
    strain: Float[Tensor, "B K"],
    slope: Float[Tensor, "B K"],
    curvature: Float[Tensor, "B K"],
    units: tuple[float, float, float],
) -> Float[Tensor, "B K 3"]:
    parts = (strain / units[0], slope / units[1], (curvature / units[2]).expand_as(strain))
    return torch.stack(parts, dim=-1)


def _rows(
    x: Float[Tensor, "B N 3"], atoms: Int[Tensor, "B K n"], vectors: Float[Tensor, "B n K 3"]
) -> Float[Tensor, "B K N3"]:
    """Vectors at the atoms of each coordinate, spread over all atoms."""
    n_batch, n_terms, _ = atoms.shape
    where = atoms[..., None].expand(-1, -1, -1, 3)
    spread = x.new_zeros(n_batch, n_terms, x.shape[1], 3)
    return spread.scatter_add(2, where, vectors.transpose(1, 2)).flatten(2)

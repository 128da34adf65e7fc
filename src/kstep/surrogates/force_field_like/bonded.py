"""Energies of bonds, angles and torsions with constants that a network decides.

They start from the force field at hand: an untrained network returns its bonded energies. What is
learned is how the true potential departs from them, up to fourth order in a stretch or a bend, to
sixth in the turns of a torsion, with the couplings of a bend to its two stretches; all other
couplings are in `force_field_like.strain`.

An angle that is straight at rest bends to every side alike, and the force on its atoms would jump
wherever they pass the straight line, did the energy know odd powers of π − θ, or the sense of a
torsion about it. In its energy √(w² + (π − θ)²) − w takes the place of π − θ in all odd powers, and
torsions fade, so that all is smooth there.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from numpy.polynomial import chebyshev
from torch import Tensor, nn

from kstep.surrogates.force_field_like.layers import chosen_atoms, last_layer, silence, two_layers
from kstep.surrogates.force_field_like.terms import TermBatch
from kstep.system.force_field import PERIODICITIES

STRETCH_NM = 0.005
BEND = 0.07
"""Typical amplitudes, nm and rad: deviations are measured in them."""
TURN = 5.0
"""kJ/mol of a torsion's constants as the network returns them."""
ORDERS = 4
"""Powers of a deviation."""
HARMONIC = (0.0, 0.5, 0.0, 0.0)
"""The force field's coefficients of these powers."""
RATES = (1.0, 1.0, 0.1, 0.02)
COUPLING_RATE = 0.02
"""What a network's output of one means: high powers of a deviation grow fast."""
COUPLINGS = 2
"""Of a bend: its two stretches with each other, and their sum with the bend."""
NORMAL_ARM_NM = 0.14
_COSINES = [
    [*chebyshev.cheb2poly([0.0] * n + [1.0])[1:], *[0.0] * (PERIODICITIES - n)]
    for n in range(1, PERIODICITIES + 1)
]
"""cos nφ in the powers of cos φ, from the first; constants exert no force."""
SOFT = 1e-10
"""Keeps lengths differentiable where atoms coincide, that is at padding, nm²."""
STRAIGHT = 1e-12
"""The same for squares of the areas that the arms of an angle span, nm⁴, and for products of two
such squares in a torsion, nm⁸, which fades where its chain is straight within some 0.2°."""
NEARLY_STRAIGHT = math.radians(170.0)
"""Where angles rest that are taken to be straight."""
STRAIGHT_CHAIN = 3e-10
"""In place of STRAIGHT, nm⁸, for torsions with such an angle: they fade within some 4°, a typical
bend, and not within less than a base step."""


@dataclass(frozen=True, eq=False)
class BondedParameters:
    """Constants of all terms; zero for padding.

    Attributes:
        arms: +1 and −1 at the two ends of the vectors wanted: of every bond, of the first and
            then of the second side of every angle, then of the three links of every torsion
            [B, A, N].
        rest_lengths: nm [B, NB].
        rest_angles: rad [B, NA].
        stretch: kJ/mol of the powers of a stretch [B, NB, 4].
        bend: of the powers of a bend [B, NA, 4].
        coupling: [B, NA, 2].
        turn: of the powers of cos φ [B, NT, 6].
        fade: STRAIGHT or STRAIGHT_CHAIN of every torsion, nm⁸ [B, NT].
    """

    arms: Float[Tensor, "B A N"]
    rest_lengths: Float[Tensor, "B NB"]
    rest_angles: Float[Tensor, "B NA"]
    stretch: Float[Tensor, "B NB 4"]
    bend: Float[Tensor, "B NA 4"]
    coupling: Float[Tensor, "B NA 2"]
    turn: Float[Tensor, "B NT 6"]
    fade: Float[Tensor, "B NT"]


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Bonds, angles and torsions of a geometry.

    Attributes:
        stretch: of every bond from its length at rest, in STRETCH_NM [B, NB].
        bend: of every angle from its rest, in BEND [B, NA].
        fold: √(1 + q²) − 1 where an angle is straight at rest, q what it lacks of π in BEND; in
            `bend` it stands for q there. 0 of other angles [B, NA].
        pulls: stretches of the two arms of every angle from NORMAL_ARM_NM [B, 2, NA].
        cosine, sine: cos φ and sin φ of every torsion [B, NT].
    """

    stretch: Float[Tensor, "B NB"]
    bend: Float[Tensor, "B NA"]
    fold: Float[Tensor, "B NA"]
    pulls: Float[Tensor, "B 2 NA"]
    cosine: Float[Tensor, "B NT"]
    sine: Float[Tensor, "B NT"]


@dataclass(frozen=True, eq=False)
class KnownConstants:
    """What the force field says of bonds, angles and torsions, as numbers around one."""

    bond: Float[Tensor, "B NB 2"]
    angle: Float[Tensor, "B NA 2"]
    torsion: Float[Tensor, "B NT c"]


def known_constants(terms: TermBatch) -> KnownConstants:
    """The constants of some molecules; the strength of a rigid bond is 0."""
    strength, length = terms.bond_constants.unbind(-1)
    firmness, rest = terms.angle_constants.unbind(-1)
    return KnownConstants(
        bond=torch.stack((strength * STRETCH_NM**2 / 8.0, length / NORMAL_ARM_NM), dim=-1),
        angle=torch.stack((firmness * BEND**2 / 3.0, rest / 2.0), dim=-1),
        torsion=terms.torsion_constants / 10.0,
    )


class Bonded(nn.Module):
    """Features of atoms → `BondedParameters`; equal for a term read backwards."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.bond = two_layers(hidden + 2, hidden, ORDERS)
        self.angle = two_layers(2 * hidden + 2, hidden, ORDERS + COUPLINGS)
        self.torsion = two_layers(2 * hidden + PERIODICITIES + 1, hidden, PERIODICITIES)
        for network in (self.bond, self.angle, self.torsion):
            silence(last_layer(network))

    def forward(self, nodes: Float[Tensor, "B N H"], terms: TermBatch) -> BondedParameters:
        """The constants of some molecules."""
        angles, torsions, known = terms.angles, terms.torsions, known_constants(terms)
        strength, length = terms.bond_constants.unbind(-1)
        scale = (strength * STRETCH_NM**2)[..., None]  # 0 where the bond is rigid
        pair = chosen_atoms(nodes, terms.bonds).sum(2)
        stretch = self.bond(torch.cat((pair, known.bond), dim=-1))
        firmness, rest = terms.angle_constants.unbind(-1)
        bend_scale = (firmness * BEND**2)[..., None]
        ends, middle = chosen_atoms(nodes, angles[..., ::2]), chosen_atoms(nodes, angles[..., 1:2])
        bend = self.angle(torch.cat((ends.sum(2), middle.sum(2), known.angle), dim=-1))
        ends, middles = torsions[..., ::3], torsions[..., 1:3]
        four = (chosen_atoms(nodes, ends).sum(2), chosen_atoms(nodes, middles).sum(2))
        constants = terms.torsion_constants
        turn = TURN * self.torsion(torch.cat((*four, known.torsion), dim=-1))
        present = (torsions[..., :1] != torsions[..., 1:2]).to(nodes.dtype)
        return BondedParameters(
            arms=_arms(terms, nodes),
            rest_lengths=length,
            rest_angles=rest,
            stretch=_powers_of(scale, stretch),
            bend=_powers_of(bend_scale, bend[..., :ORDERS]),
            coupling=COUPLING_RATE * bend_scale * bend[..., ORDERS:],
            turn=((constants[..., :PERIODICITIES] + turn) * present) @ turn.new_tensor(_COSINES),
            fade=STRAIGHT + (STRAIGHT_CHAIN - STRAIGHT) * _along_straight_angles(terms).to(turn),
        )


def _powers_of(
    scale: Float[Tensor, "B K 1"], learned: Float[Tensor, "B K 4"]
) -> Float[Tensor, "B K 4"]:
    """Coefficients of the powers of a deviation: the harmonic force field's, and the learned."""
    return scale * (scale.new_tensor(HARMONIC) + learned * scale.new_tensor(RATES))


def _along_straight_angles(terms: TermBatch) -> Bool[Tensor, "B NT"]:
    """Which torsions have an angle that is straight at rest."""

    def name(three: Int[Tensor, "*n 3"]) -> Int[Tensor, "*n 3"]:
        ends = three[..., ::2]
        return torch.stack((ends.amin(-1), three[..., 1], ends.amax(-1)), dim=-1)

    straight = terms.angle_constants[..., 1] > NEARLY_STRAIGHT
    known, own = name(terms.angles), name(terms.torsions.unfold(-1, 3, 1))
    same = (own[:, :, :, None] == known[:, None, None]).all(-1) & straight[:, None, None]
    return same.flatten(2).any(-1)


def _arms(terms: TermBatch, nodes: Float[Tensor, "B N H"]) -> Float[Tensor, "B A N"]:
    """Matrices that take vectors between atoms from positions; rows of padding are zero."""
    bonds, angles, torsions = terms.bonds, terms.angles, terms.torsions
    heads = (bonds[..., 0], angles[..., 0], angles[..., 2], *torsions[..., 1:].unbind(-1))
    tails = (bonds[..., 1], angles[..., 1], angles[..., 1], *torsions[..., :3].unbind(-1))
    head, tail = torch.cat(heads, dim=1)[..., None], torch.cat(tails, dim=1)[..., None]
    arms = nodes.new_zeros(*head.shape[:2], nodes.shape[1])
    ones = torch.ones_like(head, dtype=nodes.dtype)
    return arms.scatter_add(2, head, ones).scatter_add(2, tail, -ones)


def coordinates(x: Float[Tensor, "B N 3"], parameters: BondedParameters) -> Coordinates:
    """The geometry of all bonds, angles and torsions."""
    n_bonds, n_angles = parameters.stretch.shape[1], parameters.bend.shape[1]
    n_torsions = parameters.turn.shape[1]
    arms = parameters.arms @ x
    straight = 2 * n_angles + n_bonds
    lengths = (arms[:, :straight].square().sum(-1) + SOFT).sqrt()
    one, two = arms[:, n_bonds:straight].reshape(len(x), 2, n_angles, 3).unbind(1)
    area = (torch.linalg.cross(one, two).square().sum(-1) + STRAIGHT).sqrt()
    angle = torch.atan2(area, (one * two).sum(-1))
    links = arms[:, straight:].reshape(len(x), 3, n_torsions, 3)
    first, second = torch.linalg.cross(links[:, :2], links[:, 1:]).unbind(1)
    areas = (first.square().sum(-1) * second.square().sum(-1) + parameters.fade).sqrt()
    middle = (links[:, 1].square().sum(-1) + SOFT).sqrt()
    pulls = (lengths[:, n_bonds:] - NORMAL_ARM_NM) / STRETCH_NM
    bend, fold = _bends(angle, parameters.rest_angles)
    return Coordinates(
        stretch=(lengths[:, :n_bonds] - parameters.rest_lengths) / STRETCH_NM,
        bend=bend,
        fold=fold,
        pulls=pulls.reshape(len(x), 2, n_angles),
        cosine=(first * second).sum(-1) / areas,
        sine=middle * (links[:, 0] * second).sum(-1) / areas,
    )


def _bends(
    angle: Float[Tensor, "B NA"], rest: Float[Tensor, "#B NA"]
) -> tuple[Float[Tensor, "B NA"], Float[Tensor, "B NA"]]:
    """`bend` and `fold` of the coordinates."""
    square = ((math.pi - angle) / BEND).square()
    fold = square / (1.0 + (1.0 + square).sqrt())
    straight = rest > NEARLY_STRAIGHT
    bend = torch.where(straight, (math.pi - rest) / BEND - fold, (angle - rest) / BEND)
    return bend, torch.where(straight, fold, 0.0)


def bonded_energy(here: Coordinates, parameters: BondedParameters) -> Float[Tensor, " B"]:
    """Energy of all bonds, angles and torsions, kJ/mol."""
    first, second = here.pulls.unbind(1)
    coupled = torch.stack((first * second, here.bend * (first + second)), dim=-1)
    return (
        _powers(parameters.stretch, here.stretch)
        + (_powers(parameters.bend, here.bend) + _beyond_powers(parameters.bend, here))
        + (parameters.coupling * coupled).sum((1, 2))
        + _powers(parameters.turn, here.cosine)
    )


def _beyond_powers(
    coefficients: Float[Tensor, "#B NA 4"], here: Coordinates
) -> Float[Tensor, " B"]:
    """What even powers of the bend of straight angles lack where √(1 + q²) − 1 stands for q.

    The square is that of q itself, bend² + 2 fold; the cube is the bend times it. 0 of others.
    """
    _, two, three, four = coefficients.unbind(-1)
    bend, more = here.bend, 2.0 * here.fold
    return (more * (two + three * bend + four * (2.0 * bend.square() + more))).sum(1)


def _powers(
    coefficients: Float[Tensor, "#B K p"], value: Float[Tensor, "B K"]
) -> Float[Tensor, " B"]:
    """Σ_p a_p valueᵖ, p = 1 …, over all terms (Horner's scheme)."""
    *lower, result = coefficients.unbind(-1)
    for coefficient in reversed(lower):
        result = result * value + coefficient
    return (result * value).sum(1)

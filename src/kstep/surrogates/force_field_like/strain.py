"""What every atom feels of the bonds, angles and torsions that it belongs to.

Each of these gives all its atoms shares, which networks decide, of its stretch, its bend or its
turn. An atom's network (`nonbonded`) makes an energy and charges of the sums, which
couples all the coordinates around an atom to any order, as class II force fields do for some pairs
of them (Maple et al., J. Comput. Chem. 15, 162 (1994)).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.surrogates.force_field_like.bonded import Coordinates, known_constants
from kstep.surrogates.force_field_like.layers import chosen_atoms, two_layers
from kstep.surrogates.force_field_like.terms import TermBatch
from kstep.system.force_field import PERIODICITIES

EVEN = 16
"""Sums of stretches, bends, and of cos φ and its square of torsions."""
ODD = 8
"""Sums of sin φ, of which atoms feel the squares: a mirror changes their signs. They tell whether
two torsions turn the same way."""
STRAINS = EVEN + ODD
TURNS = 2 * EVEN + ODD
SHARE = 0.3
"""What a network's output of one means."""


@dataclass(frozen=True, eq=False)
class StrainParameters:
    """Shares of the terms of some molecules.

    Attributes:
        members: 1 where an atom is the one at a place in a term: at the two of every bond, the
            three of every angle, the four of every torsion; 0 for what is rigid or padding
            [B, N, P].
        bond, angle: shares of the atom at each place in a stretch or a bend [B, K, n, E].
        torsion: in cos φ, cos² φ and sin φ of a torsion [B, NT, 4, E + E + O].
    """

    members: Float[Tensor, "B N P"]
    bond: Float[Tensor, "B NB 2 E"]
    angle: Float[Tensor, "B NA 3 E"]
    torsion: Float[Tensor, "B NT 4 t"]


class Strain(nn.Module):
    """Features of atoms → `StrainParameters`; equal for a term read backwards."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.bond = two_layers(2 * hidden + 2, hidden, 2 * EVEN)
        self.angle = two_layers(3 * hidden + 2, hidden, 3 * EVEN)
        self.torsion = two_layers(4 * hidden + PERIODICITIES + 1, hidden, 4 * TURNS)

    def forward(self, nodes: Float[Tensor, "B N H"], terms: TermBatch) -> StrainParameters:
        """The shares of some molecules."""
        known = known_constants(terms)
        return StrainParameters(
            members=_members(terms, nodes),
            bond=_shares(self.bond, nodes, terms.bonds, known.bond),
            angle=_shares(self.angle, nodes, terms.angles, known.angle),
            torsion=_shares(self.torsion, nodes, terms.torsions, known.torsion),
        )


def _shares(
    network: nn.Sequential,
    nodes: Float[Tensor, "B N H"],
    atoms: Int[Tensor, "B K n"],
    known: Float[Tensor, "B K c"],
) -> Float[Tensor, "B K n s"]:
    """The network reads a term from both ends; what it says of a place is added up."""
    there, back = (
        network(torch.cat((chosen_atoms(nodes, order).flatten(2), known), dim=-1))
        for order in (atoms, atoms.flip(-1))
    )
    places = (atoms.shape[-1], -1)
    shares: Tensor = there.unflatten(-1, places) + back.unflatten(-1, places).flip(-2)
    return SHARE * shares


def _members(terms: TermBatch, nodes: Float[Tensor, "B N H"]) -> Float[Tensor, "B N P"]:
    """Matrices that add up at every atom what the places in terms give."""
    groups = (terms.bonds, terms.angles, terms.torsions)
    bent, turned = (atoms[..., 0] != atoms[..., 1] for atoms in groups[1:])
    felt = zip((terms.bond_constants[..., 0] > 0, bent, turned), groups, strict=True)
    present = [has[..., None].expand(atoms.shape).flatten(1) for has, atoms in felt]
    places = torch.cat([atoms.flatten(1) for atoms in groups], dim=1)[:, None]
    members = nodes.new_zeros(len(nodes), nodes.shape[1], places.shape[2])
    return members.scatter(1, places, torch.cat(present, dim=1)[:, None].to(nodes.dtype))


def strains(here: Coordinates, parameters: StrainParameters) -> Float[Tensor, "B N S"]:
    """What every atom feels."""
    turn, square, twist = torch.split(parameters.torsion, [EVEN, EVEN, ODD], dim=-1)
    stretch, bend, cosine, sine = (
        value[..., None, None] for value in (here.stretch, here.bend, here.cosine, here.sine)
    )
    given = (
        nn.functional.pad(stretch * parameters.bond, (0, ODD)),
        nn.functional.pad(bend * parameters.angle, (0, ODD)),
        torch.cat((cosine * (turn + cosine * square), sine * twist), dim=-1),
    )
    felt = parameters.members @ torch.cat([part.flatten(1, 2) for part in given], dim=1)
    even, odd = torch.split(felt, [EVEN, ODD], dim=-1)
    return torch.cat((even, odd.square()), dim=-1)

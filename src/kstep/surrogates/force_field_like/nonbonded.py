"""Energies of pairs of atoms, and of atoms in what surrounds them.

Pairs: functions of distance with coefficients that the two atoms' chemistry decides. Surroundings:
every atom feels densities, sums over the other atoms (embedded-atom form; Daw & Baskes, Phys. Rev.
B 29, 6443 (1984)), and the strains of the bonds, angles and torsions that it belongs to
(`force_field_like.strain`), which together give it an energy and charges of its own: as an implicit
solvent does through its Born radii, and electrons that respond to the geometry.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.surrogates.force_field_like.chemistry import separations
from kstep.surrogates.force_field_like.layers import last_layer, two_layers
from kstep.surrogates.force_field_like.strain import STRAINS

SEPARATIONS = 4
"""Pairs are told apart by the bonds between them: one, two, three or more."""
DENSITIES = 6
"""Sums over the surroundings of an atom."""
CHARGES = 2
"""Charges that an atom has by its surroundings."""
PAIR_UNIT, ATOM_UNIT, CHARGE_UNIT = 20.0, 10.0, 2.5
"""kJ/mol of what the networks return."""
DECAY_NM = 0.25
WIDTH = 0.085
FARTHEST, NEAREST = 0.02, 0.75
"""Basis functions are Gaussians in exp(−r/DECAY_NM), with centres between these."""
REACH_NM, CORE_NM = 0.15, 0.1
"""Of the two functions that fall as 1/r and 1/r³, softened within the core."""
SOFT = 1e-6
"""Keeps the distance of an atom to itself differentiable, nm²."""
COULOMB_UNIT = 100.0
"""Of the product of two charges, e²: brings what it adds to a pair's coefficients to order one."""


@dataclass(frozen=True, eq=False)
class NonbondedParameters:
    """Coefficients of some molecules.

    Attributes:
        pair: of the basis functions of every pair, kJ/mol [B, N, N, K]; zero on the diagonal
            and at padding.
        sent: of the basis functions of the densities that an atom spreads [B, N, K, D].
        felt: how much of them another atom feels [B, N, N, D], zero as `pair`.
        known: what the atom's network makes of its chemistry [B, N, H].
        charge: of every atom, by nature [B, N, 1].
        present: 1 for pairs of different atoms [B, N, N].
        atoms: 1 for atoms [B, N, 1].
        centres: of the Gaussians [K − 2].
    """

    pair: Float[Tensor, "B N N K"]
    sent: Float[Tensor, "B N K D"]
    felt: Float[Tensor, "B N N D"]
    known: Float[Tensor, "B N H"]
    charge: Float[Tensor, "B N 1"]
    present: Float[Tensor, "B N N"]
    atoms: Float[Tensor, "B N 1"]
    centres: Float[Tensor, " G"]


class Nonbonded(nn.Module):
    """Features of atoms → `NonbondedParameters`, and the energy that belongs to them."""

    def __init__(self, hidden: int, basis: int, feels_strains: bool) -> None:
        super().__init__()
        self.separation = nn.Embedding(SEPARATIONS, hidden)
        self.partner = nn.Linear(hidden, hidden)
        self.pair = two_layers(2 * hidden, hidden, basis)
        self.coulomb = nn.Parameter(torch.zeros(SEPARATIONS, basis))
        self.sent = nn.Linear(hidden, basis * DENSITIES)
        self.felt = nn.Parameter(torch.ones(SEPARATIONS, DENSITIES))
        self.known = nn.Linear(hidden, hidden)
        self.density = nn.Linear(DENSITIES, hidden, bias=False)
        self.strain = nn.Linear(STRAINS, hidden, bias=False) if feels_strains else None
        self.atom = nn.Linear(hidden, 1 + CHARGES)
        self.solvent = nn.Parameter(torch.randn(basis, CHARGES) * 0.1)
        for part, spread in ((last_layer(self.pair), 1e-3), (self.atom, 1e-2)):
            nn.init.normal_(part.weight, std=spread)
            nn.init.zeros_(part.bias)
        self.gaussians = basis - 2

    def parameters_of(
        self,
        nodes: Float[Tensor, "B N H"],
        species: Int[Tensor, "B N"],
        charges: Float[Tensor, "B N"],
        bonded: Float[Tensor, "B N N"],
    ) -> NonbondedParameters:
        """The coefficients of some molecules."""
        dtype, n_atoms = nodes.dtype, nodes.shape[1]
        atoms = (species > 0).to(dtype)[..., None]
        other = 1.0 - torch.eye(n_atoms, dtype=dtype, device=nodes.device)
        present = atoms * atoms.transpose(1, 2) * other
        apart = separations(bonded)
        partner = self.partner(nodes)
        ours, theirs = partner[:, :, None], partner[:, None]
        sums = nn.functional.silu(ours + theirs + self.separation(apart))
        product = (charges[:, :, None] * charges[:, None])[..., None]
        pair = self.pair(torch.cat((sums, ours * theirs), dim=-1))
        pair = pair + product * COULOMB_UNIT * self.coulomb[apart]
        sent = self.sent(nodes).unflatten(-1, (-1, DENSITIES)) / math.sqrt(10.0)
        return NonbondedParameters(
            pair=pair * present[..., None] * PAIR_UNIT,
            sent=sent * atoms[..., None],
            felt=self.felt[apart] * present[..., None],
            known=self.known(nodes),
            charge=3.0 * charges[..., None],
            present=present,
            atoms=atoms,
            # Made here, in the type of the run: a buffer would keep the rounding of the training's.
            centres=torch.linspace(
                FARTHEST, NEAREST, self.gaussians, dtype=dtype, device=nodes.device
            ),
        )

    def energy(
        self,
        x: Float[Tensor, "B N 3"],
        strain: Float[Tensor, "B N S"] | None,
        parameters: NonbondedParameters,
    ) -> Float[Tensor, " B"]:
        """Energy of all pairs and of all atoms in their surroundings, kJ/mol."""
        distance = ((x[:, :, None] - x[:, None]).square().sum(-1) + SOFT).sqrt()
        basis = _basis(distance, parameters.centres)  # [B, N, N, K]
        energy = 0.5 * (parameters.pair * basis).flatten(1).sum(1)
        spread = basis @ parameters.sent  # from the first atom to the second
        density = (spread * parameters.felt).sum(1)
        felt = parameters.known + self.density(density)
        if self.strain is not None:
            felt = felt + self.strain(strain)
        hidden = nn.functional.silu(felt)
        own, charge = self.atom(hidden).split((1, CHARGES), dim=-1)
        energy = energy + ATOM_UNIT * (own * parameters.atoms).sum((1, 2))
        charge = (charge + parameters.charge) * parameters.atoms
        screen: Tensor = (basis @ self.solvent) * parameters.present[..., None]
        potential = torch.einsum("bijm,bjm->bim", screen, charge)
        solvated: Tensor = energy + CHARGE_UNIT * (charge * potential).sum((1, 2))
        return solvated


def _basis(
    distance: Float[Tensor, "B N N"], centres: Float[Tensor, " G"]
) -> Float[Tensor, "B N N K"]:
    near = torch.exp(-distance / DECAY_NM)[..., None]
    gaussians = torch.exp(-0.5 * ((near - centres) / WIDTH).square())
    inverse = (REACH_NM / (distance.square() + CORE_NM**2).sqrt())[..., None]
    return torch.cat((inverse, inverse**3, gaussians), dim=-1)

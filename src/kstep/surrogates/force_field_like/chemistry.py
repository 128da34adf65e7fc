"""What every atom of a molecule is, from its bonds alone: the same in every geometry."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.surrogates.force_field_like.layers import two_layers
from kstep.surrogates.force_field_like.terms import TermBatch

MAX_ATOMIC_NUMBER = 118
SHELLS = 3
"""Rounds of message passing along bonds: how far an atom sees."""


class Chemistry(nn.Module):
    """Elements, charges, van der Waals parameters and bonds → features of atoms."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, hidden, padding_idx=0)
        self.nonbonded = nn.Linear(3, hidden)
        self.updates = nn.ModuleList(two_layers(2 * hidden, hidden, hidden) for _ in range(SHELLS))
        self.norm = nn.RMSNorm(hidden)

    def forward(
        self, species: Int[Tensor, "B N"], terms: TermBatch, bonded: Float[Tensor, "B N N"]
    ) -> Float[Tensor, "B N H"]:
        """Features of every atom; zero at padding."""
        mask = (species > 0).to(bonded.dtype)[..., None]
        nodes: Tensor = self.embedding(species) + self.nonbonded(typical(terms.nonbonded))
        for update in self.updates:
            message = torch.cat((nodes, bonded @ nodes), dim=-1)
            nodes = self.norm(nodes + update(message)) * mask
        return nodes


def typical(nonbonded: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
    """Charge, σ and ε as numbers around one."""
    charge, sigma, epsilon = nonbonded.unbind(-1)
    return torch.stack((2.0 * charge, (sigma - 0.3) / 0.05, epsilon), dim=-1)


def bond_matrix(terms: TermBatch, n_atoms: int) -> Float[Tensor, "B N N"]:
    """1 where two atoms are bonded."""
    first, second = terms.bonds.unbind(-1)
    present = (first != second).to(terms.nonbonded.dtype)
    flat = present.new_zeros(len(first), n_atoms * n_atoms)
    flat = flat.scatter_add(1, first * n_atoms + second, present)
    half = flat.view(-1, n_atoms, n_atoms)
    return (half + half.transpose(1, 2)).clamp_max(1.0)


def separations(bonded: Float[Tensor, "B N N"]) -> Int[Tensor, "B N N"]:
    """Bonds between two atoms: 0, 1 and 2 for one to three of them, 3 for more."""
    two = bonded @ bonded
    three = two @ bonded
    far = torch.full(bonded.shape, 3, device=bonded.device)
    far = torch.where(three > 0, 2, far)
    far = torch.where(two > 0, 1, far)
    return torch.where(bonded > 0, 0, far)

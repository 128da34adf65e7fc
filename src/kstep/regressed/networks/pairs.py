"""All pairs of atoms of a molecule, dense: distances, directions, radial basis.

Molecules here are small enough that nearly every pair is within the cutoff, and dense arrays
turn message passing into matrix products.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

SHORTEST_NM = 0.08
"""Distances below this do not occur; the radial basis starts here."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Geometry of all pairs.

    Attributes:
        unit: direction from i to j [B, N, N, 3]; zero on the diagonal.
        envelope: smooth cutoff [B, N, N]; zero on the diagonal, at padding and beyond range.
        basis: radial basis functions times the envelope [B, N, N, R].
    """

    unit: Float[Tensor, "B N N 3"]
    envelope: Float[Tensor, "B N N"]
    basis: Float[Tensor, "B N N R"]


class PairGeometry(nn.Module):
    """Positions → `Pairs`.

    The basis is exponential-normal: Gaussians in exp(−5 d/cutoff), evenly spaced, which are
    narrow at bond lengths and wide far out (Unke & Meuwly 2019).
    """

    def __init__(self, cutoff_nm: float, rbf_size: int) -> None:
        super().__init__()
        self.cutoff = cutoff_nm
        first, last = math.exp(-5.0), math.exp(-5.0 * SHORTEST_NM / cutoff_nm)
        centres = torch.linspace(first, last, rbf_size)
        self.register_buffer("centres", centres, persistent=False)
        self.centres: Tensor
        self.width = (last - first) / max(rbf_size - 1, 1)

    def forward(self, x: Float[Tensor, "B N 3"], mask: Bool[Tensor, "B N"]) -> Pairs:
        """Geometry of the pairs of present atoms."""
        difference = x[:, None, :, :] - x[:, :, None, :]  # [B, i, j, 3], from i to j
        own = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        valid = mask[:, :, None] & mask[:, None, :] & ~own
        # The 1 keeps the square root differentiable where there is no pair.
        squared = torch.where(valid, difference.square().sum(-1), 1.0)
        distance = squared.clamp_min(1e-8).sqrt()
        inside = (distance / self.cutoff).clamp_max(1.0)
        envelope = 0.5 * (torch.cos(math.pi * inside) + 1.0) * valid
        gaussian = ((torch.exp(-5.0 * inside)[..., None] - self.centres) / self.width).square()
        return Pairs(
            unit=difference / distance[..., None],
            envelope=envelope,
            basis=torch.exp(-0.5 * gaussian) * envelope[..., None],
        )

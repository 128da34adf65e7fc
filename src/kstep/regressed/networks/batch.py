"""What goes into a jump and what comes out, for several molecules at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kstep.surrogates.force_field_like.terms import TermBatch


@dataclass(frozen=True, eq=False)
class JumpBatch:
    """States to jump from, padded to the largest molecule of the batch.

    Attributes:
        species: atomic numbers [B, N]; 0 marks padding.
        masses: Da [B, N]; 0 at padding.
        x: positions, nm [B, N, 3].
        v: velocities at the same instant, nm/ps [B, N, 3].
        f: forces at those positions, kJ/mol/nm [B, N, 3].
        terms: of the molecules' force fields: what they are made of.
    """

    species: Int[Tensor, "B N"]
    masses: Float[Tensor, "B N"]
    x: Float[Tensor, "B N 3"]
    v: Float[Tensor, "B N 3"]
    f: Float[Tensor, "B N 3"]
    terms: TermBatch

    @property
    def mask(self) -> Bool[Tensor, "B N"]:
        """True where there is an atom."""
        return self.species > 0

    def to(self, device: torch.device) -> "JumpBatch":
        """The same batch on another device."""
        return type(self)(
            **{name: part.to(device, non_blocking=True) for name, part in vars(self).items()}
        )


@dataclass(frozen=True, eq=False)
class JumpPrediction:
    """The jump of every atom; zero at padding.

    Attributes:
        dx: displacement, nm [B, N, 3].
        dv: change of velocity, nm/ps [B, N, 3].
        force: forces at t + k steps, kJ/mol/nm [B, N, 3], if the model has a force head. They
            are predicted directly, not as the gradient of an energy.
        imbalance: what the momentum projection took out of the position and velocity residuals,
            in units of their scales [B, 2, 3]; zero for a perfect network.
    """

    dx: Float[Tensor, "B N 3"]
    dv: Float[Tensor, "B N 3"]
    force: Float[Tensor, "B N 3"] | None
    imbalance: Float[Tensor, "B 2 3"]

"""The jump around a network that returns it: everything the two regressing architectures share.

The network sees a molecule at rest at the origin, with velocities and forces in units of order
one, and returns vectors of order one. This module gives them their units, adds free flight,
keeps displacements in bounds and the centre of mass on its course:

    Δx = τ v + τ σ_x r_x / √m          then bent into the cap
    Δv =       σ_v r_v / √m
    Σ m (Δx − τ v) = 0,  Σ m Δv = 0    exactly, by projection
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kstep.config import ModelConfig
from kstep.regressed.networks.batch import JumpBatch, JumpPrediction
from kstep.regressed.networks.physics import JumpPhysics
from kstep.surrogates.force_field_like.chemistry import MAX_ATOMIC_NUMBER
from kstep.surrogates.force_field_like.terms import TermBatch


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """A batch as the networks see it.

    Attributes:
        species: atomic numbers [B, N]; 0 marks padding.
        terms: of the molecules' force fields.
        mask: True where there is an atom [B, N].
        x: positions about the centre of mass, nm [B, N, 3].
        vectors: √m v and τ F/√m over their scales, side by side [B, N, 3, 2].
        inverse_root_mass: 1/√m, Da^-½ [B, N, 1]; 0 at padding.
        flight: free flight τ v, nm [B, N, 3].
        residual_unit: nm of displacement per unit of position output [B, N, 1].
    """

    species: Int[Tensor, "B N"]
    terms: TermBatch
    mask: Bool[Tensor, "B N"]
    x: Float[Tensor, "B N 3"]
    vectors: Float[Tensor, "B N 3 2"]
    inverse_root_mass: Float[Tensor, "B N 1"]
    flight: Float[Tensor, "B N 3"]
    residual_unit: Float[Tensor, "B N 1"]


class JumpModel(nn.Module):
    """Maps (x, v, F) at t to the jump (Δx, Δv); equivariant under E(3).

    Attributes:
        config: architecture and heads.
        physics: stride, landing, scales and caps.
    """

    def __init__(self, config: ModelConfig, physics: JumpPhysics) -> None:
        super().__init__()
        self.config = config
        self.physics = physics

    def forward(self, batch: JumpBatch) -> JumpPrediction:
        """Predict the jump of every state of the batch."""
        raise NotImplementedError

    def composed(
        self, k_steps: int, dt_ps: float, drifts_per_step: int, impulse: float
    ) -> "JumpModel":
        """The jump as a run wants it, where it leaves a choice; as it is where it does not."""
        return self


class RegressedJump(JumpModel):
    """A jump that a network returns as it is; equivariant under boosts too.

    Args:
        config: architecture and heads.
        physics: stride, scales and caps.
        network: maps a `NetworkInput` to [B, N, 3, outputs]: position residual, velocity
            residual and, with a force head, force, all in units of their scales.
    """

    def __init__(self, config: ModelConfig, physics: JumpPhysics, network: nn.Module) -> None:
        super().__init__(config, physics)
        self.network: Callable[[NetworkInput], Tensor] = network
        caps = torch.full((MAX_ATOMIC_NUMBER + 1,), max(physics.caps_nm.values()))
        for number, cap in physics.caps_nm.items():
            caps[number] = cap
        self.register_buffer("caps", caps, persistent=False)
        self.caps: Tensor

    def forward(self, batch: JumpBatch) -> JumpPrediction:
        """Predict the jump of every state of the batch."""
        scales, tau = self.physics.scales, self.physics.duration
        mask = batch.mask[..., None]
        weights = (batch.masses / batch.masses.sum(1, keepdim=True))[..., None]
        x = (batch.x - _mean(batch.x, weights)) * mask
        drift = _mean(batch.v, weights)
        v = (batch.v - drift) * mask
        inverse_root = torch.where(mask, batch.masses[..., None].clamp_min(1e-12).rsqrt(), 0.0)
        inputs = NetworkInput(
            species=batch.species,
            terms=batch.terms,
            mask=batch.mask,
            x=x,
            vectors=torch.stack(
                (
                    v * (batch.masses[..., None].sqrt() / scales.velocity),
                    batch.f * (inverse_root * (tau / scales.force)),
                ),
                dim=-1,
            ),
            inverse_root_mass=inverse_root,
            flight=v * tau,
            residual_unit=inverse_root * (tau * scales.position_residual),
        )
        outputs = self.network(inputs) * mask[..., None]  # [B, N, 3, outputs]
        balanced, imbalance = _balance(outputs[..., :2], weights)
        dx = balanced[..., 0] * inputs.residual_unit
        dv = balanced[..., 1] * (inverse_root * scales.velocity_residual)
        if self.config.predict_delta:
            dx = dx + inputs.flight
        else:
            dv = dv - v
        if self.config.tanh_head:
            bent = bend(dx, self.caps[batch.species][..., None])
            dx = bent - _mean(bent, weights)
        return JumpPrediction(
            dx=(dx + drift * tau) * mask,
            dv=dv * mask,
            force=self._force(outputs, inverse_root, weights),
            imbalance=imbalance,
        )

    def _force(
        self,
        outputs: Float[Tensor, "B N 3 outputs"],
        inverse_root: Float[Tensor, "B N 1"],
        weights: Float[Tensor, "B N 1"],
    ) -> Float[Tensor, "B N 3"] | None:
        if not self.config.use_force_head:
            return None
        root = torch.where(inverse_root > 0, 1.0 / inverse_root.clamp_min(1e-12), 0.0)
        force = outputs[..., 2] * (root * (self.physics.scales.force / self.physics.duration))
        return force - weights * force.sum(1, keepdim=True)


def bend(dx: Float[Tensor, "B N 3"], cap: Float[Tensor, "B N 1"]) -> Float[Tensor, "B N 3"]:
    """Shorten displacements smoothly so that none is longer than `cap`.

    Nothing changes up to half the cap; beyond it the length r becomes
    c/2 + c/2·tanh((r − c/2)/(c/2)), continuous with its first derivative.
    """
    half = 0.5 * cap
    length = dx.square().sum(-1, keepdim=True).clamp_min(1e-20).sqrt()
    bent = half * (1.0 + torch.tanh((length - half) / half))
    return dx * torch.where(length > half, bent / length, 1.0)


def _mean(
    vectors: Float[Tensor, "B N 3"], weights: Float[Tensor, "B N 1"]
) -> Float[Tensor, "B 1 3"]:
    """Mass-weighted mean."""
    return (vectors * weights).sum(1, keepdim=True)


def _balance(
    residuals: Float[Tensor, "B N 3 2"], weights: Float[Tensor, "B N 1"]
) -> tuple[Float[Tensor, "B N 3 2"], Float[Tensor, "B 2 3"]]:
    """Take the net momentum out of mass-weighted residuals: Σ √m r = 0.

    √m is the zero mode in these coordinates; its unit vector is √(m/M), M the whole mass.
    """
    mode = weights.sqrt()[..., None]  # [B, N, 1, 1]
    net = (residuals * mode).sum(1, keepdim=True)  # [B, 1, 3, 2]
    return residuals - mode * net, net.squeeze(1).transpose(1, 2)

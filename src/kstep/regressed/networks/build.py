"""Configuration → model."""

from torch import nn

from kstep.config import ModelConfig
from kstep.errors import ConfigError
from kstep.regressed.networks.jump import JumpModel, RegressedJump
from kstep.regressed.networks.physics import JumpPhysics
from kstep.regressed.networks.propagator import Propagator
from kstep.regressed.networks.splitting import SplittingJump


def build_model(
    config: ModelConfig, physics: JumpPhysics, recompute_activations: bool = False
) -> JumpModel:
    """A jump model with fresh weights (seed torch first).

    Args:
        config: architecture.
        physics: stride, scales and caps.
        recompute_activations: save memory in training (torchmdnet_et only).

    Raises ConfigError when hidden_channels is not a multiple of num_heads (torchmdnet_et).
    """
    if config.arch == "splitting":
        return SplittingJump(config, physics)
    outputs = 3 if config.use_force_head else 2
    if config.arch == "propagator":
        return RegressedJump(config, physics, Propagator(config, outputs))
    return RegressedJump(config, physics, _transformer(config, outputs, recompute_activations))


def _transformer(config: ModelConfig, outputs: int, recompute_activations: bool) -> nn.Module:
    # Imported on demand: TorchMD-Net takes seconds to import.
    from kstep.regressed.networks.equivariant_transformer import EquivariantTransformer

    if config.hidden_channels % config.num_heads:
        raise ConfigError(
            f"model.hidden_channels={config.hidden_channels} is not a multiple of "
            f"model.num_heads={config.num_heads}: choose another of the two."
        )
    return EquivariantTransformer(config, outputs, recompute_activations)

"""TorchMD-Net's Equivariant Transformer, given velocities and forces as vector inputs.

The layers are TorchMD-Net's own (Thölke & De Fabritiis 2022). Two things differ from its energy
model. Its vector features start at zero; here they start as linear maps of the scaled velocity
and force: 2 vectors → `vec_channels` → `hidden_channels`, without bias so that they rotate. And
the neighbour list comes from the padded batch, so that no cap on the number of neighbours can
bite. TorchMD-Net works in Å; Å exist in this module only.
"""

import torch
import warp
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kstep.config import ModelConfig
from kstep.regressed.networks.jump import NetworkInput
from kstep.surrogates.force_field_like.chemistry import MAX_ATOMIC_NUMBER
from kstep.units import ANGSTROM_PER_NM

warp.config.log_level = warp.LOG_ERROR  # it greets on standard output when first imported

from torchmdnet.models.torchmd_et import TorchMD_ET  # noqa: E402
from torchmdnet.models.utils import GatedEquivariantBlock  # noqa: E402


class EquivariantTransformer(nn.Module):
    """The network of `arch: torchmdnet_et`.

    Args:
        config: hidden_channels, vec_channels, num_layers, num_heads, cutoff, basis.
        outputs: vectors per atom to return.
        recompute: keep no activations of the layers; compute them again in the backward pass.
    """

    def __init__(self, config: ModelConfig, outputs: int, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        hidden = config.hidden_channels
        self.body = TorchMD_ET(
            hidden_channels=hidden,
            num_layers=config.num_layers,
            num_rbf=config.rbf_size,
            num_heads=config.num_heads,
            cutoff_upper=config.cutoff_nm * ANGSTROM_PER_NM,
            max_z=MAX_ATOMIC_NUMBER + 1,
        )
        self.lift = nn.Sequential(
            nn.Linear(2, config.vec_channels, bias=False),
            nn.Linear(config.vec_channels, hidden, bias=False),
        )
        last = GatedEquivariantBlock(hidden, outputs)
        nn.init.zeros_(last.vec2_proj.weight)  # the untrained network predicts nothing
        self.heads = nn.ModuleList((GatedEquivariantBlock(hidden, hidden), last))

    def forward(self, inputs: NetworkInput) -> Float[Tensor, "B N 3 outputs"]:
        """Residual vectors in units of their scales."""
        species = inputs.species[inputs.mask]
        vec: Tensor = self.lift(inputs.vectors[inputs.mask])  # [atoms, 3, H]
        scalars, vec = self.represent(species, vec, inputs)
        for head in self.heads:
            scalars, vec = head(scalars, vec)
        padded = vec.new_zeros(*inputs.mask.shape, 3, vec.shape[-1])
        padded[inputs.mask] = vec
        return padded

    def represent(
        self, species: Int[Tensor, " A"], vec: Float[Tensor, "A 3 H"], inputs: NetworkInput
    ) -> tuple[Float[Tensor, "A H"], Float[Tensor, "A 3 H"]]:
        """Scalar and vector features of the atoms present, as `TorchMD_ET.forward` makes them."""
        edges, distance, direction = self.neighbours(inputs)
        basis = self.body.distance_expansion(distance)
        scalars = self.body.embedding(species)
        scalars = self.body.neighbor_embedding(species, scalars, edges, distance, basis)
        for layer in self.body.attention_layers:
            arguments = (scalars, vec, edges, distance, basis, direction)
            if self.recompute and torch.is_grad_enabled():
                more, more_vec = checkpoint(layer, *arguments, use_reentrant=False)
            else:
                more, more_vec = layer(*arguments)
            scalars, vec = scalars + more, vec + more_vec
        return self.body.out_norm(scalars), vec

    def neighbours(
        self, inputs: NetworkInput
    ) -> tuple[Int[Tensor, "2 E"], Float[Tensor, " E"], Float[Tensor, "E 3"]]:
        """Pairs within the cutoff, each atom with itself included.

        Returns source and target atom in the flat batch, distance in Å, and the unit vector
        from target to source (zero for an atom with itself).
        """
        x = inputs.x * ANGSTROM_PER_NM
        difference = x[:, None, :, :] - x[:, :, None, :]  # [B, target, source, 3]
        distance = difference.square().sum(-1).clamp_min(1e-12).sqrt()
        near = (distance < self.body.cutoff_upper) & inputs.mask[:, :, None]
        near = near & inputs.mask[:, None, :]
        batch, target, source = near.nonzero(as_tuple=True)
        flat = (inputs.mask.flatten().cumsum(0) - 1).view_as(inputs.mask)
        edges = torch.stack((flat[batch, source], flat[batch, target]))
        lengths = torch.where(source == target, 0.0, distance[near])
        return edges, lengths, difference[near] / distance[near][:, None]

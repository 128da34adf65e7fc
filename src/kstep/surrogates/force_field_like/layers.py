"""Small pieces that several networks are made of."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """A network with one hidden layer."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def last_layer(network: nn.Sequential) -> nn.Linear:
    """The last linear map of `two_layers`."""
    last = network[-1]
    assert isinstance(last, nn.Linear)
    return last


def silence(module: nn.Module) -> None:
    """Start a linear map at zero: the untrained network predicts nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)


def chosen_atoms(
    nodes: Float[Tensor, "B N H"], atoms: Int[Tensor, "B K n"]
) -> Float[Tensor, "B K n H"]:
    """Features of the atoms of every term."""
    batch = torch.arange(len(nodes), device=nodes.device)[:, None, None]
    return nodes[batch, atoms]

"""The operator network: a learned Hessian applied to the vectors it should act on.

Over a few vibration periods the map of a molecule is close to harmonic,
x' ≈ x + A(H) v + B(H) F with H the mass-weighted Hessian: a polynomial in a matrix made of
blocks a_ij 1 + b_ij u_ij u_ijᵀ acting on relative vectors. A few such matrices ("operators"),
with coefficients from invariants of the geometry, are applied by every layer, each with its
own mixing; the layers are linear in the vectors but for a gate. Much of the anharmonicity is
where the geometry goes meanwhile, so after a third of the layers a midpoint is predicted and
the operators of the others are made there.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kstep.config import ModelConfig
from kstep.model.jump import MAX_ATOMIC_NUMBER, NetworkInput, bend
from kstep.model.pairs import PairGeometry, Pairs

SOURCES = 4
"""Source vectors Σ_j c_ij u_ij at each geometry, mixed into the vector channels."""
ROUNDS = 2
"""Rounds of invariant message passing."""
FILTERS = 8
"""Filters of a round: functions of distance that weigh a neighbour."""
GAIN = 0.1
"""Size of a layer's first update: a dozen neighbours add up in it, and layers compound."""

MIDPOINT_NM = 0.05
"""Largest distance of the predicted midpoint from free flight, nm: keeps atoms apart."""
REFERENCE_ROOT_MASS = 2.0
"""√Da: puts the mobilities 1/√m of hydrogen (2) and carbon (0.6) around one."""


class Invariants(nn.Module):
    """Species and distances → scalar features of atoms and of pairs."""

    def __init__(self, hidden: int, rbf_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, hidden, padding_idx=0)
        self.filters = nn.ModuleList(
            nn.Linear(rbf_size, FILTERS, bias=False) for _ in range(ROUNDS)
        )
        self.updates = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden * (FILTERS + 1), hidden), nn.SiLU(), nn.Linear(hidden, hidden)
            )
            for _ in range(ROUNDS)
        )
        self.sender = nn.Linear(hidden, hidden, bias=False)
        self.receiver = nn.Linear(hidden, hidden)
        self.radial = nn.Linear(rbf_size, hidden, bias=False)

    def forward(
        self, species: Tensor, pairs: Pairs
    ) -> tuple[Float[Tensor, "B N H"], Float[Tensor, "B N N H"]]:
        """Features of atoms, and of pairs multiplied by the cutoff envelope."""
        nodes: Tensor = self.embedding(species)
        n_batch, n_atoms, hidden = nodes.shape
        for filters, update in zip(self.filters, self.updates, strict=True):
            weights = filters(pairs.basis).transpose(2, 3).reshape(n_batch, -1, n_atoms)
            messages = torch.bmm(weights, nodes).view(n_batch, n_atoms, FILTERS * hidden)
            nodes = nodes + update(torch.cat((nodes, messages), dim=-1))
        summed = self.radial(pairs.basis) + self.sender(nodes)[:, None]
        summed = summed + self.receiver(nodes)[:, :, None]
        return nodes, nn.functional.silu(summed) * pairs.envelope[..., None]


@dataclass(frozen=True, eq=False)
class Operators:
    """What the layers apply, at one geometry.

    Attributes:
        isotropic: blocks a_ij, with minus their row sum on the diagonal so that they act on
            relative vectors [B, N, P, N].
        projected: blocks b_ij u_ij, still to meet u_ij · vec [B·N, 3·P, N].
        sources: Σ_j c_ij u_ij [B, N, 3, Q].
        unit: directions u_ij [B·N, N, 3].
    """

    isotropic: Float[Tensor, "B N P N"]
    projected: Float[Tensor, "BN P3 N"]
    sources: Float[Tensor, "B N 3 Q"]
    unit: Float[Tensor, "BN N 3"]


class OperatorHead(nn.Module):
    """Pair features → `Operators`: all coefficients from one matrix product."""

    def __init__(self, hidden: int, operators: int) -> None:
        super().__init__()
        self.operators = operators
        rows = 2 * operators + SOURCES
        self.weight = nn.Parameter(torch.randn(rows, hidden) / math.sqrt(hidden))

    def forward(self, pairs: Pairs, features: Float[Tensor, "B N N H"]) -> Operators:
        """Coefficients of all pairs, assembled."""
        n_batch, n_atoms = features.shape[:2]
        rows = torch.matmul(self.weight, features.flatten(0, 1).transpose(1, 2))  # [B·N, ·, N]
        isotropic = rows[:, : self.operators].reshape(n_batch, n_atoms, self.operators, n_atoms)
        diagonal = torch.eye(n_atoms, dtype=rows.dtype, device=rows.device)[:, None, :]
        unit = pairs.unit.flatten(0, 1)
        along = unit.transpose(1, 2)[:, :, None, :]  # [B·N, 3, 1, N]
        projected = along * rows[:, None, self.operators : 2 * self.operators]
        sources = torch.bmm(rows[:, 2 * self.operators :], unit).transpose(1, 2)
        return Operators(
            isotropic=isotropic - diagonal * isotropic.sum(-1, keepdim=True),
            projected=projected.flatten(1, 2),
            sources=sources.reshape(n_batch, n_atoms, 3, SOURCES),
            unit=unit,
        )


class OperatorLayer(nn.Module):
    """vec ← vec + Σ_p (M_p vec) W_p + sources, then a gate on invariants of the node."""

    def __init__(self, hidden: int, channels: int, operators: int, depth: int) -> None:
        super().__init__()
        self.gain = GAIN / math.sqrt(depth)
        scale = 1.0 / math.sqrt(operators * channels)
        self.mix = nn.Parameter(torch.randn(operators * channels, channels) * scale)
        self.source = nn.Parameter(torch.randn(SOURCES, channels) * scale)
        self.gate = nn.Sequential(
            nn.Linear(hidden + channels, hidden), nn.SiLU(), nn.Linear(hidden, channels)
        )
        _silence(self.gate[-1])

    def forward(
        self,
        vec: Float[Tensor, "B N 3 C"],
        nodes: Float[Tensor, "B N H"],
        mobility: Float[Tensor, "B N 1 1"],
        operators: Operators,
    ) -> Float[Tensor, "B N 3 C"]:
        """One application of the layer's operators."""
        n_batch, n_atoms, _, channels = vec.shape
        motion = vec * mobility
        # u_ij · vec_i for all pairs; u_ij = −u_ji makes the relative component a sum.
        along = torch.bmm(operators.unit, motion.flatten(0, 1))
        along = along.view(n_batch, n_atoms, n_atoms, channels)
        relative = (along + along.transpose(1, 2)).flatten(0, 1)  # [B·N, j, C]
        pulled = torch.bmm(operators.projected, relative).view(n_batch, n_atoms, 3, -1, channels)
        stirred = torch.bmm(operators.isotropic.flatten(1, 2), motion.flatten(2, 3))
        stirred = stirred.view(n_batch, n_atoms, -1, 3, channels).transpose(2, 3)
        mixed = (pulled + stirred).flatten(3, 4) @ self.mix
        pushed = operators.sources @ self.source
        vec = vec + (mixed + pushed) * (mobility * self.gain)
        norms = vec.square().sum(2).add(1e-6).sqrt()
        gate: Tensor = self.gate(torch.cat((nodes, norms), dim=-1))
        return vec * (1.0 + torch.tanh(gate)[:, :, None, :])


class Propagator(nn.Module):
    """The network of `arch: propagator`.

    Args:
        config: hidden_channels, vec_channels, num_layers, num_operators, cutoff, basis.
        outputs: vectors per atom to return.
    """

    def __init__(self, config: ModelConfig, outputs: int) -> None:
        super().__init__()
        hidden, channels = config.hidden_channels, config.vec_channels
        depth, operators = config.num_layers, config.num_operators
        self.geometry = PairGeometry(config.cutoff_nm, config.rbf_size)
        self.invariants = Invariants(hidden, config.rbf_size)
        self.at_start = OperatorHead(hidden, operators)
        self.at_midpoint = OperatorHead(hidden, operators)
        layers = [OperatorLayer(hidden, channels, operators, depth) for _ in range(depth)]
        self.before = nn.ModuleList(layers[: depth // 3])
        self.after = nn.ModuleList(layers[depth // 3 :])
        self.lift = nn.Linear(2, channels, bias=False)
        self.emphasis = nn.Linear(hidden, channels)
        self.midpoint = nn.Linear(channels, 1, bias=False)
        self.readout = nn.Linear(channels, outputs, bias=False)
        _silence(self.midpoint)
        _silence(self.readout)

    def forward(self, inputs: NetworkInput) -> Float[Tensor, "B N 3 outputs"]:
        """Residual vectors in units of their scales."""
        mobility = (inputs.inverse_root_mass * REFERENCE_ROOT_MASS)[..., None]
        pairs = self.geometry(inputs.x, inputs.mask)
        nodes, features = self.invariants(inputs.species, pairs)
        operators = self.at_start(pairs, features)
        vec = self.lift(inputs.vectors) * (1.0 + self.emphasis(nodes))[:, :, None, :]
        for layer in self.before:
            vec = layer(vec, nodes, mobility, operators)
        shift = self.midpoint(vec).squeeze(-1) * inputs.residual_unit
        limit = torch.full_like(inputs.residual_unit, MIDPOINT_NM)
        midpoint = inputs.x + 0.5 * inputs.flight + bend(shift, limit)
        pairs = self.geometry(midpoint, inputs.mask)
        nodes, features = self.invariants(inputs.species, pairs)
        operators = self.at_midpoint(pairs, features)
        for layer in self.after:
            vec = layer(vec, nodes, mobility, operators)
        outputs: Tensor = self.readout(vec)
        return outputs


def _silence(module: nn.Module) -> None:
    """Start a linear map at zero: the untrained network predicts nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)

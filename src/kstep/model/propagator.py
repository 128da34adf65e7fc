"""The operator network: a learned Hessian applied to the vectors it should act on.

Over a few vibration periods the map of a molecule is close to harmonic,
x' ≈ x + A(H) v + B(H) F with H the mass-weighted Hessian: a polynomial in a matrix made of
blocks a_ij 1 + b_ij u_ij u_ijᵀ acting on relative vectors. A layer therefore is linear in the
vectors; its coefficients come from invariants of the geometry. Half of the anharmonicity is
where the geometry goes meanwhile, so after the first layers a midpoint is predicted and the
coefficients of the others are evaluated there.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kstep.config import ModelConfig
from kstep.model.jump import MAX_ATOMIC_NUMBER, NetworkInput
from kstep.model.pairs import PairGeometry, Pairs

SOURCES = 4
"""Source vectors Σ_j c_ij u_ij per layer, mixed into the vector channels."""
ROUNDS = 2
"""Rounds of invariant message passing."""
FILTERS = 8
"""Filters of a round: functions of distance that weigh a neighbour."""
GAIN = 0.1
"""Size of a layer's first update: a dozen neighbours add up in it, and layers compound."""


class Invariants(nn.Module):
    """Species and distances → scalar features of atoms and of pairs."""

    def __init__(self, hidden: int, rbf_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, hidden, padding_idx=0)
        self.filters = nn.ModuleList(nn.Linear(rbf_size, FILTERS, bias=False) for _ in range(ROUNDS))
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


class Coefficients(nn.Module):
    """Pair features → operators and sources of several layers, in one matrix product."""

    def __init__(self, hidden: int, layers: int, operators: int) -> None:
        super().__init__()
        self.sizes = [layers * operators, layers * operators, layers * SOURCES]
        self.layers, self.operators = layers, operators
        self.weight = nn.Parameter(torch.randn(sum(self.sizes), hidden) / math.sqrt(hidden))

    def forward(
        self, pairs: Pairs, features: Float[Tensor, "B N N H"]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Per layer: isotropic blocks [B, N, P, N], projected [B·N, 3·P, N], sources [B·N, 3, Q].

        The isotropic blocks have minus their row sum on the diagonal: they act on relative
        vectors. The projected ones are multiplied by the direction u_ij already.
        """
        n_batch, n_atoms = features.shape[:2]
        flat = features.flatten(0, 1).transpose(1, 2)  # [B·N, H, N]
        rows = torch.matmul(self.weight, flat)  # [B·N, coefficients, N]
        isotropic, projected, sources = rows.split(self.sizes, dim=1)
        isotropic = isotropic.reshape(n_batch, n_atoms, self.layers * self.operators, n_atoms)
        diagonal = torch.eye(n_atoms, dtype=rows.dtype, device=rows.device)[:, None, :]
        isotropic = isotropic - diagonal * isotropic.sum(-1, keepdim=True)
        unit = pairs.unit.flatten(0, 1)  # [B·N, j, 3]
        emitted = torch.bmm(sources, unit).transpose(1, 2)  # [B·N, 3, layers·Q]
        axes = unit.transpose(1, 2)[:, :, None, :]  # [B·N, 3, 1, j]
        directed = [
            (axes * part[:, None]).flatten(1, 2)
            for part in projected.split(self.operators, dim=1)
        ]
        return (
            list(isotropic.split(self.operators, dim=2)),
            directed,
            list(emitted.split(SOURCES, dim=2)),
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
        nn.init.zeros_(self.gate[-1].weight)
        nn.init.zeros_(self.gate[-1].bias)

    def forward(
        self,
        vec: Float[Tensor, "B N 3 C"],
        nodes: Float[Tensor, "B N H"],
        mobility: Float[Tensor, "B N 1 1"],
        pairs: Pairs,
        isotropic: Float[Tensor, "B N P N"],
        directed: Float[Tensor, "BN 3P N"],
        emitted: Float[Tensor, "BN 3 Q"],
    ) -> Float[Tensor, "B N 3 C"]:
        """One application of the layer's operators."""
        n_batch, n_atoms, _, channels = vec.shape
        motion = vec * mobility
        # u_ij · vec_i for all pairs; u_ij = −u_ji makes the relative component a sum.
        along = torch.bmm(pairs.unit.flatten(0, 1), motion.flatten(0, 1))
        along = along.view(n_batch, n_atoms, n_atoms, channels)
        relative = (along + along.transpose(1, 2)).flatten(0, 1)  # [B·N, j, C]
        pulled = torch.bmm(directed, relative).view(n_batch, n_atoms, 3, -1, channels)
        stirred = torch.bmm(isotropic.flatten(1, 2), motion.flatten(2, 3))
        stirred = stirred.view(n_batch, n_atoms, -1, 3, channels).transpose(2, 3)
        mixed = (pulled + stirred).flatten(3, 4) @ self.mix
        emitted = emitted.view(n_batch, n_atoms, 3, SOURCES) @ self.source
        vec = vec + (mixed + emitted) * (mobility * self.gain)
        norms = vec.square().sum(2).add(1e-6).sqrt()
        gate: Tensor = self.gate(torch.cat((nodes, norms), dim=-1))
        return vec * (1.0 + gate[:, :, None, :])


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
        self.before = max(1, depth // 3) if depth > 1 else 0
        self.geometry = PairGeometry(config.cutoff_nm, config.rbf_size)
        self.invariants = Invariants(hidden, config.rbf_size)
        self.start = Coefficients(hidden, self.before, operators)
        self.midway = Coefficients(hidden, depth - self.before, operators)
        self.layers = nn.ModuleList(
            OperatorLayer(hidden, channels, operators, depth) for _ in range(depth)
        )
        self.lift = nn.Linear(2, channels, bias=False)
        self.emphasis = nn.Linear(hidden, channels)
        self.midpoint = nn.Linear(channels, 1, bias=False)
        self.readout = nn.Linear(channels, outputs, bias=False)
        nn.init.zeros_(self.midpoint.weight)
        nn.init.zeros_(self.readout.weight)

    def forward(self, inputs: NetworkInput) -> Float[Tensor, "B N 3 outputs"]:
        """Residual vectors in units of their scales."""
        mobility = (inputs.inverse_root_mass * REFERENCE_ROOT_MASS)[..., None]
        pairs = self.geometry(inputs.x, inputs.mask)
        nodes, features = self.invariants(inputs.species, pairs)
        vec = self.lift(inputs.vectors) * (1.0 + self.emphasis(nodes))[:, :, None, :]
        vec = self._apply(slice(0, self.before), self.start, vec, nodes, features, mobility, pairs)
        shift = self.midpoint(vec).squeeze(-1) * inputs.residual_unit
        pairs = self.geometry(inputs.x + 0.5 * inputs.flight + shift, inputs.mask)
        nodes, features = self.invariants(inputs.species, pairs)
        late = slice(self.before, None)
        vec = self._apply(late, self.midway, vec, nodes, features, mobility, pairs)
        outputs: Tensor = self.readout(vec)
        return outputs

    def _apply(
        self,
        which: slice,
        coefficients: Coefficients,
        vec: Tensor,
        nodes: Tensor,
        features: Tensor,
        mobility: Tensor,
        pairs: Pairs,
    ) -> Tensor:
        blocks = coefficients(pairs, features)
        for layer, *block in zip(self.layers[which], *blocks, strict=True):
            vec = layer(vec, nodes, mobility, pairs, *block)
        return vec


REFERENCE_ROOT_MASS = 2.0
"""√Da: puts the mobilities 1/√m of hydrogen (2) and carbon (0.6) around one."""

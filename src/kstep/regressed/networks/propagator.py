"""The operator network: a learned Hessian applied to the vectors it should act on.

Over a few vibration periods the map of a molecule is close to harmonic,
x' ≈ x + A(H) v + B(H) F with H the mass-weighted Hessian: a polynomial in H. The layers apply
matrices of the kinds that H is made of (`networks.operators`), each with its own mixing, and
are linear in the vectors but for a gate. Much of the anharmonicity is where the geometry goes
meanwhile, so the matrices are made anew at points further along the path, predicted from the
layers before.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.config import ModelConfig
from kstep.regressed.networks.internal import internal_geometry
from kstep.regressed.networks.jump import NetworkInput, bend
from kstep.regressed.networks.operators import InternalHead, InternalLayer, PairHead, PairLayer
from kstep.regressed.networks.pairs import PairGeometry, Pairs
from kstep.surrogates.force_field_like.chemistry import MAX_ATOMIC_NUMBER, typical
from kstep.surrogates.force_field_like.layers import last_layer, silence, two_layers
from kstep.surrogates.force_field_like.terms import TermBatch

ROUNDS = 2
"""Rounds of invariant message passing."""
FILTERS = 8
"""Filters of a round: functions of distance that weigh a neighbour."""

WAYPOINT_NM = 0.05
"""Largest distance of a predicted point from free flight, nm: keeps atoms apart."""
LARGEST = 30.0
"""Vectors stay shorter than this, and are of order one: no state can make a jump explode."""
REFERENCE_ROOT_MASS = 2.0
"""√Da: puts the mobilities 1/√m of hydrogen (2) and carbon (0.6) around one."""


class Invariants(nn.Module):
    """Elements, charges, van der Waals parameters and distances → features of atoms and pairs."""

    def __init__(self, hidden: int, rbf_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, hidden, padding_idx=0)
        self.nonbonded = nn.Linear(3, hidden)
        self.filters = nn.ModuleList(
            nn.Linear(rbf_size, FILTERS, bias=False) for _ in range(ROUNDS)
        )
        self.updates = nn.ModuleList(
            two_layers(hidden * (FILTERS + 1), hidden, hidden) for _ in range(ROUNDS)
        )
        self.sender = nn.Linear(hidden, hidden, bias=False)
        self.receiver = nn.Linear(hidden, hidden)
        self.radial = nn.Linear(rbf_size, hidden, bias=False)
        self.norm = nn.RMSNorm(hidden)

    def atoms(
        self, species: Int[Tensor, "B N"], terms: TermBatch, pairs: Pairs
    ) -> Float[Tensor, "B N H"]:
        """What every atom is, in its surroundings."""
        nodes: Tensor = self.embedding(species) + self.nonbonded(typical(terms.nonbonded))
        nodes = nodes * (species > 0)[..., None]
        n_batch, n_atoms, hidden = nodes.shape
        for filters, update in zip(self.filters, self.updates, strict=True):
            weights = filters(pairs.basis).transpose(2, 3).reshape(n_batch, -1, n_atoms)
            messages = torch.bmm(weights, nodes).view(n_batch, n_atoms, FILTERS * hidden)
            nodes = self.norm(nodes + update(torch.cat((nodes, messages), dim=-1)))
        return nodes

    def pairs(self, nodes: Float[Tensor, "B N H"], pairs: Pairs) -> Float[Tensor, "B N N H"]:
        """What every pair of atoms is at its distance, times the cutoff envelope."""
        summed = self.radial(pairs.basis) + self.sender(nodes)[:, None]
        summed = summed + self.receiver(nodes)[:, :, None]
        return nn.functional.silu(summed) * pairs.envelope[..., None]


class Gate(nn.Module):
    """Scales the channels of every atom by invariants of the atom: what is not linear."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        self.network = two_layers(hidden + channels, hidden, channels)
        silence(last_layer(self.network))

    def forward(
        self, vec: Float[Tensor, "B N 3 C"], nodes: Float[Tensor, "B N H"]
    ) -> Float[Tensor, "B N 3 C"]:
        """Factors between 0 and 2; 1 before training."""
        squares = vec.square().sum(2)
        norms = squares.add(1e-6).sqrt()
        gate: Tensor = self.network(torch.cat((nodes, norms), dim=-1))
        factor = (1.0 + torch.tanh(gate)) * (1.0 + squares / LARGEST**2).rsqrt()
        return vec * factor[:, :, None, :]


class Passage(nn.Module):
    """The layers at one geometry: its pairs once, its internal coordinates `layers` times."""

    def __init__(self, config: ModelConfig, layers: int) -> None:
        super().__init__()
        hidden, channels = config.hidden_channels, config.vec_channels
        depth, operators = config.num_layers, config.num_operators
        self.pair_head = PairHead(hidden, operators)
        self.internal_head = InternalHead(hidden, operators)
        self.pairs = PairLayer(channels, operators, depth)
        self.internals = nn.ModuleList(
            InternalLayer(channels, operators, depth) for _ in range(layers)
        )
        self.gates = nn.ModuleList(Gate(hidden, channels) for _ in range(layers + 1))

    def forward(
        self,
        vec: Float[Tensor, "B N 3 C"],
        x: Float[Tensor, "B N 3"],
        nodes: Float[Tensor, "B N H"],
        pairs: Pairs,
        features: Float[Tensor, "B N N H"],
        inputs: NetworkInput,
    ) -> Float[Tensor, "B N 3 C"]:
        """Vectors after the layers of this geometry."""
        mobility = (inputs.inverse_root_mass * REFERENCE_ROOT_MASS)[..., None]
        vec = self.gates[0](self.pairs(vec, mobility, self.pair_head(pairs, features)), nodes)
        operators = self.internal_head(nodes, internal_geometry(x, inputs.terms))
        for layer, gate in zip(self.internals, self.gates[1:], strict=True):
            vec = gate(layer(vec, mobility, operators), nodes)
        return vec


class Propagator(nn.Module):
    """The network of `arch: propagator`.

    Args:
        config: hidden_channels, vec_channels, num_layers, num_geometries, num_operators, cutoff,
            basis.
        outputs: vectors per atom to return.
    """

    def __init__(self, config: ModelConfig, outputs: int) -> None:
        super().__init__()
        hidden, channels = config.hidden_channels, config.vec_channels
        self.geometry = PairGeometry(config.cutoff_nm, config.rbf_size)
        self.invariants = Invariants(hidden, config.rbf_size)
        shares = share_layers(config.num_layers, config.num_geometries)
        self.passages = nn.ModuleList(Passage(config, layers) for layers in shares)
        self.waypoints = nn.ModuleList(nn.Linear(channels, 1, bias=False) for _ in shares[1:])
        self.lift = nn.Linear(2, channels, bias=False)
        self.emphasis = nn.Linear(hidden, channels)
        self.readout = nn.Linear(channels, outputs, bias=False)
        for part in (*self.waypoints, self.readout):
            silence(part)

    def forward(self, inputs: NetworkInput) -> Float[Tensor, "B N 3 outputs"]:
        """Residual vectors in units of their scales."""
        limit = torch.full_like(inputs.residual_unit, WAYPOINT_NM)
        x = inputs.x
        pairs = self.geometry(x, inputs.mask)
        nodes = self.invariants.atoms(inputs.species, inputs.terms, pairs)
        vec = self.lift(inputs.vectors) * (1.0 + self.emphasis(nodes))[:, :, None, :]
        for number, passage in enumerate(self.passages):
            if number > 0:
                shift = self.waypoints[number - 1](vec).squeeze(-1) * inputs.residual_unit
                x = inputs.x + inputs.flight * (number / len(self.passages)) + bend(shift, limit)
                pairs = self.geometry(x, inputs.mask)
            features = self.invariants.pairs(nodes, pairs)
            vec = passage(vec, x, nodes, pairs, features, inputs)
        outputs: Tensor = self.readout(vec)
        return outputs


def share_layers(layers: int, geometries: int) -> list[int]:
    """Layers at each geometry: fewer at the start, which only has to find the way."""
    if geometries == 1:
        return [layers]
    first = max(1, layers // (geometries + 1))
    rest, more = divmod(layers - first, geometries - 1)
    return [first, *(rest + (number < more) for number in range(geometries - 1))]

"""What the propagator's layers apply to the vectors of the atoms: matrices made of geometry.

Over a few vibration periods the map of a molecule is close to harmonic, a polynomial in the
mass-weighted Hessian. The layers are given two families of matrices that a Hessian is made of,
with coefficients that are learned functions of the geometry's invariants:

- `InternalOperators`, Σ_t c_t b_t b_tᵀ over internal coordinates (`networks.internal`): what
  bonds, angles and torsions do;
- `PairOperators`, blocks a_ij 1 + b_ij u_ij u_ijᵀ on relative vectors of all pairs: what charges,
  van der Waals and solvent do.

Each also has sources, vectors of its own for what does not vanish with the vectors put in.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kstep.regressed.networks.internal import KINDS, InternalGeometry
from kstep.regressed.networks.pairs import Pairs
from kstep.surrogates.force_field_like.layers import chosen_atoms

SOURCES = 2
"""Source vectors of either family, mixed into the vector channels."""
GAIN = 0.1
"""Size of a layer's first update: a dozen neighbours add up in it, and layers compound."""


class OperatorLayer(nn.Module):
    """What layers of either family learn: how operators and sources mix into the channels.

    Args:
        channels: vectors per atom.
        operators: matrices applied.
        depth: layers of the whole network, which share one gain.
    """

    def __init__(self, channels: int, operators: int, depth: int) -> None:
        super().__init__()
        self.gain = GAIN / math.sqrt(depth)
        scale = 1.0 / math.sqrt(operators * channels)
        self.mix = nn.Parameter(torch.randn(operators * channels, channels) * scale)
        self.source = nn.Parameter(torch.randn(SOURCES, channels) * scale)


@dataclass(frozen=True, eq=False)
class InternalOperators:
    """The internal coordinates of one geometry with their coefficients.

    Attributes:
        rows: b_t [B, T, 3N].
        stiffness: c_t of every operator [B, T, P].
        sources: coefficients of b_t itself [B, T, S].
    """

    rows: Float[Tensor, "B T N3"]
    stiffness: Float[Tensor, "B T P"]
    sources: Float[Tensor, "B T S"]


class InternalHead(nn.Module):
    """Node features and internal coordinates → `InternalOperators`."""

    def __init__(self, hidden: int, operators: int) -> None:
        super().__init__()
        self.operators = operators
        self.kind = nn.Embedding(KINDS, hidden)
        self.at_ends = nn.Linear(hidden, hidden, bias=False)
        self.at_middles = nn.Linear(hidden, hidden, bias=False)
        self.state = nn.Linear(3, hidden)
        self.coefficients = nn.Linear(hidden, operators + SOURCES)

    def forward(
        self, nodes: Float[Tensor, "B N H"], geometry: InternalGeometry
    ) -> InternalOperators:
        """Coefficients of all internal coordinates; equal for a coordinate read backwards."""
        ends = chosen_atoms(self.at_ends(nodes), geometry.ends).sum(2)
        middles = chosen_atoms(self.at_middles(nodes), geometry.middles).sum(2)
        features = self.kind(geometry.kind) + ends + middles + self.state(geometry.state)
        coefficients: Tensor = self.coefficients(nn.functional.silu(features))
        return InternalOperators(
            rows=geometry.rows,
            stiffness=coefficients[..., : self.operators],
            sources=coefficients[..., self.operators :] * geometry.sense[..., None],
        )


class InternalLayer(OperatorLayer):
    """vec ← vec + Σ_t b_t (Σ_p c_tp (b_tᵀ vec) W_p + sources)."""

    def forward(
        self,
        vec: Float[Tensor, "B N 3 C"],
        mobility: Float[Tensor, "B N 1 1"],
        operators: InternalOperators,
    ) -> Float[Tensor, "B N 3 C"]:
        """One application; the mobility on both sides makes it mass-weighted."""
        rows = operators.rows
        strain = torch.bmm(rows, (vec * mobility).flatten(1, 2))  # [B, T, C]
        pull = (operators.stiffness[..., None] * strain[:, :, None]).flatten(2) @ self.mix
        pull = pull + operators.sources @ self.source
        return vec + torch.bmm(rows.transpose(1, 2), pull).view(vec.shape) * (mobility * self.gain)


@dataclass(frozen=True, eq=False)
class PairOperators:
    """Blocks of all pairs at one geometry.

    Attributes:
        isotropic: blocks a_ij, with minus their row sum on the diagonal so that they act on
            relative vectors [B, N, P, N].
        projected: blocks b_ij u_ij, still to meet u_ij · vec [B·N, 3·P, N].
        sources: Σ_j c_ij u_ij [B, N, 3, S].
        unit: directions u_ij [B·N, N, 3].
    """

    isotropic: Float[Tensor, "B N P N"]
    projected: Float[Tensor, "BN P3 N"]
    sources: Float[Tensor, "B N 3 S"]
    unit: Float[Tensor, "BN N 3"]


class PairHead(nn.Module):
    """Pair features → `PairOperators`: all coefficients from one matrix product."""

    def __init__(self, hidden: int, operators: int) -> None:
        super().__init__()
        self.operators = operators
        rows = 2 * operators + SOURCES
        self.weight = nn.Parameter(torch.randn(rows, hidden) / math.sqrt(hidden))

    def forward(self, pairs: Pairs, features: Float[Tensor, "B N N H"]) -> PairOperators:
        """Coefficients of all pairs, assembled."""
        n_batch, n_atoms = features.shape[:2]
        rows = torch.matmul(self.weight, features.flatten(0, 1).transpose(1, 2))  # [B·N, ·, N]
        isotropic = rows[:, : self.operators].reshape(n_batch, n_atoms, self.operators, n_atoms)
        diagonal = torch.eye(n_atoms, dtype=rows.dtype, device=rows.device)[:, None, :]
        unit = pairs.unit.flatten(0, 1)
        along = unit.transpose(1, 2)[:, :, None, :]  # [B·N, 3, 1, N]
        projected = along * rows[:, None, self.operators : 2 * self.operators]
        sources = torch.bmm(rows[:, 2 * self.operators :], unit).transpose(1, 2)
        return PairOperators(
            isotropic=isotropic - diagonal * isotropic.sum(-1, keepdim=True),
            projected=projected.flatten(1, 2),
            sources=sources.reshape(n_batch, n_atoms, 3, SOURCES),
            unit=unit,
        )


class PairLayer(OperatorLayer):
    """vec ← vec + Σ_p (M_p vec) W_p + sources, M_p the operators of all pairs."""

    def forward(
        self,
        vec: Float[Tensor, "B N 3 C"],
        mobility: Float[Tensor, "B N 1 1"],
        operators: PairOperators,
    ) -> Float[Tensor, "B N 3 C"]:
        """One application; the mobility on both sides makes it mass-weighted."""
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
        return vec + (mixed + pushed) * (mobility * self.gain)

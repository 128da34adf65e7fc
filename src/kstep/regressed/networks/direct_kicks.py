"""Kicks that are not the gradient of an energy: vectors of their own, made of the geometry.

G = Σ_t s_t b_t + Σ_j c_ij u_ij: the sources of the operator network (`networks.operators`), with
coefficients that see the whole surroundings of an atom. With c_ij = c_ji there is no net force and
no torque. A jump made of such kicks is reversible and keeps volume, but does work.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.config import ModelConfig
from kstep.regressed.networks.internal import internal_geometry
from kstep.regressed.networks.operators import InternalHead
from kstep.regressed.networks.pairs import PairGeometry
from kstep.regressed.networks.propagator import Invariants
from kstep.surrogates.force_field_like.layers import silence
from kstep.surrogates.force_field_like.potential import Force
from kstep.surrogates.force_field_like.terms import TermBatch

INTERNAL_UNIT, PAIR_UNIT = 1e3, 1e2
"""kJ/mol/nm of what the networks return."""


class DirectForce(nn.Module):
    """Positions → vectors; equivariant under rotations and reflections.

    Args:
        config: hidden_channels, rbf_size, cutoff_nm.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = config.hidden_channels
        self.geometry = PairGeometry(config.cutoff_nm, config.rbf_size)
        self.invariants = Invariants(hidden, config.rbf_size)
        self.internal = InternalHead(hidden, operators=0)
        self.pair = nn.Linear(hidden, 1, bias=False)
        for part in (self.internal.coefficients, self.pair):
            silence(part)

    def force_of(self, species: Int[Tensor, "B N"], terms: TermBatch) -> Force:
        """The vectors of some molecules, kJ/mol/nm, as a function of x."""
        typed = terms.to_dtype(self.pair.weight.dtype)
        return lambda x: self._force(x, species, typed)

    def _force(
        self, x: Float[Tensor, "B N 3"], species: Int[Tensor, "B N"], terms: TermBatch
    ) -> Float[Tensor, "B N 3"]:
        pairs = self.geometry(x, species > 0)
        nodes = self.invariants.atoms(species, terms, pairs)
        internal = self.internal(nodes, internal_geometry(x, terms))
        pull = internal.sources.sum(-1, keepdim=True)
        bonded = torch.bmm(internal.rows.transpose(1, 2), pull).view(x.shape)
        strength: Tensor = self.pair(self.invariants.pairs(nodes, pairs))
        pushed = ((strength + strength.transpose(1, 2)) * pairs.unit).sum(2)
        force: Tensor = INTERNAL_UNIT * bonded + PAIR_UNIT * pushed
        return force

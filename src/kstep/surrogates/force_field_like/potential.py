"""A learned potential: the energy whose gradient makes the kicks of `arch: splitting`.

U(x) = bonded terms (`bonded`) + pairs and surroundings (`nonbonded`), to which the strains of the
terms around an atom may belong (`strain`), all with coefficients that networks make of a molecule's
bonds and charges (`chemistry`).
They depend on the molecule alone, so that in a run they are made once, and every evaluation is as
cheap as a classical force field's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.config import ModelConfig
from kstep.surrogates.force_field_like.bonded import (
    Bonded,
    BondedParameters,
    bonded_energy,
    coordinates,
)
from kstep.surrogates.force_field_like.chemistry import Chemistry, bond_matrix
from kstep.surrogates.force_field_like.nonbonded import Nonbonded, NonbondedParameters
from kstep.surrogates.force_field_like.strain import Strain, StrainParameters, strains
from kstep.surrogates.force_field_like.terms import TermBatch

Force = Callable[[Tensor], Tensor]
"""Positions, nm [B, N, 3] → forces, kJ/mol/nm [B, N, 3], of certain molecules."""


@dataclass(frozen=True, eq=False)
class PotentialParameters:
    """What the potential knows of some molecules."""

    bonded: BondedParameters
    strain: StrainParameters | None
    nonbonded: NonbondedParameters


class LearnedPotential(nn.Module):
    """The potential; invariant under rotations, translations, reflections and permutations.

    Args:
        config: hidden_channels, rbf_size, strains.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = config.hidden_channels
        self.chemistry = Chemistry(hidden)
        self.bonded = Bonded(hidden)
        self.strain = Strain(hidden) if config.strains else None
        self.nonbonded = Nonbonded(hidden, config.rbf_size, config.strains)

    def parameters_of(self, species: Int[Tensor, "B N"], terms: TermBatch) -> PotentialParameters:
        """The coefficients of some molecules, of the type of the network's weights."""
        typed = terms.to_dtype(self.nonbonded.coulomb.dtype)
        bonded = bond_matrix(typed, species.shape[1])
        nodes = self.chemistry(species, typed, bonded)
        charges = typed.nonbonded[..., 0]
        return PotentialParameters(
            bonded=self.bonded(nodes, typed),
            strain=None if self.strain is None else self.strain(nodes, typed),
            nonbonded=self.nonbonded.parameters_of(nodes, species, charges, bonded),
        )

    def energy(
        self, x: Float[Tensor, "B N 3"], parameters: PotentialParameters
    ) -> Float[Tensor, " B"]:
        """U(x), kJ/mol."""
        here = coordinates(x, parameters.bonded)
        strain = None if parameters.strain is None else strains(here, parameters.strain)
        nonbonded: Tensor = self.nonbonded.energy(x, strain, parameters.nonbonded)
        return bonded_energy(here, parameters.bonded) + nonbonded

    def force_of(self, species: Int[Tensor, "B N"], terms: TermBatch) -> Force:
        """−∂U/∂x of some molecules as a function of x; differentiable itself."""
        parameters = self.parameters_of(species, terms)

        def total(x: Tensor) -> Tensor:
            return self.energy(x, parameters).sum()

        gradient = torch.func.grad(total)
        return lambda x: -gradient(x)

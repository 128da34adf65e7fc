"""The force of a learned potential, compiled: bonded terms, pairs and surroundings together."""

import copy
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int

from kstep.compiled.lanes import store
from kstep.compiled.machine import compiled
from kstep.compiled.propagation import register
from kstep.surrogates.force_field_like.kernel.bonded import add_bonded
from kstep.surrogates.force_field_like.kernel.energy import evaluate_energy
from kstep.surrogates.force_field_like.kernel.nonbonded import NonbondedScratch, add_nonbonded
from kstep.surrogates.force_field_like.kernel.strain import feel_strains, untwist
from kstep.surrogates.force_field_like.kernel.tables import (
    BondedTables,
    NonbondedTables,
    StrainTables,
    bonded_tables,
    nonbonded_tables,
    strain_tables,
)
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.system.force_field import Terms, pad_terms

Atoms = Float[np.ndarray, "N 3 L"]


class PotentialTables(NamedTuple):
    """The coefficients of one molecule."""

    bonded: BondedTables
    strain: StrainTables
    nonbonded: NonbondedTables


def potential_tables(
    learned: LearnedPotential, numbers: Int[np.ndarray, " N"], terms: Terms
) -> PotentialTables:
    """The coefficients for the molecule of these atoms and terms, made in float64."""
    batch = batch_terms(pad_terms([terms]), torch.float64)
    network = copy.deepcopy(learned).cpu().double().requires_grad_(False)
    species = torch.from_numpy(numbers.astype(np.int64))[None]
    parameters = network.parameters_of(species, batch)
    return PotentialTables(
        bonded_tables(parameters.bonded, batch),
        strain_tables(parameters.strain, batch),
        nonbonded_tables(network.nonbonded, parameters.nonbonded),
    )


@compiled
@no_type_check
def evaluate_force(
    x: Atoms, tables: PotentialTables, scratch: NonbondedScratch, force: Atoms
) -> None:
    """Put the force at x, nm, into `force`, kJ/mol/nm."""
    for atom in range(len(force)):
        for axis in range(3):
            store(force[atom, axis], 0.0)
    feel_strains(x, tables.bonded, tables.strain, scratch.around, scratch.twist)
    add_nonbonded(x, tables.nonbonded, scratch, force)
    untwist(scratch.around, scratch.twist)
    add_bonded(x, tables.bonded, tables.strain, scratch.around, force)


register(PotentialTables, evaluate_force, evaluate_energy)

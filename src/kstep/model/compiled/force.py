"""The force of a learned potential, compiled: bonded terms, pairs and surroundings together."""

import copy
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int

from kstep.force_field import Terms, pad_terms
from kstep.model.compiled.bonded import BondedScratch, add_bonded, make_bonded_scratch
from kstep.model.compiled.geometry import GeometryScratch, make_geometry_scratch, measure_terms
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.nonbonded import NonbondedScratch, add_nonbonded, make_nonbonded_scratch
from kstep.model.compiled.strain import feel_strains, take_back
from kstep.model.compiled.tables import (
    BondedTables,
    NonbondedTables,
    StrainTables,
    bonded_tables,
    nonbonded_tables,
    strain_tables,
)
from kstep.model.potential import LearnedPotential
from kstep.model.terms import batch_terms

Atoms = Float[np.ndarray, "N 3"]


class PotentialTables(NamedTuple):
    """The coefficients of one molecule."""

    bonded: BondedTables
    strain: StrainTables
    nonbonded: NonbondedTables


class PotentialScratch(NamedTuple):
    """Room for one geometry."""

    geometry: GeometryScratch
    bonded: BondedScratch
    nonbonded: NonbondedScratch


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


def make_potential_scratch(tables: PotentialTables) -> PotentialScratch:
    """Room for one molecule."""
    return PotentialScratch(
        make_geometry_scratch(tables.bonded),
        make_bonded_scratch(tables.bonded),
        make_nonbonded_scratch(tables.nonbonded),
    )


@compiled
@no_type_check
def evaluate_force(
    x: Atoms, tables: PotentialTables, scratch: PotentialScratch, force: Atoms
) -> None:
    """Put the force at x, nm, into `force`, kJ/mol/nm."""
    force[:] = 0.0
    measure_terms(x, tables.bonded, scratch.geometry)
    feel_strains(tables.bonded, tables.strain, scratch.geometry, scratch.nonbonded)
    add_nonbonded(x, tables.nonbonded, scratch.nonbonded, force)
    take_back(tables.bonded, tables.strain, scratch.geometry, scratch.nonbonded, scratch.bonded)
    add_bonded(tables.bonded, scratch.geometry, scratch.bonded, force)

"""A splitting's jump of one molecule, compiled."""

import copy
from typing import NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int

from kstep.force_field import Terms, pad_terms
from kstep.model.compiled.bonded import add_bonded
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.nonbonded import Scratch, add_nonbonded, make_scratch
from kstep.model.compiled.rigid import (
    RigidScratch,
    RigidTables,
    drift,
    make_rigid_scratch,
    measure,
    project,
    rigid_tables,
)
from kstep.model.compiled.strain import feel_strains
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
Replicas = Float[np.ndarray, "R N 3"]


class Composition(NamedTuple):
    """How a jump is composed (`kstep.model.splitting`).

    Attributes:
        drifts: S.
        step: duration h of a drift, ps.
        true_weight, learned_weight: w and e, of the true and the learned force in the kicks at
            both ends, ps.
    """

    drifts: int
    step: float
    true_weight: float
    learned_weight: float


class CompiledJump:
    """(x, v, F) → (x', v') before the true half of the closing kick, for replicas of a molecule.

    Args:
        learned: the potential whose force makes the kicks; its coefficients are made in float64.
        composition: of the jump.
        numbers: atomic numbers [N].
        masses: Da [N].
        terms: of the molecule's force field.
    """

    def __init__(
        self,
        learned: LearnedPotential,
        composition: Composition,
        numbers: Int[np.ndarray, " N"],
        masses: Float[np.ndarray, " N"],
        terms: Terms,
    ) -> None:
        batch = batch_terms(pad_terms([terms]), torch.float64)
        network = copy.deepcopy(learned).cpu().double().requires_grad_(False)
        species = torch.from_numpy(numbers.astype(np.int64))[None]
        parameters = network.parameters_of(species, batch)
        rigid = terms.bond_constants[:, 0] == 0
        self._composition = composition
        self._bonded = bonded_tables(parameters.bonded, batch)
        self._strain = strain_tables(parameters.strain, batch)
        self._nonbonded = nonbonded_tables(network.nonbonded, parameters.nonbonded)
        self._rigid = rigid_tables(terms.bonds[rigid], terms.bond_constants[rigid, 1], masses)
        self._scratch = make_scratch(self._nonbonded)
        self._rigid_scratch = make_rigid_scratch(self._rigid)

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """nm, nm/ps and kJ/mol/nm."""
        x, v, f = (np.array(array, dtype=np.float64, order="C") for array in (x, v, f))
        tables = (self._bonded, self._strain, self._nonbonded, self._rigid)
        scratch = (self._scratch, self._rigid_scratch)
        for replica in range(len(x)):
            _jump(x[replica], v[replica], f[replica], self._composition, *tables, *scratch)
        return x, v

    def force(self, x: Atoms) -> Atoms:
        """The learned force at x, nm; kJ/mol/nm."""
        force = np.empty(x.shape)
        at = np.array(x, dtype=np.float64, order="C")
        _learned_force(at, self._bonded, self._strain, self._nonbonded, self._scratch, force)
        return force


@compiled
@no_type_check
def _learned_force(x, bonded, strain, nonbonded, scratch, force):
    force[:] = 0.0
    feel_strains(x, bonded, strain, scratch)
    add_nonbonded(x, nonbonded, scratch, force)
    add_bonded(x, bonded, strain, scratch, force)


@compiled
@no_type_check
def _jump(
    x: Atoms,
    v: Atoms,
    f: Atoms,
    composition: Composition,
    bonded: BondedTables,
    strain: StrainTables,
    nonbonded: NonbondedTables,
    rigid: RigidTables,
    scratch: Scratch,
    rigid_scratch: RigidScratch,
) -> None:
    """The jump, in place; `f` comes out as the last learned force."""
    end_kick = abs(composition.learned_weight) > 1e-12
    measure(x, rigid, rigid_scratch)
    _kick(v, f, composition.true_weight, rigid)
    if end_kick:
        _learned_force(x, bonded, strain, nonbonded, scratch, f)
        _kick(v, f, composition.learned_weight, rigid)
    project(v, rigid, rigid_scratch)
    for number in range(composition.drifts):
        drift(x, v, composition.step, rigid, rigid_scratch)
        measure(x, rigid, rigid_scratch)
        last = number == composition.drifts - 1
        if not last or end_kick:
            _learned_force(x, bonded, strain, nonbonded, scratch, f)
            _kick(v, f, composition.learned_weight if last else composition.step, rigid)
        project(v, rigid, rigid_scratch)


@compiled
@no_type_check
def _kick(v, force, weight, rigid):
    for atom in range(len(v)):
        for axis in range(3):
            v[atom, axis] += weight * rigid.mobility[atom] * force[atom, axis]

"""A splitting's jump of one molecule, compiled."""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int

from kstep.force_field import Terms
from kstep.model.compiled.force import (
    PotentialScratch,
    PotentialTables,
    evaluate_force,
    make_potential_scratch,
    potential_tables,
)
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.rigid import (
    RigidScratch,
    RigidTables,
    drift,
    make_rigid_scratch,
    measure,
    project,
    rigid_tables,
)
from kstep.model.potential import LearnedPotential

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
        rigid = terms.bond_constants[:, 0] == 0
        self._composition = composition
        self._potential = potential_tables(learned, numbers, terms)
        self._potential_scratch = make_potential_scratch(self._potential)
        self._rigid = rigid_tables(terms.bonds[rigid], terms.bond_constants[rigid, 1], masses)
        self._rigid_scratch = make_rigid_scratch(self._rigid)
        # No replicas at all: what there is to compile is compiled here and not in the run's time.
        nobody = np.empty((0, len(masses), 3))
        self(nobody, nobody, nobody)

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """nm, nm/ps and kJ/mol/nm."""
        x, v, f = (np.array(array, dtype=np.float64, order="C") for array in (x, v, f))
        tables = (self._potential, self._rigid)
        _jump_all(x, v, f, self._composition, *tables, self._potential_scratch, self._rigid_scratch)
        return x, v

    def force(self, x: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """The learned force at x, nm; kJ/mol/nm."""
        force = np.empty(x.shape)
        at = np.array(x, dtype=np.float64, order="C")
        evaluate_force(at, self._potential, self._potential_scratch, force)
        return force


@compiled
@no_type_check
def _jump_all(
    x: Replicas,
    v: Replicas,
    f: Replicas,
    composition: Composition,
    potential: PotentialTables,
    rigid: RigidTables,
    scratch: PotentialScratch,
    rigid_scratch: RigidScratch,
) -> None:
    """The jumps, in place; `f` comes out as the last learned forces."""
    for replica in range(len(x)):
        at, moving, force = x[replica], v[replica], f[replica]
        _jump(at, moving, force, composition, potential, rigid, scratch, rigid_scratch)


@compiled
@no_type_check
def _jump(x, v, f, composition, potential, rigid, scratch, rigid_scratch):
    end_kick = abs(composition.learned_weight) > 1e-12
    measure(x, rigid, rigid_scratch)
    _kick(v, f, composition.true_weight, rigid)
    if end_kick:
        evaluate_force(x, potential, scratch, f)
        _kick(v, f, composition.learned_weight, rigid)
    project(v, rigid, rigid_scratch)
    for number in range(composition.drifts):
        drift(x, v, composition.step, rigid, rigid_scratch)
        measure(x, rigid, rigid_scratch)
        last = number == composition.drifts - 1
        if not last or end_kick:
            evaluate_force(x, potential, scratch, f)
            _kick(v, f, composition.learned_weight if last else composition.step, rigid)
        project(v, rigid, rigid_scratch)


@compiled
@no_type_check
def _kick(v, force, weight, rigid):
    for atom in range(len(v)):
        for axis in range(3):
            v[atom, axis] += weight * rigid.mobility[atom] * force[atom, axis]

"""A splitting's jump of one molecule, compiled."""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int

from kstep.compiled.functions import add_vector, vector
from kstep.compiled.lanes import LANES, in_lanes, octets, out_of_lanes
from kstep.compiled.machine import compiled, inlined
from kstep.compiled.rigid import drift, make_rigid_scratch, measure, project, rigid_tables
from kstep.surrogates.force_field_like.kernel.force import Atoms, evaluate_force, potential_tables
from kstep.surrogates.force_field_like.kernel.nonbonded import make_nonbonded_scratch
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.system.force_field import Terms

Replicas = Float[np.ndarray, "R N 3"]


class Composition(NamedTuple):
    """How a jump is composed (`networks.splitting`).

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
        self._potential_scratch = make_nonbonded_scratch(self._potential.nonbonded)
        self._rigid = rigid_tables(terms.bonds[rigid], terms.bond_constants[rigid, 1], masses)
        self._rigid_scratch = make_rigid_scratch(self._rigid)
        # What there is to compile is compiled here and not in the run's time.
        nowhere = (np.zeros((len(masses), 3, LANES)) for _ in range(3))
        self._jump(*nowhere)

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """nm, nm/ps and kJ/mol/nm."""
        landed, moving = np.empty_like(x, dtype=np.float64), np.empty_like(v, dtype=np.float64)
        for some in octets(len(x)):
            at, velocity, force = (in_lanes(array[some]) for array in (x, v, f))
            self._jump(at, velocity, force)
            landed[some], moving[some] = out_of_lanes(at, some), out_of_lanes(velocity, some)
        return landed, moving

    def _jump(self, x: Atoms, v: Atoms, f: Atoms) -> None:
        tables = (self._potential, self._rigid)
        _jump(x, v, f, self._composition, *tables, self._potential_scratch, self._rigid_scratch)

    def force(self, x: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """The learned force at x, nm; kJ/mol/nm."""
        at = in_lanes(x[None])
        force = np.empty_like(at)
        evaluate_force(at, self._potential, self._potential_scratch, force)
        return np.ascontiguousarray(force[..., 0])


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


@inlined
@no_type_check
def _kick(v, force, weight, rigid):
    for atom in range(len(v)):
        add_vector(v[atom], weight * rigid.mobility[atom], vector(force[atom]))

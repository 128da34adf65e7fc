"""Drifts along the constraints and kicks by a compiled force, of any surrogate that has one.

A surrogate brings the tables of its molecule and two functions of them, `force` and `energy`, and
says so once by `register`; what moves replicas by it is written here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float
from numba.extending import overload

from kstep.compiled.functions import add_vector, vector
from kstep.compiled.lanes import LANES, in_lanes, octets, out_of_lanes
from kstep.compiled.machine import compiled, inlined
from kstep.compiled.rigid import RigidTables, drift, make_rigid_scratch, measure, project
from kstep.protocols import Evaluation, Replicas

Atoms = Float[np.ndarray, "N 3 L"]


class Composition(NamedTuple):
    """How drifts and kicks follow each other (`kstep.regressed.networks.splitting`).

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


def velocity_verlet(n_steps: int, dt_ps: float) -> Composition:
    """Velocity Verlet by the learned force alone."""
    return Composition(n_steps, dt_ps, true_weight=0.0, learned_weight=0.5 * dt_ps)


@no_type_check
def force(x, tables, scratch, result):
    """Put the force of a surrogate at x, nm, into `result`, kJ/mol/nm [N, 3, L]."""
    raise NotImplementedError("only compiled code calls this")


@no_type_check
def energy(x, tables, scratch, result):
    """Put its energy, kJ/mol, into `result` [L]."""
    raise NotImplementedError("only compiled code calls this")


def register(tables: type, force_of: Callable[..., Any], energy_of: Callable[..., Any]) -> None:
    """Say which compiled functions (x, tables, scratch, result) belong to tables of a type."""

    def is_it(kind: Any) -> bool:
        return getattr(kind, "instance_class", None) is tables

    @no_type_check
    def force_for(x, tables, scratch, result):
        if is_it(tables):
            return lambda x, tables, scratch, result: force_of(x, tables, scratch, result)
        return None

    @no_type_check
    def energy_for(x, tables, scratch, result):
        if is_it(tables):
            return lambda x, tables, scratch, result: energy_of(x, tables, scratch, result)
        return None

    overload(force)(force_for)
    overload(energy)(energy_for)


class Kernel:
    """A surrogate of one molecule as machine code.

    Args:
        tables: of the surrogate; their type is one that was registered.
        scratch: room that its functions work in.
        rigid: the molecule's constraints.
    """

    def __init__(self, tables: Any, scratch: Any, rigid: RigidTables) -> None:
        self._tables, self._scratch = tables, scratch
        self._rigid, self._rigid_scratch = rigid, make_rigid_scratch(rigid)
        # What there is to compile is compiled here and not in a run's time.
        nowhere = np.zeros((1, len(rigid.mobility), 3))
        self.propagate(nowhere, nowhere, nowhere, velocity_verlet(1, 1e-3))

    def propagate(
        self, x: Replicas, v: Replicas, f: Replicas, composition: Composition
    ) -> tuple[Replicas, Replicas]:
        """(x, v) before the true half of the closing kick; nm, nm/ps and kJ/mol/nm."""
        landed, moving = np.empty_like(x, dtype=np.float64), np.empty_like(v, dtype=np.float64)
        rooms = (self._tables, self._rigid, self._scratch, self._rigid_scratch)
        for some in octets(len(x)):
            at, velocity, pull = (in_lanes(array[some]) for array in (x, v, f))
            _propagate(at, velocity, pull, composition, *rooms)
            landed[some], moving[some] = out_of_lanes(at, some), out_of_lanes(velocity, some)
        return landed, moving

    def verlet(
        self, x: Replicas, v: Replicas, n_steps: int, dt_ps: float
    ) -> tuple[Replicas, Replicas]:
        """Velocity Verlet with RATTLE, as `kstep.protocols.Surrogate` has it."""
        return self.propagate(x, v, np.zeros_like(x), velocity_verlet(n_steps, dt_ps))

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies and forces at x, nm."""
        energies, forces = np.empty(len(x)), np.empty(x.shape)
        for some in octets(len(x)):
            at = in_lanes(x[some])
            pull, level = np.empty_like(at), np.empty(LANES)
            _evaluate(at, self._tables, self._scratch, pull, level)
            forces[some], energies[some] = out_of_lanes(pull, some), level[: len(x[some])]
        return Evaluation(energies, forces)

    def energies(self, x: Replicas) -> Float[np.ndarray, " R"]:
        """Energies at x, nm, in less time than with forces; kJ/mol."""
        energies = np.empty(len(x))
        for some in octets(len(x)):
            level = np.empty(LANES)
            _energy(in_lanes(x[some]), self._tables, self._scratch, level)
            energies[some] = level[: len(x[some])]
        return energies


class ByKernel:
    """What a surrogate that has a kernel does by it: the energies, the forces and the moving."""

    @property
    def _kernel(self) -> Kernel:
        raise NotImplementedError("of each surrogate")

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies and forces at x, nm."""
        return self._kernel.evaluate(x)

    def energies(self, x: Replicas) -> Float[np.ndarray, " R"]:
        """Energies alone, kJ/mol."""
        return self._kernel.energies(x)

    def verlet(
        self, x: Replicas, v: Replicas, n_steps: int, dt_ps: float
    ) -> tuple[Replicas, Replicas]:
        """Velocity Verlet with RATTLE, by machine code."""
        return self._kernel.verlet(x, v, n_steps, dt_ps)


@compiled
@no_type_check
def _propagate(x, v, f, composition, tables, rigid, scratch, rigid_scratch):
    end_kick = abs(composition.learned_weight) > 1e-12
    measure(x, rigid, rigid_scratch)
    _kick(v, f, composition.true_weight, rigid)
    if end_kick:
        force(x, tables, scratch, f)
        _kick(v, f, composition.learned_weight, rigid)
    project(v, rigid, rigid_scratch)
    for number in range(composition.drifts):
        drift(x, v, composition.step, rigid, rigid_scratch)
        measure(x, rigid, rigid_scratch)
        last = number == composition.drifts - 1
        if not last or end_kick:
            force(x, tables, scratch, f)
            _kick(v, f, composition.learned_weight if last else composition.step, rigid)
        project(v, rigid, rigid_scratch)


@compiled
@no_type_check
def _evaluate(x, tables, scratch, pull, level):
    energy(x, tables, scratch, level)
    force(x, tables, scratch, pull)


@compiled
@no_type_check
def _energy(x, tables, scratch, level):
    energy(x, tables, scratch, level)


@inlined
@no_type_check
def _kick(v, pull, weight, rigid):
    for atom in range(len(v)):
        add_vector(v[atom], weight * rigid.mobility[atom], vector(pull[atom]))

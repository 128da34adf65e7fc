"""Velocity Verlet with RATTLE by any force of replicas, and the constraints of a molecule.

Andersen, J. Comput. Phys. 52, 24 (1983).
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from kstep.compiled.lanes import in_lanes, octets, out_of_lanes
from kstep.compiled.rigid import RigidProjection, drift, make_rigid_scratch, measure, rigid_tables
from kstep.protocols import PerReplica, Replicas, Surrogate
from kstep.system.mechanics import maxwell_boltzmann
from kstep.system.molecule import Molecule


class Constraints:
    """The fixed distances of a molecule, for replicas of it."""

    def __init__(self, molecule: Molecule) -> None:
        """Ready for replicas of the molecule."""
        pairs, masses = molecule.constraints, molecule.masses
        self._tables = rigid_tables(pairs, molecule.constraint_lengths, masses)
        self._scratch = make_rigid_scratch(self._tables)
        self._project = RigidProjection(pairs, masses) if len(pairs) else None
        self._masses = masses

    def drift(self, x: Replicas, v: Replicas, duration: float) -> tuple[Replicas, Replicas]:
        """Free flight along the constraints for `duration`, ps; velocities end along them too."""
        landed, moving = np.empty_like(x), np.empty_like(v)
        for some in octets(len(x)):
            at, velocity = in_lanes(x[some]), in_lanes(v[some])
            measure(at, self._tables, self._scratch)
            drift(at, velocity, duration, self._tables, self._scratch)
            landed[some], moving[some] = out_of_lanes(at, some), out_of_lanes(velocity, some)
        return landed, self.project(landed, moving)

    def project(self, x: Replicas, v: Replicas) -> Replicas:
        """The velocities without what would change a fixed distance at x."""
        return v if self._project is None else self._project(x, v)

    def thermal_velocities(
        self, x: Replicas, temperatures: Float[np.ndarray, " R"], rng: np.random.Generator
    ) -> Replicas:
        """Canonical velocities along the constraints, at a temperature (K) of each replica."""
        drawn = maxwell_boltzmann(rng, self._masses, 1.0, (len(x),))
        return self.project(x, drawn * np.sqrt(temperatures)[:, None, None])


@runtime_checkable
class Mover(Protocol):
    """What moves replicas by a surrogate: a surrogate may be its own (`Surrogate.verlet`)."""

    def verlet(
        self, x: Replicas, v: Replicas, n_steps: int, dt_ps: float
    ) -> tuple[Replicas, Replicas]:
        """Velocity Verlet with RATTLE: reversible, volume-preserving.

        Args:
            x: nm, constraints satisfied.
            v: nm/ps, along the constraints.
            n_steps: of `dt_ps` each.
            dt_ps: ps.
        """

    def energies(self, x: Replicas) -> PerReplica:
        """Learned energies at x, kJ/mol [R]."""


class ForceMover:
    """Moves replicas by what a surrogate evaluates, one call a step."""

    def __init__(self, surrogate: Surrogate, molecule: Molecule, constraints: Constraints) -> None:
        """For replicas of the molecule."""
        self._surrogate, self._constraints = surrogate, constraints
        self._mobility = 1.0 / molecule.masses[:, None]

    def verlet(
        self, x: Replicas, v: Replicas, n_steps: int, dt_ps: float
    ) -> tuple[Replicas, Replicas]:
        """As of every `Mover`."""
        half = 0.5 * dt_ps * self._mobility
        v = self._constraints.project(x, v + half * self._surrogate.evaluate(x).forces)
        for step in range(n_steps):
            x, v = self._constraints.drift(x, v, dt_ps)
            weight = half if step == n_steps - 1 else 2.0 * half
            v = self._constraints.project(x, v + weight * self._surrogate.evaluate(x).forces)
        return x, v

    def energies(self, x: Replicas) -> PerReplica:
        """As of every `Mover`."""
        return self._surrogate.evaluate(x).energies


def mover_of(surrogate: Surrogate, molecule: Molecule, constraints: Constraints) -> Mover:
    """The surrogate itself where it moves replicas, which compiled ones do; else by its forces."""
    if isinstance(surrogate, Mover):
        return surrogate
    return ForceMover(surrogate, molecule, constraints)

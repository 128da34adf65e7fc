"""What true physics adds to a jump, and what it costs in true-force calls.

Each corrector takes the landings of some replicas to states whose constraints hold to 1e-8 and
whose forces and energies are known, so that the next jump starts from a paid-for force.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kstep.config import Landing
from kstep.integrators.state import PhaseState, Replicas
from kstep.integrators.true_dynamics import TrueDynamics


@dataclass(frozen=True, eq=False)
class Landed:
    """Where a jump has taken one or more replicas.

    Attributes:
        x: nm [R, N, 3].
        v: nm/ps [R, N, 3].
        closing_ps: weight of the true force in the kick that `v` still lacks, ps.
    """

    x: Replicas
    v: Replicas
    closing_ps: float


@dataclass(frozen=True)
class Corrector:
    """A corrector and the bookkeeping it implies.

    Attributes:
        apply: (dynamics, landing) → states without debt.
        landing: where the jump must end.
        base_steps: base steps by which the corrector itself advances time.
        calls: true-force calls for each replica.
    """

    apply: Callable[[TrueDynamics, Landed], PhaseState]
    landing: Landing
    base_steps: int
    calls: int

    @property
    def closes_a_splitting(self) -> bool:
        """Whether jump and corrector are one map, reversible and volume-preserving.

        Momenta and energy are then the map's own affair: whatever else moved the state would
        break its structure.
        """
        return self.landing == "closing_kick"


def no_step(dynamics: TrueDynamics, landed: Landed) -> PhaseState:
    """Constraints only, and the force that the next jump and the guard need: one call."""
    x = dynamics.constrain_all_positions(landed.x)
    v = dynamics.constrain_all_velocities(x, landed.v)
    return PhaseState(x, v, *dynamics.evaluate_all(x), np.zeros(len(x)))


def velocity_verlet(dynamics: TrueDynamics, landed: Landed) -> PhaseState:
    """One velocity-Verlet step, forces at both ends: two calls.

    v½ = v̂ + dt/2m F(x̂); x* = x̂ + dt v½; v* = v½ + dt/2m F(x*), with RATTLE.
    """
    x = dynamics.constrain_all_positions(landed.x)
    v = dynamics.constrain_all_velocities(x, landed.v)
    return true_steps(dynamics, x, v, 1)


def drift_kick_drift(dynamics: TrueDynamics, landed: Landed) -> PhaseState:
    """The step of position Verlet, closed at its kick: one call.

    Position Verlet repeats drift(½) kick drift(½). Cut at the drifts, no force is known at the
    state; cut in the middle of the kick, the state is velocity Verlet's, synchronous, with its
    force in hand. So the jump lands on the half step (x̂, v̂), and

        x* = x̂ + dt/2 v̂;  F(x*);  v* = v̂ + dt/2m F(x*)

    finishes the drift and the first half of the kick. With an exact jump over k steps this is
    velocity Verlet over k + 1.
    """
    half = 0.5 * dynamics.dt_ps
    x = dynamics.constrain_all_positions(landed.x + half * landed.v)
    return closing_kick(dynamics, Landed(x, landed.v, half))


def closing_kick(dynamics: TrueDynamics, landed: Landed) -> PhaseState:
    """The true force's part in the last kick of a splitting: one call.

    A splitting opens with the force that is known and would close with one that is not. So the
    jump lands on its last drift, constraints satisfied, with the learned kicks done, and

        F(x'); v' = v° + w F(x')/m

    projected on the constraints closes it. With an exact jump over k steps this is velocity
    Verlet over k.
    """
    forces, epot = dynamics.evaluate_all(landed.x)
    v = landed.v + landed.closing_ps * forces / dynamics.masses[:, None]
    projected = dynamics.constrain_all_velocities(landed.x, v)
    return PhaseState(landed.x, projected, forces, epot, np.zeros(len(epot)))


def true_steps(dynamics: TrueDynamics, x: Replicas, v: Replicas, n_steps: int) -> PhaseState:
    """Where velocity Verlet takes every replica, without debt: n_steps + 1 calls for each."""
    ends = [dynamics.steps(*start, n_steps) for start in zip(x, v, strict=True)]
    return PhaseState(
        x=np.stack([end.x for end in ends]),
        v=np.stack([end.v for end in ends]),
        forces=np.stack([end.forces for end in ends]),
        epot=np.array([end.epot for end in ends]),
        debt=np.zeros(len(ends)),
    )


CORRECTORS: dict[str, Corrector] = {
    "none": Corrector(no_step, "step", base_steps=0, calls=1),
    "velocity_verlet": Corrector(velocity_verlet, "step", base_steps=1, calls=2),
    "drift_kick_drift": Corrector(drift_kick_drift, "half_step", base_steps=1, calls=1),
    "closing_kick": Corrector(closing_kick, "closing_kick", base_steps=0, calls=1),
}


def descend(dynamics: TrueDynamics, x: Replicas, iterations: int) -> Replicas:
    """Pull landed positions towards the minimum by steepest descent: one call an iteration.

    The step ½ dt² F/m is what a base step would move an atom from rest, hence stable wherever
    the base integrator is.
    """
    for _ in range(iterations):
        forces, _ = dynamics.evaluate_all(x)
        step = 0.5 * dynamics.dt_ps**2 * forces / dynamics.masses[:, None]
        x = dynamics.constrain_all_positions(x + step)
    return x


def usual_corrector(landing: Landing) -> Literal["closing_kick", "drift_kick_drift", "none"]:
    """The corrector of one call that takes over where a jump ends."""
    match landing:
        case "closing_kick":
            return "closing_kick"
        case "half_step":
            return "drift_kick_drift"
        case "step":
            return "none"

"""What true physics adds to a jump, and what it costs in true-force calls.

Each corrector takes the landing of one replica to a state whose constraints hold to 1e-8 and
whose force and energy are known, so that the next jump starts from a paid-for force.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kstep.config import Landing
from kstep.md.dynamics import Atoms, TrueDynamics, TrueState


@dataclass(frozen=True, eq=False)
class Landed:
    """Where a jump has taken one replica.

    Attributes:
        x: nm [N, 3].
        v: nm/ps [N, 3].
        closing_ps: weight of the true force in the kick that `v` still lacks, ps.
    """

    x: Atoms
    v: Atoms
    closing_ps: float


@dataclass(frozen=True)
class Corrector:
    """A corrector and the bookkeeping it implies.

    Attributes:
        apply: (dynamics, landing) → state.
        landing: where the jump must end.
        base_steps: base steps by which the corrector itself advances time.
        calls: true-force calls of one application.
    """

    apply: Callable[[TrueDynamics, Landed], TrueState]
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


def no_step(dynamics: TrueDynamics, landed: Landed) -> TrueState:
    """Constraints only, and the force that the next jump and the guard need: one call."""
    x = dynamics.constrain_positions(landed.x)
    v = dynamics.constrain_velocities(x, landed.v)
    forces, epot = dynamics.evaluate(x)
    return TrueState(x, v, forces, epot)


def velocity_verlet(dynamics: TrueDynamics, landed: Landed) -> TrueState:
    """One velocity-Verlet step, forces at both ends: two calls.

    v½ = v̂ + dt/2m F(x̂); x* = x̂ + dt v½; v* = v½ + dt/2m F(x*), with RATTLE.
    """
    x = dynamics.constrain_positions(landed.x)
    return dynamics.steps(x, dynamics.constrain_velocities(x, landed.v), 1)


def drift_kick_drift(dynamics: TrueDynamics, landed: Landed) -> TrueState:
    """The step of position Verlet, closed at its kick: one call.

    Position Verlet repeats drift(½) kick drift(½). Cut at the drifts, no force is known at the
    state; cut in the middle of the kick, the state is velocity Verlet's, synchronous, with its
    force in hand. So the jump lands on the half step (x̂, v̂), and

        x* = x̂ + dt/2 v̂;  F(x*);  v* = v̂ + dt/2m F(x*)

    finishes the drift and the first half of the kick. With an exact jump over k steps this is
    velocity Verlet over k + 1.
    """
    half = 0.5 * dynamics.dt_ps
    x = dynamics.constrain_positions(landed.x + half * landed.v)
    return closing_kick(dynamics, Landed(x, landed.v, half))


def closing_kick(dynamics: TrueDynamics, landed: Landed) -> TrueState:
    """The true force's part in the last kick of a splitting: one call.

    A splitting opens with the force that is known and would close with one that is not. So the
    jump lands on its last drift, constraints satisfied, with the learned kicks done, and

        F(x'); v' = v° + w F(x')/m

    projected on the constraints closes it. With an exact jump over k steps this is velocity
    Verlet over k.
    """
    forces, epot = dynamics.evaluate(landed.x)
    v = landed.v + landed.closing_ps * forces / dynamics.masses[:, None]
    return TrueState(landed.x, dynamics.constrain_velocities(landed.x, v), forces, epot)


CORRECTORS: dict[str, Corrector] = {
    "none": Corrector(no_step, "step", base_steps=0, calls=1),
    "velocity_verlet": Corrector(velocity_verlet, "step", base_steps=1, calls=2),
    "drift_kick_drift": Corrector(drift_kick_drift, "half_step", base_steps=1, calls=1),
    "closing_kick": Corrector(closing_kick, "closing_kick", base_steps=0, calls=1),
}


def descend(dynamics: TrueDynamics, x: Atoms, iterations: int) -> Atoms:
    """Pull landed positions towards the minimum by steepest descent: one call an iteration.

    The step ½ dt² F/m is what a base step would move an atom from rest, hence stable wherever
    the base integrator is.
    """
    for _ in range(iterations):
        forces, _ = dynamics.evaluate(x)
        x = dynamics.constrain_positions(
            x + 0.5 * dynamics.dt_ps**2 * forces / dynamics.masses[:, None]
        )
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

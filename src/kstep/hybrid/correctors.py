"""One base step of true physics after a jump, and what it costs in true-force calls.

Each corrector takes a landed (x̂, v̂) of one replica to a state whose constraints hold to 1e-8
and whose force and energy are known, so that the next jump starts from a paid-for force.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kstep.config import Landing
from kstep.md.dynamics import Atoms, TrueDynamics, TrueState


@dataclass(frozen=True)
class Corrector:
    """A corrector and the bookkeeping it implies.

    Attributes:
        apply: (dynamics, x̂, v̂) → state.
        landing: where the jump must end.
        base_steps: base steps by which the corrector itself advances time.
        calls: true-force calls of one application.
    """

    apply: Callable[[TrueDynamics, Atoms, Atoms], TrueState]
    landing: Landing
    base_steps: int
    calls: int


def no_step(dynamics: TrueDynamics, x: Atoms, v: Atoms) -> TrueState:
    """Constraints only, and the force that the next jump and the guard need: one call."""
    x = dynamics.constrain_positions(x)
    v = dynamics.constrain_velocities(x, v)
    forces, epot = dynamics.evaluate(x)
    return TrueState(x, v, forces, epot)


def velocity_verlet(dynamics: TrueDynamics, x: Atoms, v: Atoms) -> TrueState:
    """One velocity-Verlet step, forces at both ends: two calls.

    v½ = v̂ + dt/2m F(x̂); x* = x̂ + dt v½; v* = v½ + dt/2m F(x*), with RATTLE.
    """
    x = dynamics.constrain_positions(x)
    return dynamics.steps(x, dynamics.constrain_velocities(x, v), 1)


def drift_kick_drift(dynamics: TrueDynamics, x: Atoms, v: Atoms) -> TrueState:
    """The step of position Verlet, closed at its kick: one call.

    Position Verlet repeats drift(½) kick drift(½). Cut at the drifts, no force is known at the
    state; cut in the middle of the kick, the state is velocity Verlet's, synchronous, with its
    force in hand. So the jump lands on the half step (x̂, v̂), and

        x* = x̂ + dt/2 v̂;  F(x*);  v* = v̂ + dt/2m F(x*)

    finishes the drift and the first half of the kick. With an exact jump over k steps this is
    velocity Verlet over k + 1.
    """
    half = 0.5 * dynamics.dt_ps
    x = dynamics.constrain_positions(x + half * v)
    forces, epot = dynamics.evaluate(x)
    kicked = v + half * forces / dynamics.masses[:, None]
    return TrueState(x, dynamics.constrain_velocities(x, kicked), forces, epot)


CORRECTORS: dict[str, Corrector] = {
    "none": Corrector(no_step, "step", base_steps=0, calls=1),
    "velocity_verlet": Corrector(velocity_verlet, "step", base_steps=1, calls=2),
    "drift_kick_drift": Corrector(drift_kick_drift, "half_step", base_steps=1, calls=1),
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

"""What an isolated molecule conserves, put right after a jump.

Linear momentum, the straight path of the centre of mass and angular momentum are conserved
exactly by the true dynamics (the implicit solvent is rotationally invariant), and so by a jump.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Float

from kstep.integrators.state import PhaseState, Replicas
from kstep.system.mechanics import angular_momentum, centre_of_mass, kinetic_energy, with_momenta

Masses = Float[np.ndarray, " N"]


class Conservation(Protocol):
    """How a macro-step comes to conserve what it must."""

    def of_landing(self, before: PhaseState, x: Replicas, v: Replicas) -> tuple[Replicas, Replicas]:
        """(x, v) of a landing as the corrector shall find them."""

    def of_end(self, before: PhaseState, after: PhaseState) -> PhaseState:
        """The corrector's state as the macro-step shall end with it."""


@dataclass(frozen=True, eq=False)
class Restored:
    """Put right around the corrector: for jumps that do not conserve by themselves.

    Attributes:
        masses: Da [N].
        duration: of the jump, ps.
    """

    masses: Masses
    duration: float

    def of_landing(self, before: PhaseState, x: Replicas, v: Replicas) -> tuple[Replicas, Replicas]:
        """The centre of mass back on its path, and the momenta as before."""
        x = restore_path(before, x, self.masses, self.duration)
        return x, restore_momenta(before, x, v, self.masses)

    def of_end(self, before: PhaseState, after: PhaseState) -> PhaseState:
        """The momenta as before."""
        return replace(after, v=restore_momenta(before, after.x, after.v, self.masses))


class Inherent:
    """Left to the map: a splitting conserves momenta by construction.

    Even a rotation that takes a rounding error out of the angular momentum would be one more
    map, without the splitting's symmetry in time.
    """

    def of_landing(self, before: PhaseState, x: Replicas, v: Replicas) -> tuple[Replicas, Replicas]:
        """The landing."""
        return x, v

    def of_end(self, before: PhaseState, after: PhaseState) -> PhaseState:
        """The end."""
        return after


def restore_momenta(before: PhaseState, x: Replicas, v: Replicas, masses: Masses) -> Replicas:
    """V with the linear and angular momentum that `before` had."""
    momentum = masses.sum() * centre_of_mass(before.v, masses)
    angular = angular_momentum(before.x, before.v, masses)
    return with_momenta(x, v, masses, momentum, angular)


def restore_path(before: PhaseState, x: Replicas, masses: Masses, duration: float) -> Replicas:
    """X shifted so that its centre of mass moved freely for `duration` (ps)."""
    path = centre_of_mass(before.x, masses) + duration * centre_of_mass(before.v, masses)
    return np.asarray(x + (path - centre_of_mass(x, masses))[:, None, :])


def rescale_to_energy(state: PhaseState, etot: Float[np.ndarray, " R"], masses: Masses) -> Replicas:
    """Velocities scaled so that the total energy is `etot`, where that is possible.

    Only the internal part is scaled, √(1 − ΔE/K_int): the motion of the centre of mass and the
    rigid rotation, which carry the conserved momenta, are taken out first and added back. A
    replica whose internal kinetic energy cannot cover the excess keeps its velocities.
    """
    momentum = np.zeros((state.n_replicas, 3))
    internal = with_momenta(state.x, state.v, masses, momentum, momentum)
    kinetic = kinetic_energy(internal, masses)
    excess = state.etot(masses) - etot
    with np.errstate(divide="ignore", invalid="ignore"):
        square = 1.0 - excess / kinetic
    factor = np.where(np.isfinite(square) & (square > 0), np.sqrt(np.abs(square)), 1.0)
    return np.asarray(state.v + (factor - 1.0)[:, None, None] * internal)

"""What an isolated molecule conserves, put right after a jump.

Linear momentum, the straight path of the centre of mass and angular momentum are conserved
exactly by the true dynamics (the implicit solvent is rotationally invariant), and so by a jump.
"""

import numpy as np
from jaxtyping import Float

from kstep.hybrid.state import PhaseState, Replicas
from kstep.mechanics import angular_momentum, centre_of_mass, kinetic_energy, with_momenta

Masses = Float[np.ndarray, " N"]


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

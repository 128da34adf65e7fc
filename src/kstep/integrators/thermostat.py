"""The stochastic half of NVT: the exact Ornstein–Uhlenbeck step over a macro-step."""

import math
from dataclasses import replace

import numpy as np

from kstep.integrators.state import PhaseState
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.system.mechanics import maxwell_boltzmann


class OrnsteinUhlenbeck:
    """v → e^{−γτ} v + √(1 − e^{−2γτ}) · (canonical velocities), exact for any τ.

    The noise is projected onto the constraints. This and the NVE macro-step before it both keep
    the canonical distribution, whatever τ.
    """

    def __init__(
        self,
        dynamics: TrueDynamics,
        temperature: float,
        friction: float,
        duration: float,
        rng: np.random.Generator,
    ) -> None:
        """Temperature in K, friction in 1/ps, duration of a macro-step in ps."""
        self._dynamics = dynamics
        self._temperature = temperature
        self._keep = math.exp(-friction * duration)
        self._rng = rng

    def __call__(self, state: PhaseState) -> PhaseState:
        """New velocities of every replica, and the share of its energy debt that is left.

        Friction drains excess kinetic energy at 2γ, but half of an excess is potential energy:
        the total decays at γ.
        """
        masses = self._dynamics.masses
        noise = maxwell_boltzmann(self._rng, masses, self._temperature, (state.n_replicas,))
        mixed = self._keep * state.v + math.sqrt(1.0 - self._keep**2) * noise
        v = self._dynamics.constrain_all_velocities(state.x, mixed)
        return replace(state, v=v, debt=self._keep * state.debt)

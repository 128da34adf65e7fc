"""Generalised hybrid Monte Carlo: every jump is a proposal, tried by its true energy."""

from dataclasses import replace

import numpy as np

from kstep.config import HybridConfig
from kstep.errors import ArtifactError
from kstep.hybrid.correctors import CORRECTORS
from kstep.hybrid.guard import landing_is_sane
from kstep.hybrid.macrostep import MacroStep
from kstep.hybrid.state import Jump, PhaseState
from kstep.md.dynamics import TrueDynamics
from kstep.units import BOLTZMANN


class GhmcStep(MacroStep):
    """A macro-step that ends where its jump leads or, refused, where it began, turned round.

    With the thermostat's partial refresh of the velocities between them such steps keep the
    canonical distribution exactly, for any jump that is reversible and keeps volume:

    | step | equation |
    |---|---|
    | refresh (`thermostat`) | v ← e^{−γτ} v + √(1 − e^{−2γτ}) · (canonical velocities) |
    | proposal | (x', v') = the splitting's map of (x, v) |
    | test | (x', v') with probability min(1, e^{−(H' − H)/k_B T}), |
    | flip | else (x, −v) |

    Horowitz, Phys. Lett. B 268, 247 (1991); Ottobre, Pillai, Pinski & Stuart, Bernoulli 22, 60
    (2016). A refusal spends no force call but the proposal's. There is no fallback to true
    dynamics, which would choose its successor by another rule than the reverse of the step does:
    what is not finite or goes too far is refused.
    """

    def __init__(
        self,
        jump: Jump,
        dynamics: TrueDynamics,
        config: HybridConfig,
        n_replicas: int,
        temperature: float,
        rng: np.random.Generator,
    ) -> None:
        """Temperature in K.

        Raises ArtifactError for jumps that are not a splitting's.
        """
        if not CORRECTORS[config.corrector].closes_a_splitting:
            raise ArtifactError(
                "hybrid.ensemble ghmc samples exactly only with jumps that are reversible and "
                f"keep volume, which those that land on the {jump.landing} are not: train with "
                "model.arch=splitting or set hybrid.ensemble=nvt."
            )
        # The test alone judges energies; a bound on them would be a second, inexact one.
        free = {"max_energy_error": np.inf, "max_energy_debt": np.inf}
        guard = config.guard.model_copy(update=free)
        super().__init__(jump, dynamics, config.model_copy(update={"guard": guard}), n_replicas)
        self._guard = guard
        self._thermal = BOLTZMANN * temperature
        self._rng = rng

    def __call__(self, state: PhaseState) -> PhaseState:
        """Propose a jump to every replica, and accept or refuse it."""
        attempt = self.attempt(state)
        end = attempt.state
        # The way back must be as sane as the way there, or the one would lack the other.
        flight = end.x - self._jump_duration * end.v
        proper = attempt.accepted & landing_is_sane(self._guard, flight, state.x, -state.v)
        chance = np.exp(-np.clip(attempt.error / self._thermal, 0.0, None))
        accepted = proper & (self._rng.random(state.n_replicas) < chance)
        self.accounts.macro_steps += state.n_replicas
        self.accounts.proposals += state.n_replicas
        self.accounts.acceptances += int(accepted.sum())
        atoms = accepted[:, None, None]
        return replace(
            state,
            x=np.where(atoms, end.x, state.x),
            v=np.where(atoms, end.v, -state.v),
            forces=np.where(atoms, end.forces, state.forces),
            epot=np.where(accepted, end.epot, state.epot),
        )

"""Generalised hybrid Monte Carlo: every jump is a proposal, tried by its true energy."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from kstep.config import HybridConfig
from kstep.errors import ArtifactError
from kstep.integrators.correctors import CORRECTORS
from kstep.integrators.guard import landing_is_sane
from kstep.integrators.outer_step import Attempt, MacroStep
from kstep.integrators.state import Jump, PhaseState
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.units import BOLTZMANN


class GhmcStep(MacroStep):
    """A macro-step that ends where its jump leads or, refused, where it began, turned round.

    With the thermostat's partial refresh of the velocities between them such steps keep the
    canonical distribution exactly, for any jump that is reversible and keeps volume:

    | step | equation |
    |---|---|
    | refresh (`thermostat`) | v ← e^{−γτ} v + √(1 − e^{−2γτ}) · (canonical velocities) |
    | proposal | (x', v') = the splitting's map of (x, v) |
    | test | (x', v') if u < e^{−(H' − H)/k_B T}, u uniform in [0, 1) |
    | chance | else jump on from (x', v') and test again, with the same u and H, if any is left |
    | flip | else (x, −v) |

    Horowitz, Phys. Lett. B 268, 247 (1991); Ottobre, Pillai, Pinski & Stuart, Bernoulli 22, 60
    (2016). Further chances (`hybrid.extra_chances`): Campos & Sanz-Serna, J. Comput. Phys. 281, 365
    (2015). With m the smaller Boltzmann factor of the two ends, a path is taken with what m exceeds
    the largest factor between them by, which is the same from either end.

    A refusal spends no force call but the proposal's. There is no fallback to true dynamics, which
    would choose its successor by another rule than the reverse of the step does: what is not finite
    or goes too far is refused, and given no further chance.
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
        """Propose jumps to every replica, until one is accepted or its chances are spent."""
        luck = np.maximum(self._rng.random(state.n_replicas), np.finfo(np.float64).tiny)
        bar = -self._thermal * np.log(luck)
        self.accounts.macro_steps += state.n_replicas
        result = replace(state, v=-state.v)
        trying, at, climbed = np.arange(state.n_replicas), state, np.zeros(state.n_replicas)
        for _ in range(1 + self._config.extra_chances):
            attempt = self.attempt(at, trying)
            end, proper = attempt.state, self._is_proper(at, attempt)
            climbed = climbed + attempt.error
            accepted = proper & (climbed < bar[trying])
            self.accounts.proposals += len(trying)
            self.accounts.acceptances += int(accepted.sum())
            result = result.with_others(trying[accepted], end.of(accepted))
            again = proper & ~accepted
            if not again.any():
                break
            trying, at, climbed = trying[again], end.of(again), climbed[again]
        return result

    def _is_proper(self, state: PhaseState, attempt: Attempt) -> Bool[np.ndarray, " R"]:
        """Whether jumps are sane, there and back.

        The way back must be as sane as the way there, or the one would lack the other.
        """
        end = attempt.state
        flight = end.x - self._jump_duration * end.v
        back = landing_is_sane(self._guard, flight, state.x, -state.v, self._jump_duration)
        return np.asarray(attempt.accepted & back)

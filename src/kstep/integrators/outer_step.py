"""One macro-step: jump → conservation → constraints → corrector → guard."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from kstep.config import HybridConfig
from kstep.errors import ArtifactError, ConfigError
from kstep.integrators.conservation import Conservation, Inherent, Restored, rescale_to_energy
from kstep.integrators.correctors import CORRECTORS, Landed, descend, true_steps
from kstep.integrators.guard import energy_is_kept, landing_is_sane
from kstep.integrators.state import Jump, PhaseState, Replicas
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials import COUNTS

Ensemble = Literal["nvt", "nve", "nve_rescaled"]
"""With a thermostat; at the map's own energy; at constant energy by rescaling velocities."""


@dataclass
class Accounts:
    """Honest bookkeeping of a run: counts, and wall-clock seconds by part.

    Attributes:
        macro_steps: of all replicas together.
        rejected_jumps: macro-steps that the guard gave to true MD.
        fallback_calls: true-force calls of those.
        proposals: jumps that were put to a Metropolis test.
        acceptances: those that passed.
        calls: true-force calls of every replica [R].
        potential: what a Python potential counted (`kstep.potentials.COUNTS`).
        seconds: wall time by part.
    """

    calls: np.ndarray
    macro_steps: int = 0
    rejected_jumps: int = 0
    fallback_calls: int = 0
    proposals: int = 0
    acceptances: int = 0
    potential: list[int] = field(default_factory=lambda: [0] * len(COUNTS))
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def acceptance(self) -> float | None:
        """Share of the proposals that were accepted; None without any."""
        return self.acceptances / self.proposals if self.proposals else None

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        start = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Attempt:
    """What the bare map makes of a state, and whether it may stand.

    Attributes:
        state: where jump, conservation, constraints and corrector lead; the state it came from
            where the landing was not sane and no force was spent.
        error: change of the total energy, kJ/mol [R].
        accepted: whether the guard lets it through [R].
    """

    state: PhaseState
    error: Float[np.ndarray, " R"]
    accepted: Bool[np.ndarray, " R"]


class MacroStep:
    """Maps a `PhaseState` to the state after k (+ corrector) base steps.

    Attributes:
        base_steps: base steps by which one macro-step advances time.
        duration: the same, ps.
        accounts: what it has cost so far.
    """

    def __init__(
        self,
        jump: Jump,
        dynamics: TrueDynamics,
        config: HybridConfig,
        n_replicas: int,
        ensemble: Ensemble = "nve",
    ) -> None:
        """The ensemble decides whether velocities are rescaled; a thermostat is the caller's.

        In NVT they are not where jump and corrector are a splitting, whose structure that breaks.

        Raises ArtifactError when the jump does not land where the corrector takes over, and
        ConfigError for a minimiser in a splitting.
        """
        self._corrector = corrector = CORRECTORS[config.corrector]
        _require_fit(jump, config)
        self._jump = jump
        self._dynamics = dynamics
        self._config = config
        self._masses = dynamics.masses
        in_nvt = config.energy_rescale and not corrector.closes_a_splitting
        self._rescale = {"nvt": in_nvt, "nve": False, "nve_rescaled": True}[ensemble]
        steps_in_jump = jump.k_steps + (0.5 if jump.landing == "half_step" else 0.0)
        self._jump_duration = steps_in_jump * dynamics.dt_ps
        self._conservation: Conservation = (
            Inherent()
            if corrector.closes_a_splitting
            else Restored(dynamics.masses, self._jump_duration)
        )
        self.base_steps = self.base_steps_of(jump, config)
        self.duration = self.base_steps * dynamics.dt_ps
        self.accounts = Accounts(calls=np.zeros(n_replicas, dtype=np.int64))

    @staticmethod
    def base_steps_of(jump: Jump, config: HybridConfig) -> int:
        """Base steps of one macro-step: the jump's and the corrector's."""
        return jump.k_steps + CORRECTORS[config.corrector].base_steps

    def start(self, x: Replicas, v: Replicas) -> PhaseState:
        """The state at (x, v): one true-force call for each replica."""
        with self._charged_to(np.arange(len(x))):
            forces, epot = self._dynamics.evaluate_all(x)
        return PhaseState(x, v, forces, epot, np.zeros(len(x)))

    def attempt(self, state: PhaseState, replicas: Int[np.ndarray, " R"] | None = None) -> Attempt:
        """The bare map (jump, conservation, constraints, corrector) and the guard's opinion.

        `replicas` are those whose state it is, for the accounts; all where nothing is said.
        """
        config, accounts = self._config, self.accounts
        charged = np.arange(state.n_replicas) if replicas is None else replicas
        with accounts.timing("jump"):
            x, v = self._jump(state.x, state.v, state.forces)
        with accounts.timing("conservation"):
            free_flight = state.x + self._jump_duration * state.v
            sane = landing_is_sane(config.guard, free_flight, x, v, self._jump_duration)
            # A jump that is not sane goes no further; what follows must see finite numbers.
            x = np.where(sane[:, None, None], x, free_flight)
            v = np.where(sane[:, None, None], v, state.v)
            x, v = self._conservation.of_landing(state, x, v)
        with accounts.timing("corrector"):
            corrected = state
            if sane.any():
                end = self._correct(x[sane], v[sane], charged[sane])
                corrected = end if sane.all() else state.with_others(sane, end)
                corrected = replace(corrected, debt=state.debt)
        with accounts.timing("conservation"):
            corrected = self._conservation.of_end(state, corrected)
            error = corrected.etot(self._masses) - state.etot(self._masses)
            n_atoms = len(self._masses)
            accepted = sane & energy_is_kept(config.guard, error, state.debt + error, n_atoms)
        return Attempt(corrected, error, accepted)

    def __call__(self, state: PhaseState) -> PhaseState:
        """Advance every replica; a jump that fails the guard is replaced by true MD."""
        accounts, attempt = self.accounts, self.attempt(state)
        corrected, accepted, error = attempt.state, attempt.accepted, attempt.error
        with accounts.timing("conservation"):
            if self._rescale:
                wanted = state.etot(self._masses)
                corrected = replace(corrected, v=rescale_to_energy(corrected, wanted, self._masses))
                error = corrected.etot(self._masses) - wanted
            corrected = replace(corrected, debt=state.debt + error)
        accounts.macro_steps += state.n_replicas
        if accepted.all():
            return corrected
        with accounts.timing("fallback"):
            result = corrected.with_others(~accepted, self._fall_back(state, ~accepted))
            # True dynamics fluctuate too: leaving that out would let errors of one sign creep in.
            change = result.etot(self._masses) - state.etot(self._masses)
            return replace(result, debt=state.debt + change)

    def _correct(self, x: Replicas, v: Replicas, replicas: Int[np.ndarray, " R"]) -> PhaseState:
        with self._charged_to(replicas):
            x = descend(self._dynamics, x, self._config.projection_iterations)
            return self._corrector.apply(self._dynamics, Landed(x, v, self._jump.closing_ps))

    def _fall_back(self, state: PhaseState, refused: Bool[np.ndarray, " R"]) -> PhaseState:
        replicas = np.flatnonzero(refused)
        self.accounts.rejected_jumps += len(replicas)
        calls = self._dynamics.calls
        with self._charged_to(replicas):
            start = state.x[refused], state.v[refused]
            result = true_steps(self._dynamics, *start, self.base_steps)
        self.accounts.fallback_calls += self._dynamics.calls - calls
        return result

    @contextmanager
    def _charged_to(self, replicas: Int[np.ndarray, " R"]) -> Iterator[None]:
        """Share out the calls made inside, which are equally many for each of them."""
        before = self._dynamics.calls
        yield
        self.accounts.calls[replicas] += (self._dynamics.calls - before) // len(replicas)


def _require_fit(jump: Jump, config: HybridConfig) -> None:
    corrector = CORRECTORS[config.corrector]
    if jump.landing != corrector.landing:
        raise ArtifactError(
            f"the jump lands on the {jump.landing} but hybrid.corrector {config.corrector} "
            f"needs {corrector.landing}: train with train.landing={corrector.landing} or choose "
            "another corrector."
        )
    if corrector.closes_a_splitting and config.projection_iterations:
        raise ConfigError(
            "hybrid.projection_iterations must be 0 with hybrid.corrector closing_kick: a "
            "minimiser after the jump would break its reversibility."
        )

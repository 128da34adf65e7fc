"""The hybrid as an OpenMM integrator, for use in a stock `openmm.app.Simulation`."""

import gc

import numpy as np
import openmm
from openmm import unit

from kstep.config import HybridConfig
from kstep.errors import ConfigError
from kstep.integrators.compiled_dynamics import dynamics_in
from kstep.integrators.correctors import usual_corrector
from kstep.integrators.openmm_steps import add_recording_velocity_verlet
from kstep.integrators.outer_step import Accounts, Ensemble, MacroStep
from kstep.integrators.state import Jump, PhaseState
from kstep.integrators.thermostat import OrnsteinUhlenbeck


class KStepIntegrator(openmm.CustomIntegrator):
    """Macro-steps behind OpenMM's integrator interface.

    One `step` is one macro-step: `simulation.step(n)` makes n of them, and `getStepSize()` is
    the time of one, so stock reporters write the right times. The Context's time and step
    count advance accordingly. With `temperature` a macro-step ends with the stochastic step of
    NVT; without, the dynamics are NVE.

    Example:
        >>> jump = load_learned_jump(checkpoint, molecule, 8, 0.002, "closing_kick")
        >>> integrator = KStepIntegrator(jump, dt_ps=0.002, temperature=300.0)
        >>> simulation = app.Simulation(topology, system, integrator)
    """

    def __init__(
        self,
        jump: Jump,
        dt_ps: float,
        temperature: float | None = None,
        config: HybridConfig | None = None,
        seed: int = 42,
    ) -> None:
        """Set up the integrator.

        Args:
            jump: a learned or oracle jump.
            dt_ps: base time step, ps.
            temperature: of the thermostat, K; None for NVE.
            config: corrector, guard, friction and rescaling; otherwise defaults with the
                corrector that takes over where the jump ends.
            seed: of the thermostat's noise.

        Raises ConfigError for ensemble ghmc, which `kstep run` alone has.
        """
        config = config or HybridConfig(corrector=usual_corrector(jump.landing))
        if config.ensemble == "ghmc":
            raise ConfigError(
                "a KStepIntegrator has no Metropolis test: use `kstep run` for hybrid.ensemble "
                "ghmc, or set it to nvt."
            )
        super().__init__(dt_ps)
        add_recording_velocity_verlet(self)
        self._jump = jump
        self._dt_ps = dt_ps
        self._temperature = temperature
        self._config = config
        self._rng = np.random.default_rng(seed)
        self._context: openmm.Context | None = None
        self._state: PhaseState | None = None

    @property
    def accounts(self) -> Accounts:
        """Force calls, rejected jumps and wall time by part so far."""
        self._attach()
        return self._macro_step.accounts

    def getStepSize(self) -> unit.Quantity:  # noqa: N802 (OpenMM's name)
        """The time of one macro-step."""
        base_steps = MacroStep.base_steps_of(self._jump, self._config)
        return base_steps * self._dt_ps * unit.picosecond

    def step(self, steps: int) -> None:
        """Advance the Context by `steps` macro-steps."""
        context = self._attach()
        time, count = context.getTime(), context.getStepCount()
        state = self._current_state(context)
        for _ in range(steps):
            state = self._macro_step(state)
            if self._thermostat is not None:
                state = self._thermostat(state)
        context.setPositions(state.x[0])
        context.setVelocities(state.v[0])
        context.setTime(time + steps * self.getStepSize())
        context.setStepCount(count + steps)
        self._state = state

    def _current_state(self, context: openmm.Context) -> PhaseState:
        """The Context's state; forces are evaluated only if somebody else changed it."""
        found = context.getState(positions=True, velocities=True)
        x = np.array(found.getPositions(asNumpy=True)._value)[None]
        v = np.array(found.getVelocities(asNumpy=True)._value)[None]
        known = self._state
        if known is None or not (np.array_equal(x, known.x) and np.array_equal(v, known.v)):
            return self._macro_step.start(x, v)
        return known

    def _attach(self) -> openmm.Context:
        if self._context is None:
            self._context = self._find_context()
            dynamics = dynamics_in(self._context, self._dt_ps, "KStepIntegrator")
            ensemble: Ensemble = "nve" if self._temperature is None else "nvt"
            self._macro_step = MacroStep(self._jump, dynamics, self._config, 1, ensemble)
            self._thermostat = None
            if self._temperature is not None:
                self._thermostat = OrnsteinUhlenbeck(
                    dynamics,
                    self._temperature,
                    self._config.friction_per_ps,
                    self._macro_step.duration,
                    self._rng,
                )
        return self._context

    def _find_context(self) -> openmm.Context:
        # A Context knows its integrator but not the other way round, and OpenMM calls nothing
        # in Python when the two are joined: look the Context up once among live objects.
        # By type, not isinstance: asking some lazy objects for their class has side effects.
        for candidate in gc.get_objects():
            if issubclass(type(candidate), openmm.Context) and candidate._integrator is self:
                return candidate
        raise openmm.OpenMMException("This Integrator is not bound to a context!")

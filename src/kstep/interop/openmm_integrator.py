"""The hybrid as an OpenMM integrator, for use in a stock `openmm.app.Simulation`."""

from dataclasses import replace

import numpy as np
import openmm
from jaxtyping import Float, Int
from openmm import unit

from kstep.config import HybridConfig
from kstep.errors import ConfigError
from kstep.integrators.compiled_dynamics import dynamics_in
from kstep.integrators.correctors import usual_corrector
from kstep.integrators.openmm_steps import add_recording_velocity_verlet
from kstep.integrators.outer_step import Accounts, Ensemble, MacroStep
from kstep.integrators.state import Jump, PhaseState, Replicas
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.potentials.systems import particle_masses
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.molecule import Molecule

LENGTH_TOLERANCE_NM = 1e-6
MASS_TOLERANCE_DA = 1e-3

Shown = tuple[Replicas, Replicas]
"""Positions, nm, and velocities, nm/ps, as a Context gives them [1, N, 3]."""


class KStepIntegrator(openmm.CustomIntegrator):
    """Macro-steps behind OpenMM's integrator interface.

    One `step` is one macro-step: `simulation.step(n)` makes n of them, and `getStepSize()` is
    the time of one, so stock reporters write the right times. The Context's time and step
    count advance accordingly. With `temperature` a macro-step ends with the stochastic step of
    NVT; without, the dynamics are NVE. Where the System has a `CMMotionRemover`, as OpenMM's own
    force fields give it, the centre of mass is at rest after every macro-step.

    OpenMM tells an integrator nothing of its Context: `bind` does.

    Example:
        >>> jump = load_learned_jump(checkpoint, molecule, 8, 0.002, "closing_kick")
        >>> integrator = KStepIntegrator(jump, molecule, dt_ps=0.002, temperature=300.0)
        >>> simulation = app.Simulation(topology, system, integrator)
        >>> integrator.bind(simulation.context)
    """

    def __init__(
        self,
        jump: Jump,
        molecule: Molecule,
        dt_ps: float,
        temperature: float | None = None,
        config: HybridConfig | None = None,
        seed: int = 42,
    ) -> None:
        """Set up the integrator.

        Args:
            jump: a learned or oracle jump.
            molecule: whose jump it is, with the terms of its force field.
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
        self._molecule = molecule
        self._dt_ps = dt_ps
        self._temperature = temperature
        self._config = config
        self._rng = np.random.default_rng(seed)
        self._context: openmm.Context | None = None
        self._last: tuple[PhaseState, Shown] | None = None

    def bind(self, context: openmm.Context) -> None:
        """Say which Context this integrator moves: once, before the first step.

        Raises ConfigError for another integrator's Context, and for a System that is not the
        molecule: other atoms, masses or rigid bonds, a periodic box, a thermostat.
        """
        if context.getIntegrator() is not self:
            raise ConfigError(
                "this Context was made with another integrator: give KStepIntegrator.bind the "
                "Context of the Simulation that was made with it."
            )
        system = context.getSystem()
        require_molecule(system, self._molecule)
        dynamics = dynamics_in(context, self._dt_ps, self._molecule.name)
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
        self._at_rest = any(isinstance(f, openmm.CMMotionRemover) for f in system.getForces())
        self._context = context

    @property
    def accounts(self) -> Accounts:
        """Force calls, rejected jumps and wall time by part so far."""
        self._bound()
        return self._macro_step.accounts

    def getStepSize(self) -> unit.Quantity:  # noqa: N802 (OpenMM's name)
        """The time of one macro-step."""
        base_steps = MacroStep.base_steps_of(self._jump, self._config)
        return base_steps * self._dt_ps * unit.picosecond

    def step(self, steps: int) -> None:
        """Advance the Context by `steps` macro-steps.

        Raises ConfigError where no Context is bound.
        """
        context = self._bound()
        time, count = context.getTime(), context.getStepCount()
        state = self._current_state(context)
        for _ in range(steps):
            state = self._macro_step(state)
            if self._thermostat is not None:
                state = self._thermostat(state)
            if self._at_rest:
                state = replace(state, v=remove_centre_of_mass(state.v, self._molecule.masses))
        context.setPositions(state.x[0])
        context.setVelocities(state.v[0])
        context.setTime(time + steps * self.getStepSize())
        context.setStepCount(count + steps)
        self._last = state, _shown_by(context)

    def _current_state(self, context: openmm.Context) -> PhaseState:
        """The Context's state; forces are evaluated only if somebody else changed it."""
        shown = _shown_by(context)
        if self._last is not None:
            state, left = self._last  # as the Context showed it then, perhaps rounded
            if all(map(np.array_equal, shown, left)):
                return state
        return self._macro_step.start(*shown)

    def _bound(self) -> openmm.Context:
        if self._context is None:
            raise ConfigError(
                "this KStepIntegrator does not know its Context: call "
                "integrator.bind(simulation.context) once the Simulation is made."
            )
        return self._context


def require_molecule(system: openmm.System, molecule: Molecule) -> None:
    """Refuse, with ConfigError, a System in which the jumps of a molecule would go wrong."""
    terms, name = molecule.terms, molecule.name
    rigid = terms.bond_constants[:, 0] == 0.0
    wanted = _lengths(terms.bonds[rigid], terms.bond_constants[rigid, 1])
    constraints = map(system.getConstraintParameters, range(system.getNumConstraints()))
    found = {tuple(sorted((i, j))): length._value for i, j, length in constraints}
    thermostats = [f for f in system.getForces() if isinstance(f, openmm.AndersenThermostat)]
    if system.getNumParticles() != molecule.n_atoms:
        wrong = f"has {system.getNumParticles()} particles, not the {molecule.n_atoms} of {name}"
    elif np.abs(particle_masses(system) - molecule.masses).max() > MASS_TOLERANCE_DA:
        wrong = f"has other masses than {name}"
    elif found.keys() != wanted.keys():
        wrong = f"constrains {len(found)} distances, not the {len(wanted)} that {name} has rigid"
    elif any(abs(found[pair] - wanted[pair]) > LENGTH_TOLERANCE_NM for pair in wanted):
        wrong = f"constrains distances to other lengths than those of {name}"
    elif system.usesPeriodicBoundaryConditions():
        wrong = f"is periodic, and {name} jumps as an isolated molecule"
    elif thermostats:
        wrong = "has an AndersenThermostat, which acts between steps that a jump does not make"
    else:
        return
    raise ConfigError(
        f"the System of this Context {wrong}: make the Simulation with the System that {name} was "
        "prepared with (kstep.potentials.systems.load_system)."
    )


def _lengths(
    pairs: Int[np.ndarray, "C 2"], lengths: Float[np.ndarray, " C"]
) -> dict[tuple[int, int], float]:
    return {(min(p), max(p)): d for p, d in zip(pairs.tolist(), lengths.tolist(), strict=True)}


def _shown_by(context: openmm.Context) -> Shown:
    found = context.getState(positions=True, velocities=True)
    arrays = (found.getPositions(asNumpy=True), found.getVelocities(asNumpy=True))
    x, v = (np.array(array._value)[None] for array in arrays)
    return x, v

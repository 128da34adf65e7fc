"""One block of baseline dynamics: Langevin sampling, an NVE window, and bursts.

A block starts from the state the previous one ended in and from seeds of its own, so that a
run killed between two blocks goes on exactly as if nothing had happened.
"""

from dataclasses import dataclass

import numpy as np
import openmm
from jaxtyping import Float, Int

from kstep.config import MdConfig
from kstep.integrators.openmm_steps import langevin, recording_velocity_verlet, velocity_verlet
from kstep.integrators.platforms import make_context
from kstep.integrators.true_dynamics import Atoms, TrueDynamics, TrueState, explosion
from kstep.parallel import Report
from kstep.potentials import counts, forget, minimise, stopped
from kstep.system.mechanics import maxwell_boltzmann, remove_centre_of_mass


@dataclass(frozen=True, eq=False)
class Frames:
    """Consecutive saved states of one ensemble, velocities synchronous with positions.

    Attributes:
        pos: nm [F, N, 3].
        vel: nm/ps [F, N, 3].
        epot: kJ/mol [F].
        steps: base steps since the start of the stretch [F].
    """

    pos: Float[np.ndarray, "F N 3"]
    vel: Float[np.ndarray, "F N 3"]
    epot: Float[np.ndarray, " F"]
    steps: np.ndarray


@dataclass(frozen=True, eq=False)
class Bursts:
    """Short NVE runs, stored every few base steps (float32; the training data).

    Attributes:
        pos, vel, forces: states, nm, nm/ps, kJ/mol/nm [B, S, N, 3].
        vel_half: velocity over the base step that follows each state, nm/ps [B, S, N, 3].
        frame: index of the sampled frame each burst started from [B].
        calls: true-force evaluations that each cost [B].
    """

    pos: Float[np.ndarray, "B S N 3"]
    vel: Float[np.ndarray, "B S N 3"]
    forces: Float[np.ndarray, "B S N 3"]
    vel_half: Float[np.ndarray, "B S N 3"]
    frame: np.ndarray
    calls: np.ndarray


class Sampler:
    """Runs the pieces of a block for one molecule on one platform."""

    def __init__(
        self, system: openmm.System, platform: str, config: MdConfig, name: str, report: Report
    ) -> None:
        """`report` is told of the time simulated; `name` is for error messages."""
        self._system = system
        self._platform = platform
        self._config = config
        self._name = name
        self._report = report
        context = make_context(system, recording_velocity_verlet(config.dt_ps), platform)
        self._dynamics = TrueDynamics(context, config.dt_ps, name)
        self._scratch = make_context(system, velocity_verlet(config.dt_ps), platform)

    @property
    def dt_ps(self) -> float:
        """The base time step, ps."""
        return self._config.dt_ps

    @property
    def equilibration_steps(self) -> int:
        """Base steps, and so true-force calls, of `equilibrate` after the minimisation."""
        return max(round(self._config.equilibration_ps / self._config.dt_ps), 1)

    def forget(self) -> None:
        """Have the potential forget what came before: to be called wherever a run may be resumed.

        A potential that starts from its last wavefunctions then gives the same digits to a run
        that comes here for the first time and to one that begins here.
        """
        forget(self._system)

    @property
    def counts(self) -> Int[np.ndarray, " 3"]:
        """`kstep.potentials.COUNTS` of the potential so far."""
        return counts(self._system)

    def equilibrate(self, positions: Atoms, temperature: float, seed: int) -> tuple[Atoms, Atoms]:
        """Minimise, heat and run the configured equilibration; returns (x, v)."""
        x, _ = self.quench(positions)
        v = self.draw_velocities(x, temperature, np.random.default_rng(seed))
        steps = self.equilibration_steps
        frames = self.sample(x, v, temperature, seed, steps, steps)
        return frames.pos[-1], frames.vel[-1]

    def quench(self, positions: Atoms) -> tuple[Atoms, float]:
        """The local minimum under `positions`: its positions (nm) and energy (kJ/mol)."""
        self._scratch.setPositions(positions)
        minimise(self._scratch)
        state = self._scratch.getState(positions=True, energy=True)
        minimum = np.array(state.getPositions(asNumpy=True)._value)
        return minimum, float(state.getPotentialEnergy()._value)

    def sample(
        self, x: Atoms, v: Atoms, temperature: float, seed: int, n_steps: int, interval: int
    ) -> Frames:
        """Langevin dynamics from (x, v), a frame every `interval` steps."""
        integrator = langevin(self._config.dt_ps, temperature, self._config.friction_per_ps, seed)
        context = make_context(self._system, integrator, self._platform)
        return self._record(context, x, v, n_steps, interval)

    def window(self, x: Atoms, v: Atoms, n_steps: int, interval: int) -> Frames:
        """Constant-energy dynamics from (x, v), a frame every `interval` steps."""
        context = make_context(self._system, velocity_verlet(self._config.dt_ps), self._platform)
        return self._record(context, x, v, n_steps, interval)

    def bursts(
        self, frames: Frames, count: int, temperature: float, rng: np.random.Generator
    ) -> Bursts:
        """`count` bursts from frames spread evenly, each with fresh canonical velocities.

        Positions and velocities of the canonical ensemble are independent, so fresh velocities
        are exact and make neighbouring bursts less alike. The centre of mass is put at rest.
        """
        stride, length = self._config.burst.stride_steps, self._config.burst.length_steps
        n_frames, n_atoms = frames.pos.shape[:2]
        chosen = np.linspace(0, n_frames - 1, count).round().astype(np.int64)
        shape = (count, length // stride + 1, n_atoms, 3)
        stored = {key: np.empty(shape, np.float32) for key in ("pos", "vel", "forces", "vel_half")}
        calls = np.zeros(count, dtype=np.int64)
        for burst, frame in enumerate(chosen):
            before = self._dynamics.calls
            x = remove_centre_of_mass(frames.pos[frame], self._dynamics.masses)
            v = self.draw_velocities(x, temperature, rng)
            v = remove_centre_of_mass(v, self._dynamics.masses)
            self._burst(x, v, stride, {key: value[burst] for key, value in stored.items()})
            calls[burst] = self._dynamics.calls - before
            self._report(length * self._config.dt_ps)
        return Bursts(**stored, frame=chosen, calls=calls)

    def motion(
        self, x: Atoms, v: Atoms, n_steps: int
    ) -> tuple[Float[np.ndarray, "F N 3"], Float[np.ndarray, " F"]]:
        """Velocities and potential energies of every step of constant-energy dynamics."""
        vel, epot = self._dynamics.motion(x, v, n_steps)
        self._report(n_steps * self._config.dt_ps)
        return vel, epot

    def draw_velocities(self, x: Atoms, temperature: float, rng: np.random.Generator) -> Atoms:
        """Canonical velocities that respect the constraints at x."""
        drawn = maxwell_boltzmann(rng, self._dynamics.masses, temperature)
        return self._dynamics.constrain_velocities(x, drawn)

    def _burst(self, x: Atoms, v: Atoms, stride: int, out: dict[str, np.ndarray]) -> None:
        dynamics = self._dynamics
        forces, epot = dynamics.evaluate(x)
        state = TrueState(x, v, forces, epot)
        for index in range(len(out["pos"])):
            if index == 0:
                following = dynamics.steps(x, v, 1)
            else:
                state = dynamics.more_steps(stride - 1)
                following = dynamics.more_steps(1)
            out["pos"][index], out["vel"][index] = state.x, state.v
            out["forces"][index] = state.forces
            out["vel_half"][index] = (following.x - state.x) / dynamics.dt_ps

    def _record(
        self, context: openmm.Context, x: Atoms, v: Atoms, n_steps: int, interval: int
    ) -> Frames:
        context.setPositions(x)
        context.setVelocities(v)
        integrator, n_frames = context.getIntegrator(), n_steps // interval
        pos = np.empty((n_frames, *x.shape))
        vel, epot = np.empty_like(pos), np.empty(n_frames)
        for index in range(n_frames):
            try:
                integrator.step(interval)
                state = context.getState(positions=True, velocities=True, energy=True)
            except openmm.OpenMMException as error:
                raise stopped(error, explosion(self._name, "baseline")) from error
            pos[index] = state.getPositions(asNumpy=True)._value
            vel[index] = state.getVelocities(asNumpy=True)._value
            epot[index] = state.getPotentialEnergy()._value
            if not np.isfinite(epot[index]):
                raise explosion(self._name, "baseline")
            self._report(interval * self._config.dt_ps)
        return Frames(pos, vel, epot, interval * np.arange(1, n_frames + 1))

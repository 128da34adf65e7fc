"""One replica of a control: equilibration, sampling, and the NVE windows that start from it."""

import numpy as np
import openmm
from jaxtyping import Float

from kstep.errors import SimulationError
from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE
from kstep.integrators.platforms import make_context
from kstep.integrators.reference.variants import Variant
from kstep.parallel import Report
from kstep.potentials import forget, minimise, stopped
from kstep.potentials.systems import particle_masses
from kstep.system.mechanics import maxwell_boltzmann
from kstep.system.prepared import PreparedMolecule
from kstep.units import PS_PER_FS
from kstep.workflow.controls.plan import Plan

Atoms = Float[np.ndarray, "N 3"]
Stretch = dict[str, np.ndarray]
"""`pos` (nm), `vel` (nm/ps), [F, N, 3], and `epot` (kJ/mol) [F] of consecutive frames."""


class Runner:
    """Runs replicas of one control of one molecule on one platform.

    Attributes:
        system: the control's System.
        masses: those simulated, Da [N].
    """

    def __init__(
        self,
        molecule: PreparedMolecule,
        variant: Variant,
        plan: Plan,
        system: openmm.System,
        platform: str,
    ) -> None:
        """`platform` is an OpenMM platform's name."""
        self._molecule = molecule
        self._variant = variant
        self._plan = plan
        self._platform = platform
        self.system = system
        self.masses: Float[np.ndarray, " N"] = particle_masses(system)

    def replica(self, index: int, report: Report) -> tuple[Stretch, list[Stretch]]:
        """The frames of one replica, and those of its NVE windows.

        A window starts from a sampled frame with velocities drawn afresh: positions and
        velocities of the canonical ensemble are independent, while those of a frame of a
        Langevin integrator need not belong to the same instant.

        Raises SimulationError when the numbers are no longer finite.
        """
        # Names are part of the seed: runs made side by side must not share noise.
        names = f"{self._molecule.name}/{self._variant.name}".encode()
        entropy = np.random.SeedSequence([self._plan.seed, index, *names])
        noise, velocities = (int(s) for s in entropy.generate_state(2) % (2**31 - 1) + 1)
        rng = np.random.default_rng(velocities)
        plan, variant = self._plan, self._variant
        forget(self.system)
        context = self._context(
            variant.langevin(variant.dt_ps, plan.temperature_K, plan.friction_per_ps, noise)
        )
        context.setPositions(self._molecule.positions)
        minimise(context)
        self._draw_velocities(context, rng)
        self._step(context, plan.equilibration_steps)
        report(plan.equilibration_ps)
        sampled = self._frames(context, plan.n_frames, report)
        count = plan.windows_of(index)
        starts = np.linspace(0, plan.n_frames - 1, count + 1).round().astype(int)[1:]
        windows = [self._window(sampled["pos"][start], rng, report) for start in starts]
        return sampled, windows

    def _window(self, x: Atoms, rng: np.random.Generator, report: Report) -> Stretch:
        context = self._context(self._variant.conserving(self._variant.dt_ps))
        context.setPositions(x)
        self._draw_velocities(context, rng)
        return self._frames(context, self._plan.window_frames, report)

    def _context(self, integrator: openmm.Integrator) -> openmm.Context:
        return make_context(self.system, integrator, self._platform)

    def _draw_velocities(self, context: openmm.Context, rng: np.random.Generator) -> None:
        drawn = maxwell_boltzmann(rng, self.masses, self._plan.temperature_K)
        context.setVelocities(drawn)
        context.applyVelocityConstraints(CONSTRAINT_TOLERANCE)

    def _frames(self, context: openmm.Context, n_frames: int, report: Report) -> Stretch:
        pos = np.empty((n_frames, self._molecule.n_atoms, 3))
        vel, epot = np.empty_like(pos), np.empty(n_frames)
        for index in range(n_frames):
            self._step(context, self._plan.interval_steps)
            state = context.getState(positions=True, velocities=True, energy=True)
            pos[index] = state.getPositions(asNumpy=True)._value
            vel[index] = state.getVelocities(asNumpy=True)._value
            epot[index] = state.getPotentialEnergy()._value
            if not (np.isfinite(epot[index]) and np.isfinite(vel[index]).all()):
                raise self._explosion()
            report(self._plan.save_interval_ps)
        return {"pos": pos, "vel": vel, "epot": epot}

    def _step(self, context: openmm.Context, n_steps: int) -> None:
        try:
            context.getIntegrator().step(n_steps)
        except openmm.OpenMMException as error:
            raise stopped(error, self._explosion()) from error

    def _explosion(self) -> SimulationError:
        return SimulationError(
            f"{self._molecule.name}: the control {self._variant.name} left the range of finite "
            f"numbers at its step of {self._variant.dt_ps / PS_PER_FS:g} fs: leave it out of "
            "controls.integrators."
        )

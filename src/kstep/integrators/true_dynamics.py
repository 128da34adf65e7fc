"""True dynamics of one molecule: the only door to its forces, with a counter on it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm
from jaxtyping import Float

from kstep.errors import SimulationError
from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE
from kstep.potentials import stopped
from kstep.potentials.systems import particle_masses

Atoms = Float[np.ndarray, "N 3"]
Replicas = Float[np.ndarray, "R N 3"]


def explosion(name: str, dynamics: str) -> SimulationError:
    """What to raise when the named dynamics of a molecule are no longer finite."""
    return SimulationError(
        f"{name}: the {dynamics} dynamics left the range of finite numbers; check the molecule's "
        "geometry and potential, or run with a smaller md.dt_fs."
    )


@dataclass(frozen=True, eq=False)
class TrueState:
    """A state with the true force and energy at its positions.

    Attributes:
        x: nm [N, 3].
        v: nm/ps [N, 3], at the same instant.
        forces: kJ/mol/nm [N, 3].
        epot: kJ/mol.
    """

    x: Atoms
    v: Atoms
    forces: Atoms
    epot: float


class TrueDynamics:
    """The true forces, constraints and velocity-Verlet steps of one molecule.

    One OpenMM Context lives as long as the object. Every method that evaluates forces adds to
    `calls`; constraint operations evaluate none.

    Attributes:
        calls: true-force evaluations so far (energy included in each).
        dt_ps: the base time step, ps.
        masses: Da [N].
        project: (x, v) → v projected, of replicas, where there is a faster way to what
            `constrain_velocities` returns than OpenMM's, to which states have to go and come back.
    """

    def __init__(self, context: openmm.Context, dt_ps: float, name: str) -> None:
        """Wrap a Context with a `recording_velocity_verlet`; `name` is for error messages."""
        self._context = context
        self._integrator = context.getIntegrator()
        self._name = name
        self.project: Callable[[Replicas, Replicas], Replicas] | None = None
        self.calls = 0
        self.dt_ps = dt_ps
        system = context.getSystem()
        self.n_constraints: int = system.getNumConstraints()
        self.masses: Float[np.ndarray, " N"] = particle_masses(system)

    def evaluate(self, x: Atoms) -> tuple[Atoms, float]:
        """Forces (kJ/mol/nm) and potential energy (kJ/mol) at x: one call."""
        self.calls += 1
        self._context.setPositions(x)
        try:
            state = self._context.getState(forces=True, energy=True)
        except openmm.OpenMMException as error:
            raise stopped(error, explosion(self._name, "true")) from error
        forces = np.array(state.getForces(asNumpy=True)._value)
        return forces, float(state.getPotentialEnergy()._value)

    def evaluate_all(self, x: Replicas) -> tuple[Replicas, Float[np.ndarray, " R"]]:
        """The same for every replica: as many calls."""
        forces, epot = np.empty_like(x, dtype=np.float64), np.empty(len(x))
        for replica, positions in enumerate(x):
            forces[replica], epot[replica] = self.evaluate(positions)
        return forces, epot

    def constrain_positions(self, x: Atoms) -> Atoms:
        """The nearby positions with all constrained lengths right (to 1e-8)."""
        if not self.n_constraints:
            return x
        self._context.setPositions(x)
        self._context.applyConstraints(CONSTRAINT_TOLERANCE)
        return np.array(self._context.getState(positions=True).getPositions(asNumpy=True)._value)

    def constrain_all_positions(self, x: Replicas) -> Replicas:
        """The same for every replica."""
        return np.stack([self.constrain_positions(positions) for positions in x])

    def constrain_velocities(self, x: Atoms, v: Atoms) -> Atoms:
        """V without its components along the constraints at x (mass-weighted projection)."""
        (projected,) = self.constrain_all_velocities(x[None], v[None])
        return np.asarray(projected)

    def constrain_all_velocities(self, x: Replicas, v: Replicas) -> Replicas:
        """The same for every replica."""
        if not self.n_constraints:
            return v
        if self.project is not None:
            return self.project(x, v)
        projected = [self._constrained(*state) for state in zip(x, v, strict=True)]
        return np.stack(projected) if projected else v

    def _constrained(self, x: Atoms, v: Atoms) -> Atoms:
        """Velocities as OpenMM constrains them."""
        self._context.setPositions(x)
        self._context.setVelocities(v)
        self._context.applyVelocityConstraints(CONSTRAINT_TOLERANCE)
        return np.array(self._context.getState(velocities=True).getVelocities(asNumpy=True)._value)

    def motion(
        self, x: Atoms, v: Atoms, n_frames: int, interval: int = 1
    ) -> tuple[Float[np.ndarray, "F N 3"], Float[np.ndarray, " F"]]:
        """Velocities (nm/ps) and potential energies (kJ/mol) along velocity Verlet from (x, v).

        A frame every `interval` steps, both at the same instant; n_frames · interval + 1 calls.
        Raises SimulationError when the numbers are no longer finite.
        """
        vel, epot = np.empty((n_frames, *x.shape)), np.empty(n_frames)
        self._context.setPositions(x)
        self._context.setVelocities(v)
        self.calls += 1 + n_frames * interval
        for frame in range(n_frames):
            try:
                self._integrator.step(interval)
            except openmm.OpenMMException as error:
                raise stopped(error, explosion(self._name, "true")) from error
            state = self._context.getState(velocities=True)
            vel[frame] = state.getVelocities(asNumpy=True)._value
            # Not getState's energy, which would cost a second evaluation of the forces.
            epot[frame] = self._integrator.getGlobalVariableByName("potential")
        if not (np.isfinite(vel).all() and np.isfinite(epot).all()):
            raise explosion(self._name, "true")
        return vel, epot

    def steps(self, x: Atoms, v: Atoms, n_steps: int) -> TrueState:
        """The state after `n_steps` of velocity Verlet from (x, v): n_steps + 1 calls.

        The extra one is the force at the start, which OpenMM does not take from outside.
        """
        self._context.setPositions(x)
        self._context.setVelocities(v)
        self.calls += 1
        return self.more_steps(n_steps)

    def more_steps(self, n_steps: int) -> TrueState:
        """Go on from where the last `steps` ended: one call a step.

        Raises SimulationError when the numbers are no longer finite.
        """
        self.calls += n_steps
        try:
            # Past any override: KStepIntegrator's own `step` comes here for its true steps.
            openmm.CustomIntegrator.step(self._integrator, n_steps)
        except openmm.OpenMMException as error:
            raise stopped(error, explosion(self._name, "true")) from error
        state = self._context.getState(positions=True, velocities=True)
        result = TrueState(
            x=np.array(state.getPositions(asNumpy=True)._value),
            v=np.array(state.getVelocities(asNumpy=True)._value),
            forces=np.array(self._integrator.getPerDofVariableByName("forces")),
            epot=float(self._integrator.getGlobalVariableByName("potential")),
        )
        if not (np.isfinite(result.x).all() and np.isfinite(result.v).all()):
            raise explosion(self._name, "true")
        return result

"""True dynamics for macro-steps, with the constraints of velocities as machine code."""

import numpy as np
import openmm

from kstep.compiled.rigid import RigidProjection
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.integrators.platforms import make_context
from kstep.integrators.true_dynamics import TrueDynamics


def make_dynamics(system: openmm.System, dt_ps: float, platform: str, name: str) -> TrueDynamics:
    """The true forces, constraints and base steps of a System on a platform."""
    context = make_context(system, recording_velocity_verlet(dt_ps), platform)
    return dynamics_in(context, dt_ps, name)


def dynamics_in(context: openmm.Context, dt_ps: float, name: str) -> TrueDynamics:
    """The same in a Context that has a `recording_velocity_verlet`.

    Every macro-step projects velocities twice, which through OpenMM takes longer than a cheap
    force.
    """
    dynamics, system = TrueDynamics(context, dt_ps, name), context.getSystem()
    if dynamics.n_constraints:
        numbers = range(dynamics.n_constraints)
        bonds = [system.getConstraintParameters(number)[:2] for number in numbers]
        dynamics.project = RigidProjection(np.array(bonds, dtype=np.int64), dynamics.masses)
    return dynamics

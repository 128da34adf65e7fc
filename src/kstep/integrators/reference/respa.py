"""r-RESPA: bonded forces several times per evaluation of the others.

Tuckerman, Berne & Martyna, J. Chem. Phys. 97, 1990 (1992). The outer step cannot exceed half the
period of the fastest motion left, some 5 fs, whatever the inner one (resonance).
"""

import openmm

from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE

INNER_STEPS = 4
INNER_CALLS = INNER_STEPS + 1
"""Bonded evaluations per outer step: OpenMM repeats one where the slow forces came between."""

_SLOW, _FAST = 0, 1
_GROUPS = [(_SLOW, 1), (_FAST, INNER_STEPS)]
_BONDED = (
    openmm.HarmonicBondForce,
    openmm.HarmonicAngleForce,
    openmm.PeriodicTorsionForce,
    openmm.RBTorsionForce,
    openmm.CMAPTorsionForce,
    openmm.CustomBondForce,
    openmm.CustomAngleForce,
    openmm.CustomTorsionForce,
)


def split_forces(system: openmm.System) -> None:
    """Put bonded forces into the fast group and all others into the slow one, in place."""
    for force in system.getForces():
        force.setForceGroup(_FAST if isinstance(force, _BONDED) else _SLOW)


def respa_langevin(
    dt_ps: float, temperature: float, friction: float, seed: int
) -> openmm.CustomIntegrator:
    """BAOAB-RESPA: the thermostat acts in the inner loop, velocities end synchronous.

    Lagardère, Aviat & Piquemal, J. Phys. Chem. Lett. 10, 2593 (2019). For `split_forces` Systems.

    Args:
        dt_ps: outer time step, ps.
        temperature: K.
        friction: 1/ps.
        seed: of the noise, positive.
    """
    integrator = openmm.MTSLangevinIntegrator(temperature, friction, dt_ps, _GROUPS)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    integrator.setRandomNumberSeed(seed)
    return integrator


def respa_velocity_verlet(dt_ps: float) -> openmm.CustomIntegrator:
    """Velocity-Verlet r-RESPA with RATTLE at outer step `dt_ps`, velocities synchronous."""
    integrator = openmm.MTSIntegrator(dt_ps, _GROUPS)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    return integrator

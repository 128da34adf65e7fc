"""The base integrators, as OpenMM CustomIntegrators with synchronous velocities.

Both leave positions and velocities at the same instant. OpenMM's own Verlet and Langevin-middle
integrators keep velocities half a step behind, so the total energy of their saved states
fluctuates some twenty times more and no jump could start from them.
"""

import math

import openmm

from kstep.units import BOLTZMANN

CONSTRAINT_TOLERANCE = 1e-8
"""Relative tolerance of constrained bond lengths."""


def velocity_verlet(dt_ps: float) -> openmm.CustomIntegrator:
    """Velocity Verlet with RATTLE: x, v → x, v over `dt_ps` with one new force call.

    | step | equation |
    |---|---|
    | half kick | v½ = v + ½ dt F(x)/m |
    | drift | x' = SHAKE(x + dt v½), v½ gets the constraint impulse |
    | half kick | v' = RATTLE(v½ + ½ dt F(x')/m) |

    Andersen, J. Comput. Phys. 52, 24 (1983).
    """
    integrator = openmm.CustomIntegrator(dt_ps)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    add_velocity_verlet(integrator)
    return integrator


def recording_velocity_verlet(dt_ps: float) -> openmm.CustomIntegrator:
    """Velocity Verlet that keeps the force and energy it last evaluated.

    After a step the per-DOF variable `forces` and the global variable `potential` hold F(x')
    and U(x'), which a Context would otherwise have to evaluate once more to report.
    """
    integrator = openmm.CustomIntegrator(dt_ps)
    add_recording_velocity_verlet(integrator)
    return integrator


def add_recording_velocity_verlet(integrator: openmm.CustomIntegrator) -> None:
    """Write the program of `recording_velocity_verlet` into an empty integrator."""
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    add_velocity_verlet(integrator)
    integrator.addPerDofVariable("forces", 0)
    integrator.addGlobalVariable("potential", 0)
    integrator.addComputePerDof("forces", "f")
    integrator.addComputeGlobal("potential", "energy")


def langevin(
    dt_ps: float, temperature: float, friction: float, seed: int
) -> openmm.CustomIntegrator:
    """Velocity Verlet followed by the exact Ornstein–Uhlenbeck step for the velocities.

    A splitting of Langevin dynamics (Bussi & Parrinello, Phys. Rev. E 75, 056707 (2007)). Its
    velocities are exactly canonical, and its positions follow the distribution that velocity
    Verlet itself conserves at this dt, so NVE runs started from its states are in equilibrium.

    Args:
        dt_ps: time step, ps.
        temperature: K.
        friction: 1/ps.
        seed: of the noise, positive.
    """
    integrator = openmm.CustomIntegrator(dt_ps)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    integrator.setRandomNumberSeed(seed)
    add_velocity_verlet(integrator)
    add_ornstein_uhlenbeck(integrator, dt_ps, temperature, friction)
    return integrator


def add_ornstein_uhlenbeck(
    integrator: openmm.CustomIntegrator, dt_ps: float, temperature: float, friction: float
) -> None:
    """Write the exact Ornstein–Uhlenbeck step of `langevin` into an integrator.

    v ← e^{−γ dt} v + √(1 − e^{−2γ dt}) · (canonical velocities), along the constraints.
    """
    keep = math.exp(-friction * dt_ps)
    integrator.addGlobalVariable("keep", keep)
    integrator.addGlobalVariable("noise", math.sqrt((1 - keep**2) * BOLTZMANN * temperature))
    integrator.addComputePerDof("v", "keep*v + noise*gaussian/sqrt(m)")
    integrator.addConstrainVelocities()


def add_velocity_verlet(integrator: openmm.CustomIntegrator, force: str = "f") -> None:
    """Write the step of `velocity_verlet` into an integrator.

    Args:
        integrator: without a per-DOF variable `free`.
        force: what holds the force where the step begins: a per-DOF variable, or `f`, which
            OpenMM evaluates where it has not.
    """
    integrator.addPerDofVariable("free", 0)
    integrator.addComputePerDof("v", f"v + 0.5*dt*{force}/m")
    integrator.addComputePerDof("x", "x + dt*v")
    integrator.addComputePerDof("free", "x")
    integrator.addConstrainPositions()
    integrator.addComputePerDof("v", "v + 0.5*dt*f/m + (x - free)/dt")
    integrator.addConstrainVelocities()

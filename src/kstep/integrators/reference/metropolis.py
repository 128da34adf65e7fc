"""Langevin dynamics with a Metropolis test: samples the true distribution at the usual step.

It has no error of the step, at a quarter of the force calls of steps of 0.5 fs. Generalised hybrid
Monte Carlo (Horowitz, Phys. Lett. B 268, 247 (1991); constrained, Lelièvre, Rousset & Stoltz, Math.
Comput. 81, 2071 (2012)) whose proposals are stretches of Langevin dynamics, tested by the work that
their finite step does (Nilmeier, Crooks, Minh & Chodera, PNAS 108, E1009 (2011)). Without friction
inside, a proposal leaves the amplitude of every vibration that it spans n half periods of as it
was.
"""

import openmm

from kstep.integrators.openmm_steps import (
    CONSTRAINT_TOLERANCE,
    add_ornstein_uhlenbeck,
    add_velocity_verlet,
)
from kstep.units import BOLTZMANN


def ghmc(
    dt_ps: float, temperature: float, friction: float, seed: int, *, trajectory_steps: int
) -> openmm.CustomIntegrator:
    """Metropolised Langevin dynamics: a step is one of velocity Verlet, and pays one force.

    | when | equation |
    |---|---|
    | before every step | v ← e^{−γ dt} v + √(1 − e^{−2γ dt}) · (canonical velocities) |
    | every step | velocity Verlet with RATTLE, does the work w = H' − H |
    | after `trajectory_steps` | if u ≥ e^{−Σw/k_B T}: back, velocities reversed |

    u is uniform in [0, 1); back is where the first velocity Verlet of the trajectory began. Only
    states after the last step of a trajectory belong to the ensemble. The global variables `tested`
    and `accepted` count trajectories.

    Args:
        dt_ps: time step, ps.
        temperature: K.
        friction: 1/ps.
        seed: of noise and tests, positive.
        trajectory_steps: steps between two tests.
    """
    integrator = openmm.CustomIntegrator(dt_ps)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    integrator.setRandomNumberSeed(seed)
    for name, value in {
        "thermal": BOLTZMANN * temperature,
        **dict.fromkeys(("known", "taken", "tested", "accepted", "accept"), 0.0),
        **dict.fromkeys(("potential", "kinetic", "unheated", "heat", "old_energy"), 0.0),
        "old_potential": 0.0,
    }.items():
        integrator.addGlobalVariable(name, value)
    for name in ("force", "old_x", "old_v", "old_force"):
        integrator.addPerDofVariable(name, 0)
    _add_first_evaluation(integrator)
    _add_thermostat(integrator, dt_ps, temperature, friction)
    _add_beginning(integrator)
    _add_step(integrator)
    _add_test(integrator, trajectory_steps)
    return integrator


def _add_first_evaluation(integrator: openmm.CustomIntegrator) -> None:
    """The force where the run begins; from then on it is carried along, past refusals too."""
    integrator.beginIfBlock("known = 0")
    integrator.addComputePerDof("force", "f")
    integrator.addComputeGlobal("potential", "energy")
    integrator.addComputeGlobal("known", "1")
    integrator.endBlock()


def _add_thermostat(
    integrator: openmm.CustomIntegrator, dt_ps: float, temperature: float, friction: float
) -> None:
    """Ornstein–Uhlenbeck step, its heat counted."""
    integrator.addComputeSum("unheated", "0.5*m*v*v")
    add_ornstein_uhlenbeck(integrator, dt_ps, temperature, friction)
    integrator.addComputeSum("kinetic", "0.5*m*v*v")
    integrator.addComputeGlobal("heat", "heat + kinetic - unheated")


def _add_beginning(integrator: openmm.CustomIntegrator) -> None:
    """Where to go back to. The thermostat's step before it is no part of the trajectory."""
    integrator.beginIfBlock("taken = 0")
    integrator.addComputeGlobal("heat", "0")
    integrator.addComputeGlobal("old_potential", "potential")
    integrator.addComputeGlobal("old_energy", "potential + kinetic")
    for name in ("x", "v", "force"):
        integrator.addComputePerDof(f"old_{name}", name)
    integrator.endBlock()


def _add_step(integrator: openmm.CustomIntegrator) -> None:
    add_velocity_verlet(integrator, force="force")
    integrator.addComputePerDof("force", "f")
    integrator.addComputeGlobal("taken", "taken + 1")


def _add_test(integrator: openmm.CustomIntegrator, trajectory_steps: int) -> None:
    """Accept or turn round; a trajectory whose energy is not a number is refused."""
    integrator.beginIfBlock(f"taken = {trajectory_steps}")
    integrator.addComputeGlobal("potential", "energy")
    integrator.addComputeSum("kinetic", "0.5*m*v*v")
    work = "potential + kinetic - old_energy - heat"
    integrator.addComputeGlobal("accept", f"step(exp(-({work})/thermal) - uniform)")
    integrator.addComputeGlobal("potential", "select(accept, potential, old_potential)")
    integrator.addComputePerDof("x", "select(accept, x, old_x)")
    integrator.addComputePerDof("v", "select(accept, v, -old_v)")
    integrator.addComputePerDof("force", "select(accept, force, old_force)")
    integrator.addComputeGlobal("taken", "0")
    integrator.addComputeGlobal("tested", "tested + 1")
    integrator.addComputeGlobal("accepted", "accepted + accept")
    integrator.endBlock()

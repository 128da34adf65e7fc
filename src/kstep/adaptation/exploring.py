"""Where a learned force leads: geometries found without a single true call."""

import math
from dataclasses import replace

import numpy as np

from kstep.compiled.propagation import velocity_verlet
from kstep.integrators.state import PhaseState, Replicas
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.regressed.networks.splitting import SplittingJump
from kstep.surrogates.force_field_like.kernel.jump import CompiledJump
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.system.mechanics import (
    Masses,
    internal_degrees_of_freedom,
    kinetic_energy,
    maxwell_boltzmann,
)
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

FRICTION_PER_PS = 2.0
SETTLING_PS = 1.0
"""From the conformer, before the first geometry is kept."""
SPACING_PS = 0.25
"""Between two that are: some ten periods of a bond, a thousandth of what a slow torsion takes."""
STEPS = 8
"""Base steps between two visits of the thermostat."""
RUNAWAY = 7.0
"""Standard deviations by which a kinetic energy may exceed its canonical mean. Beyond, a replica
has fallen into a hole of the learned potential, which has no bottom where little was learned: it
goes back to the conformer."""


def learned_jump(model: SplittingJump, molecule: Molecule) -> CompiledJump:
    """Velocity Verlet over STEPS base steps by the learned force alone."""
    assert isinstance(model.learned, LearnedPotential)
    composition = velocity_verlet(STEPS, model.physics.dt_ps)
    return CompiledJump(
        model.learned, composition, molecule.numbers, molecule.masses, molecule.terms
    )


def explore(
    model: SplittingJump,
    molecule: Molecule,
    dynamics: TrueDynamics,
    temperature: float,
    count: int,
    replicas: int,
    rng: np.random.Generator,
) -> Replicas:
    """So many geometries (nm) of Langevin dynamics by the learned force.

    Args:
        model: whose force it is.
        molecule: from whose conformer all replicas start.
        dynamics: for its constraints alone.
        temperature: K.
        count: geometries wanted.
        replicas: that give them in turns.
        rng: of the noise.
    """
    jump = learned_jump(model, molecule)
    duration = STEPS * model.physics.dt_ps
    thermostat = OrnsteinUhlenbeck(dynamics, temperature, FRICTION_PER_PS, duration, rng)
    fresh = _at_rest(molecule, dynamics, temperature, replicas, rng)
    state = fresh
    found: list[Replicas] = []
    freedom = internal_degrees_of_freedom(molecule.n_atoms, dynamics.n_constraints)
    hottest = _hottest(temperature, freedom)
    settling, spacing = (round(ps / duration) for ps in (SETTLING_PS, SPACING_PS))
    for number in range(settling + spacing * -(-count // replicas)):
        x, v = jump(state.x, state.v, state.forces)
        state = thermostat(_returned(replace(state, x=x, v=v), fresh, molecule.masses, hottest))
        if number >= settling and (number - settling) % spacing == 0:
            found.append(state.x)
    return np.concatenate(found)[:count]


def _at_rest(
    molecule: Molecule,
    dynamics: TrueDynamics,
    temperature: float,
    replicas: int,
    rng: np.random.Generator,
) -> PhaseState:
    """All replicas at the conformer, with thermal velocities."""
    x = np.tile(dynamics.constrain_positions(molecule.positions), (replicas, 1, 1))
    v = thermal_velocities(x, dynamics, temperature, rng)
    nothing = np.zeros(replicas)
    return PhaseState(x, v, np.zeros_like(x), nothing, nothing)


def thermal_velocities(
    x: Replicas, dynamics: TrueDynamics, temperature: float, rng: np.random.Generator
) -> Replicas:
    """Canonical velocities (nm/ps) at every geometry, along its constraints."""
    drawn = maxwell_boltzmann(rng, dynamics.masses, temperature, (len(x),))
    return dynamics.constrain_all_velocities(x, drawn)


def _returned(state: PhaseState, fresh: PhaseState, masses: Masses, hottest: float) -> PhaseState:
    """The state, with replicas that are hotter than they may be (kJ/mol) back at the start."""
    lost = ~(kinetic_energy(state.v, masses) < hottest)[:, None, None]  # what is NaN is lost too
    x, v = np.where(lost, fresh.x, state.x), np.where(lost, fresh.v, state.v)
    return replace(state, x=x, v=v)


def _hottest(temperature: float, degrees_of_freedom: int) -> float:
    """The kinetic energy of RUNAWAY: its canonical distribution is a gamma distribution."""
    half = 0.5 * degrees_of_freedom
    return BOLTZMANN * temperature * (half + RUNAWAY * math.sqrt(half))

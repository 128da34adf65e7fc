"""Plain MD with a Metropolis test samples the Boltzmann distribution at any step."""

import numpy as np
import openmm
import pytest

from kstep.config import load_config
from kstep.integrators.platforms import make_context
from kstep.integrators.reference.metropolis import ghmc
from kstep.integrators.reference.variants import variant
from kstep.potentials import CachedPotential, PythonSystem
from kstep.potentials.single_point import SinglePoints
from kstep.units import BOLTZMANN

TEMPERATURE = 300.0
THERMAL = BOLTZMANN * TEMPERATURE
MASS, OMEGA = 12.0, 600.0
STIFFNESS = MASS * OMEGA**2
STEPS = 3


def oscillator(step, friction=200.0, energy="0.5*k*(x*x + y*y + z*z)"):
    """One particle in a harmonic well at ω dt = `step`, and its integrator."""
    system = openmm.System()
    system.addParticle(MASS)
    well = openmm.CustomExternalForce(energy)
    well.addGlobalParameter("k", STIFFNESS)
    well.addParticle(0, [])
    system.addForce(well)
    return with_ghmc(system, step, friction)


def with_ghmc(system, step, friction=200.0):
    integrator = ghmc(step / OMEGA, TEMPERATURE, friction, 7, trajectory_steps=STEPS)
    context = make_context(system, integrator, "Reference")
    context.setPositions([[0.0, 0.0, 0.0]])
    context.setVelocitiesToTemperature(TEMPERATURE, 3)
    return context, integrator


def state_of(context):
    state = context.getState(positions=True, velocities=True)
    return (np.array(state.getPositions(asNumpy=True)._value[0]),
            np.array(state.getVelocities(asNumpy=True)._value[0]))  # fmt: skip


def frames(context, integrator, count):
    states = []
    for _ in range(count):
        integrator.step(STEPS)
        states.append(state_of(context))
    return (np.array(part) for part in zip(*states, strict=True))


@pytest.mark.parametrize("step", [0.2, 1.0, 1.2])
def test_positions_and_velocities_are_boltzmann_distributed(step):
    """At any step, a half period of the trajectory's length included.

    At ω dt = 1.2 velocity Verlet alone would be 1/(1 − 0.36) = 1.56 times too wide. At ω dt = 1
    three steps of it lead to −x from everywhere, so that without friction between them a particle
    that starts at rest in the middle stays there.
    """
    x, v = frames(*oscillator(step), 12000)
    for found, expected in ((x, THERMAL / STIFFNESS), (v, THERMAL / MASS)):
        blocks = (found**2).mean(axis=1).reshape(40, -1).mean(axis=1) / expected
        error = blocks.std(ddof=1) / np.sqrt(len(blocks))
        assert error < 0.04
        assert abs(blocks.mean() - 1.0) < 3.5 * error
    kurtosis = (x**4).mean() / (x**2).mean() ** 2
    assert kurtosis == pytest.approx(3.0, abs=0.3)


def test_a_refused_trajectory_ends_where_it_began_turned_round():
    context, integrator = oscillator(1.6, friction=0.0)
    refused = 0
    for _ in range(200):
        before, accepted = state_of(context), integrator.getGlobalVariableByName("accepted")
        integrator.step(STEPS)
        after = state_of(context)
        if integrator.getGlobalVariableByName("accepted") == accepted:
            refused += 1
            np.testing.assert_array_equal(after[0], before[0])
            np.testing.assert_array_equal(after[1], -before[1])
        else:
            assert np.abs(after[0] - before[0]).max() > 1e-6
    assert integrator.getGlobalVariableByName("tested") == 200
    assert 10 < refused < 150


def test_an_energy_that_is_no_number_is_refused():
    """Beyond a wall the energy is the logarithm of something negative."""
    wall = 0.5 * np.sqrt(THERMAL / STIFFNESS)
    energy = f"0.5*k*(x*x + y*y + z*z) + 1e-9*log({wall} - x)"
    context, integrator = oscillator(0.2, energy=energy)
    x, v = frames(context, integrator, 500)
    assert x[:, 0].max() < wall
    assert np.isfinite(v).all()
    assert integrator.getGlobalVariableByName("accepted") < 490
    assert x[:, 0].std() > 0.3 * np.sqrt(THERMAL / STIFFNESS)


class Well(SinglePoints):
    """A harmonic potential."""

    identity = {"program": "well"}  # noqa: RUF012

    def single_point(self, x):
        return 0.5 * STIFFNESS * (x**2).sum(), -STIFFNESS * x


def test_a_step_pays_one_force_whether_accepted_or_not():
    bare = openmm.System()
    bare.addParticle(MASS)
    system = PythonSystem(bare, CachedPotential(Well(), "well"))
    _, integrator = with_ghmc(system, 1.6)
    integrator.step(300)
    assert 10 < integrator.getGlobalVariableByName("accepted") < 90
    assert system.potential.evaluations == 300 + 1


def test_the_friction_is_the_baselines_and_tests_fall_on_frames():
    for interval, trajectory in ((25, 25), (50, 50), (500, 50), (34, 34), (68, 34), (53, 1)):
        md = load_config([], ["md.friction_per_ps=2", f"md.save_interval_steps={interval}"]).md
        control = variant("ghmc", md)
        assert control.label == f"GHMC 2 fs, tested every {2 * trajectory} fs"
        integrator = control.langevin(md.dt_ps, TEMPERATURE, md.friction_per_ps, 1)
        assert integrator.getGlobalVariableByName("keep") == pytest.approx(np.exp(-2 * 0.002))

"""The hybrid inside a stock OpenMM Simulation: right states, right times."""

import io

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit

from kstep.config import load_config
from kstep.interop.openmm_integrator import KStepIntegrator
from kstep.potentials.systems import load_system
from kstep.testing import ExactJump, NaNJump
from regressed import PROPAGATOR

DT, K = 0.002, 8


@pytest.fixture
def simulation(phenol, make_dynamics, equilibrium):
    def make(temperature=None, jump=None):
        jump = jump or ExactJump(make_dynamics(phenol), K, "half_step")
        result = app.Simulation(
            app.PDBFile(str(phenol.pdb)).topology,
            load_system(phenol, 1.0, "HBonds", "OBC2"),
            KStepIntegrator(jump, DT, temperature),
            openmm.Platform.getPlatformByName("Reference"),
        )
        result.context.setPositions(equilibrium[0])
        result.context.setVelocities(equilibrium[1])
        return result

    return make


def state_of(simulation):
    state = simulation.context.getState(positions=True, velocities=True)
    return (
        state.getPositions(asNumpy=True)._value,
        state.getVelocities(asNumpy=True)._value,
    )


def test_with_the_exact_jump_it_is_the_baseline(simulation, phenol, make_dynamics, equilibrium):
    made = simulation()
    made.step(25)
    baseline = make_dynamics(phenol).steps(*equilibrium, 25 * (K + 1))
    x, v = state_of(made)
    np.testing.assert_allclose(x, baseline.x, atol=1e-11)
    np.testing.assert_allclose(v, baseline.v, atol=1e-9)


def test_one_force_call_a_macro_step_also_across_calls(simulation):
    made = simulation()
    for _ in range(4):
        made.step(5)
    assert made.integrator.accounts.calls[0] == 1 + 20


def test_a_bad_jump_falls_back_to_true_steps(simulation, phenol, make_dynamics, equilibrium):
    made = simulation(jump=NaNJump(K, "half_step"))
    made.step(4)
    baseline = make_dynamics(phenol).steps(*equilibrium, 4 * (K + 1))
    np.testing.assert_allclose(state_of(made)[0], baseline.x, atol=1e-11)
    assert made.currentStep == 4
    assert made.context.getTime()._value == pytest.approx(4 * (K + 1) * DT)


def test_a_state_changed_from_outside_is_noticed(simulation, equilibrium, phenol, make_dynamics):
    made = simulation()
    made.step(3)
    made.context.setPositions(equilibrium[0])
    made.context.setVelocities(equilibrium[1])
    made.step(3)
    baseline = make_dynamics(phenol).steps(*equilibrium, 3 * (K + 1))
    np.testing.assert_allclose(state_of(made)[0], baseline.x, atol=1e-11)


def test_stock_reporters_write_the_right_times(simulation, tmp_path, phenol):
    made = simulation(300.0)
    log = io.StringIO()
    made.reporters += [
        app.DCDReporter(str(tmp_path / "a.dcd"), 5),
        app.XTCReporter(str(tmp_path / "a.xtc"), 5),
        app.StateDataReporter(log, 10, step=True, time=True, totalEnergy=True),
    ]
    made.step(30)
    macro = (K + 1) * DT
    assert made.currentStep == 30
    assert made.context.getTime().value_in_unit(unit.picosecond) == pytest.approx(30 * macro)
    xtc = mdtraj.load(tmp_path / "a.xtc", top=str(phenol.pdb))
    np.testing.assert_allclose(xtc.time, 5 * macro * np.arange(1, 7), rtol=1e-5)
    header = (tmp_path / "a.dcd").read_bytes()[44:48]
    assert np.frombuffer(header, np.float32)[0] * 0.04888821 == pytest.approx(macro, rel=1e-4)
    steps = [line.split(",") for line in log.getvalue().splitlines()[1:]]
    assert [float(entry[1]) for entry in steps] == pytest.approx(
        [10 * macro, 20 * macro, 30 * macro]
    )


def test_without_a_context_it_says_so(phenol, make_dynamics):
    integrator = KStepIntegrator(ExactJump(make_dynamics(phenol), K, "half_step"), DT)
    with pytest.raises(openmm.OpenMMException, match="not bound to a context"):
        integrator.step(1)


def test_the_corrector_sets_the_time_of_a_macro_step(phenol, make_dynamics):
    config = load_config([PROPAGATOR]).hybrid.model_copy(update={"corrector": "none"})
    integrator = KStepIntegrator(ExactJump(make_dynamics(phenol), K), DT, config=config)
    assert integrator.getStepSize() == K * DT * unit.picosecond

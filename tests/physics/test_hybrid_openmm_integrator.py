"""The hybrid inside a stock OpenMM Simulation: right states, right times."""

import io

import mdtraj
import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from kstep.config import GuardConfig, HybridConfig, load_config
from kstep.errors import ConfigError
from kstep.interop.openmm_integrator import KStepIntegrator
from kstep.potentials.systems import load_system
from kstep.regressed.learned import load_learned_jump
from kstep.surrogates.shipped import weights_file
from kstep.system.mechanics import centre_of_mass
from kstep.testing import ExactJump, FreeFlight, NaNJump
from regressed import PROPAGATOR

DT, K = 0.002, 8
FREE = HybridConfig(guard=GuardConfig(enabled=False), friction_per_ps=20.0)


@pytest.fixture
def simulation(phenol, make_dynamics, equilibrium):
    def make(temperature=None, jump=None):
        jump = jump or ExactJump(make_dynamics(phenol), K, "half_step")
        result = app.Simulation(
            app.PDBFile(str(phenol.pdb)).topology,
            load_system(phenol, 1.0, "HBonds", "OBC2"),
            KStepIntegrator(jump, phenol, DT, temperature),
            openmm.Platform.getPlatformByName("Reference"),
        )
        result.integrator.bind(result.context)
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


def test_without_its_context_it_says_what_to_do(phenol, system):
    integrator = KStepIntegrator(NaNJump(K, "half_step"), phenol, DT)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    for forgotten in (lambda: integrator.step(1), lambda: integrator.accounts):
        with pytest.raises(ConfigError, match=r"call integrator.bind\(simulation.context\)"):
            forgotten()
    other = KStepIntegrator(NaNJump(K, "half_step"), phenol, DT)
    with pytest.raises(ConfigError, match="made with another integrator"):
        other.bind(context)


@pytest.fixture
def system(phenol):
    return load_system(phenol, 1.0, "HBonds", "OBC2")


def without_the_last_atom(system):
    other = openmm.System()
    for number in range(system.getNumParticles() - 1):
        other.addParticle(system.getParticleMass(number))
    return other


def with_another_atom(system):
    system.addParticle(1.0)
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.addParticle(0.0, 0.1, 0.0)
        elif isinstance(force, openmm.GBSAOBCForce):
            force.addParticle(0.0, 0.1, 0.8)
    return system


def with_heavy_hydrogens(system):
    system.setParticleMass(system.getNumParticles() - 1, 3.0)
    return system


def with_longer_bonds(system):
    first, second, length = system.getConstraintParameters(0)
    system.setConstraintParameters(0, first, second, 1.01 * length)
    return system


def without_a_constraint(system):
    system.removeConstraint(0)
    return system


def in_a_box(system):
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setNonbondedMethod(openmm.NonbondedForce.PME)
        elif isinstance(force, openmm.GBSAOBCForce):
            force.setNonbondedMethod(openmm.GBSAOBCForce.CutoffPeriodic)
    return system


def with_a_thermostat(system):
    system.addForce(openmm.AndersenThermostat(300.0, 1.0))
    return system


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (without_the_last_atom, "has 12 particles, not the 13 of phenol"),
        (with_another_atom, "has 14 particles, not the 13 of phenol"),
        (with_heavy_hydrogens, "has other masses than phenol"),
        (with_longer_bonds, "to other lengths than those of phenol"),
        (without_a_constraint, "constrains 5 distances, not the 6 that phenol has rigid"),
        (in_a_box, "is periodic"),
        (with_a_thermostat, "has an AndersenThermostat, which acts between"),
    ],
)
def test_a_system_that_is_not_the_molecules_is_refused(phenol, system, changed, said):
    integrator = KStepIntegrator(NaNJump(K, "half_step"), phenol, DT)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(changed(system), integrator, reference)
    with pytest.raises(ConfigError, match=said):
        integrator.bind(context)


def test_a_jump_of_another_molecule_does_not_crash_the_process(phenol, isobutanol):
    jump = load_learned_jump(weights_file("splitting", K), isobutanol, K, DT, "closing_kick")
    nowhere = np.zeros((1, phenol.n_atoms, 3))
    with pytest.raises(ConfigError, match="of 15 atoms was given 13"):
        jump(nowhere, nowhere, nowhere)


def test_loading_and_making_a_jump_leaves_torchs_threads(isobutanol):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    jump = load_learned_jump(weights_file("splitting", K), isobutanol, K, DT, "closing_kick")
    x = isobutanol.positions[None]
    jump(x, np.zeros_like(x), np.zeros_like(x))
    found = torch.get_num_threads()
    torch.set_num_threads(threads)
    assert found == 2


def test_a_motion_remover_is_heeded_and_temperatures_are_right(phenol, system, equilibrium):
    """Reporters take three degrees of freedom off where the System has one."""
    system.addForce(openmm.CMMotionRemover())
    integrator = KStepIntegrator(FreeFlight(DT, K, "closing_kick"), phenol, DT, 300.0, FREE)
    topology = app.PDBFile(str(phenol.pdb)).topology
    reference = openmm.Platform.getPlatformByName("Reference")
    made = app.Simulation(topology, system, integrator, reference)
    integrator.bind(made.context)
    made.context.setPositions(equilibrium[0])
    made.context.setVelocities(equilibrium[1] + 1.0)
    log = io.StringIO()
    made.reporters.append(app.StateDataReporter(log, 1, temperature=True))
    made.step(400)
    _, v = state_of(made)
    assert np.abs(centre_of_mass(v, phenol.masses)).max() < 1e-12
    found = np.array([float(line) for line in log.getvalue().splitlines()[1:]])
    # 30 degrees of freedom: one temperature scatters by √(2/30), and some 100 are independent.
    assert found.mean() == pytest.approx(300.0, abs=3.5 * 300.0 * np.sqrt(2 / 30 / 100))


class Rounding(openmm.Context):
    """Keeps what it is given in single precision."""

    def setPositions(self, x):  # noqa: N802
        super().setPositions(np.asarray(x, dtype=np.float32).astype(np.float64))

    def setVelocities(self, v):  # noqa: N802
        super().setVelocities(np.asarray(v, dtype=np.float32).astype(np.float64))


def test_a_context_that_rounds_is_asked_for_no_force_twice(phenol, system, equilibrium):
    integrator = KStepIntegrator(FreeFlight(DT, K, "closing_kick"), phenol, DT, None, FREE)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = Rounding(system, integrator, reference)
    integrator.bind(context)
    context.setPositions(equilibrium[0])
    context.setVelocities(equilibrium[1])
    for _ in range(5):
        integrator.step(2)
    assert integrator.accounts.calls[0] == 1 + 10


def test_the_corrector_sets_the_time_of_a_macro_step(phenol, make_dynamics):
    config = load_config([PROPAGATOR]).hybrid.model_copy(update={"corrector": "none"})
    jump = ExactJump(make_dynamics(phenol), K)
    integrator = KStepIntegrator(jump, phenol, DT, config=config)
    assert integrator.getStepSize() == K * DT * unit.picosecond

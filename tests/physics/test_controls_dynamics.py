"""The controls are what they are called: canonical, conserving, of the right masses and costs."""

import numpy as np
import openmm
import pytest

from kstep.config import load_config
from kstep.errors import MoleculeError
from kstep.integrators.openmm_steps import velocity_verlet
from kstep.integrators.platforms import make_context
from kstep.integrators.reference.respa import (
    INNER_CALLS,
    INNER_STEPS,
    respa_velocity_verlet,
    split_forces,
)
from kstep.integrators.reference.variants import variant
from kstep.potentials.systems import load_system
from kstep.system.hydrogens import repartition
from kstep.system.mechanics import (
    internal_degrees_of_freedom,
    kinetic_energy,
    kinetic_temperature,
    remove_centre_of_mass,
)
from kstep.system.trajectory import NVE, NVT, load_trajectory
from kstep.workflow.controls.stage import run

NAMES = ["half_fs", "ghmc", "langevin_middle", "hmr_3", "hmr_1.5", "respa"]


@pytest.fixture(scope="module")
def controls(tmp_path_factory, phenol):
    """Every control of phenol; the strong friction makes a short run a large sample."""
    config = load_config(
        [],
        [
            f"paths.data={tmp_path_factory.mktemp('data')}",
            "controls.replicas=2",
            "controls.length_ns=0.04",
            "controls.nve_windows=2",
            "controls.nve_window_ps=10",
            "controls.platform=Reference",
            "controls.workers=1",
            "md.equilibration_ps=2",
            "md.friction_per_ps=10",
        ],
    )
    return {path.stem: load_trajectory(path) for path in run(config, [phenol])}


def system_of(molecule):
    return load_system(molecule, None, "HBonds", "OBC2")


def masses_of(system):
    return np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])


def total_energies(system, integrator, x, v, n_steps):
    context = make_context(system, integrator, "Reference")
    context.setPositions(x)
    context.setVelocities(v)
    masses, energies = masses_of(system), []
    for _ in range(n_steps):
        integrator.step(1)
        state = context.getState(velocities=True, energy=True)
        velocities = np.array(state.getVelocities(asNumpy=True)._value)
        energies.append(state.getPotentialEnergy()._value + kinetic_energy(velocities, masses))
    return np.array(energies)


@pytest.mark.parametrize("name", NAMES)
def test_the_temperature_is_the_target_within_its_statistical_error(controls, phenol, name):
    trajectory = controls[name]
    frames = trajectory.frames(NVT)
    velocities = remove_centre_of_mass(trajectory.vel[frames], trajectory.masses)
    freedom = internal_degrees_of_freedom(phenol.n_atoms, len(phenol.constraints))
    temperature = kinetic_temperature(velocities, trajectory.masses, freedom)
    means = temperature.reshape(40, -1).mean(axis=1)  # 2 ps, twenty times the memory
    error = means.std(ddof=1) / np.sqrt(len(means))
    assert error < 6
    assert abs(means.mean() - 300) < 3.5 * error


@pytest.mark.parametrize("name", NAMES)
def test_constant_energy_windows_conserve_energy(controls, name):
    trajectory = controls[name]
    largest = {"half_fs": 0.02, "langevin_middle": 0.15, "respa": 0.08}.get(name, 0.6)
    for frames in trajectory.segments(NVE):
        assert trajectory.etot[frames].std() < largest * trajectory.epot[frames].std()


def test_windows_start_from_the_canonical_ensemble(controls):
    """Their total energies are a sample of those at constant temperature."""
    windows, errors = [], []
    for trajectory in controls.values():
        sampled = trajectory.etot[trajectory.frames(NVT)]
        windows += [trajectory.etot[f].mean() - sampled.mean() for f in trajectory.segments(NVE)]
        errors.append(sampled.std())
    assert abs(np.mean(windows)) < 3 * np.mean(errors) / np.sqrt(len(windows))


@pytest.mark.parametrize("name", NAMES)
def test_constraints_hold(controls, phenol, name):
    i, j = phenol.constraints.T
    lengths = np.linalg.norm(controls[name].pos[:, i] - controls[name].pos[:, j], axis=-1)
    np.testing.assert_allclose(lengths, lengths[:1].repeat(len(lengths), axis=0), rtol=1e-6)


def repartition_all(system, molecule, mass):
    repartition(system, molecule.name, molecule.numbers.tolist(), molecule.bonds.tolist(), mass)


@pytest.mark.parametrize("hydrogen", [3.0, 1.5])
def test_repartitioning_moves_mass_from_heavy_atoms_to_hydrogens(isobutanol, hydrogen):
    system = system_of(isobutanol)
    before = masses_of(system)
    repartition_all(system, isobutanol, hydrogen)
    after = masses_of(system)
    is_hydrogen = isobutanol.numbers == 1
    np.testing.assert_allclose(after[is_hydrogen], hydrogen)
    assert after.sum() == pytest.approx(before.sum(), abs=1e-9)
    for heavy in np.flatnonzero(~is_hydrogen):
        bonded = [set(bond) - {heavy} for bond in isobutanol.bonds.tolist() if heavy in bond]
        count = sum(bool(is_hydrogen[next(iter(other))]) for other in bonded)
        lost = before[heavy] - after[heavy]
        assert lost == pytest.approx(count * (hydrogen - before[is_hydrogen][0]))


def test_an_atom_cannot_give_more_than_it_has(isobutanol):
    with pytest.raises(MoleculeError, match=r"too light .* choose a smaller prep\.hydrogen_mass"):
        repartition_all(system_of(isobutanol), isobutanol, 6.0)


def test_masses_change_no_average_over_positions(controls):
    """The mean potential energy is that of the smallest step, whatever the masses."""
    blocks = {
        name: trajectory.epot[trajectory.frames(NVT)].reshape(20, -1).mean(axis=1)
        for name, trajectory in controls.items()
    }
    reference = blocks.pop("half_fs")
    for means in blocks.values():
        error = np.hypot(means.std(ddof=1), reference.std(ddof=1)) / np.sqrt(20)
        assert abs(means.mean() - reference.mean()) < 3.5 * error


def test_without_slow_forces_respa_is_velocity_verlet_of_the_inner_step(phenol, equilibrium):
    x, v = equilibrium
    ends = []
    for integrator, steps in (
        (respa_velocity_verlet(0.004), 10),
        (velocity_verlet(0.004 / INNER_STEPS), 10 * INNER_STEPS),
    ):
        system = system_of(phenol)
        for force in system.getForces():
            force.setForceGroup(1)
        context = make_context(system, integrator, "Reference")
        context.setPositions(x)
        context.setVelocities(v)
        integrator.step(steps)
        state = context.getState(positions=True, velocities=True)
        ends.append([np.array(state.getPositions(asNumpy=True)._value),
                     np.array(state.getVelocities(asNumpy=True)._value)])  # fmt: skip
    assert np.abs(ends[0][0] - x).max() > 1e-2
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-6)
    np.testing.assert_allclose(ends[0][1], ends[1][1], atol=1e-3)


def test_respa_conserves_energy_better_than_verlet_of_its_outer_step(phenol, equilibrium):
    split = system_of(phenol)
    split_forces(split)
    respa = total_energies(split, respa_velocity_verlet(0.004), *equilibrium, 2000)
    plain = total_energies(system_of(phenol), velocity_verlet(0.004), *equilibrium, 2000)
    assert respa.std() < 0.25 * plain.std()


@pytest.mark.parametrize("splitting", ["respa", "hmr_3"])
def test_energy_error_falls_with_the_square_of_the_step(phenol, equilibrium, splitting):
    control = variant(splitting, load_config().md)
    errors = []
    for dt_ps in (0.004, 0.002, 0.001):
        system = control.system(phenol, load_config().md)
        integrator = control.conserving(dt_ps)
        energies = total_energies(system, integrator, *equilibrium, round(4 / dt_ps))
        errors.append(energies.std())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 1.4) & (orders < 2.9)), orders


def test_respa_calls_are_counted_as_they_are_made(phenol, equilibrium):
    calls = {"slow": 0, "fast": 0}

    def counter(kind):
        def count(state: openmm.State) -> tuple[float, np.ndarray]:
            calls[kind] += 1
            return 0.0, np.zeros((phenol.n_atoms, 3))

        return openmm.PythonForce(count)

    system = system_of(phenol)
    split_forces(system)
    for group, kind in enumerate(calls):
        force = counter(kind)
        force.setForceGroup(group)
        system.addForce(force)
    control = variant("respa", load_config().md)
    for integrator in (control.conserving(0.004), control.langevin(0.004, 300.0, 1.0, 1)):
        context = make_context(system, integrator, "Reference")
        context.setPositions(equilibrium[0])
        context.setVelocities(equilibrium[1])
        integrator.step(1)
        calls.update(slow=0, fast=0)
        integrator.step(20)
        assert calls == {"slow": 20, "fast": 20 * INNER_CALLS}

"""The baseline dynamics are what they claim: conserving, canonical, synchronous, counted."""

import numpy as np
import pytest

from kstep.config import load_config
from kstep.errors import DeviceError
from kstep.integrators.plain import Frames
from kstep.integrators.platforms import resolve_platform
from kstep.potentials.systems import load_system
from kstep.system.mechanics import (
    angular_momentum,
    centre_of_mass,
    internal_degrees_of_freedom,
    kinetic_energy,
    kinetic_temperature,
    remove_centre_of_mass,
)
from kstep.units import MEV_PER_KJ_PER_MOL


def total_energy(frames: Frames, masses: np.ndarray) -> np.ndarray:
    return frames.epot + kinetic_energy(frames.vel, masses)


def test_nve_drift_over_100_ps_is_below_the_bound(phenol, make_sampler, equilibrium):
    frames = make_sampler(phenol).window(*equilibrium, n_steps=50_000, interval=50)
    slope = np.polyfit(frames.steps * 0.002, total_energy(frames, phenol.masses), 1)[0]
    assert abs(slope) / phenol.n_atoms * MEV_PER_KJ_PER_MOL < 3e-3


def test_energy_error_converges_with_the_square_of_the_step(phenol, make_sampler, equilibrium):
    errors = []
    for dt_fs in (2.0, 1.0, 0.5):
        sampler = make_sampler(phenol, load_config([], [f"md.dt_fs={dt_fs}"]))
        steps = round(4000 / dt_fs)
        frames = sampler.window(*equilibrium, n_steps=steps, interval=1)
        errors.append(total_energy(frames, phenol.masses).std())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 1.6) & (orders < 2.9)), orders


def test_kinetic_temperature_is_the_target_within_its_confidence_interval(isobutanol, make_sampler):
    sampler = make_sampler(isobutanol)
    x, v = sampler.equilibrate(isobutanol.positions, 300.0, 3)
    frames = sampler.sample(x, v, 300.0, 4, n_steps=250_000, interval=50)
    masses = isobutanol.masses
    velocities = remove_centre_of_mass(frames.vel, masses)
    freedom = internal_degrees_of_freedom(len(masses), len(isobutanol.constraints))
    temperature = kinetic_temperature(velocities, masses, freedom)
    # Means of 20 ps blocks are independent at a friction of 1/ps.
    means = temperature.reshape(25, -1).mean(axis=1)
    assert abs(means.mean() - 300.0) < 3.5 * means.std(ddof=1) / np.sqrt(len(means))


def test_velocities_are_those_of_the_positions_instant(phenol, make_dynamics, equilibrium):
    """Central differences of positions give the saved velocity, far better than one-sided."""
    dynamics = make_dynamics(phenol, 0.0005)
    before = dynamics.steps(*equilibrium, 10)
    now = dynamics.more_steps(1)
    after = dynamics.more_steps(1)
    central = (after.x - before.x) / (2 * dynamics.dt_ps)
    one_sided = (now.x - before.x) / dynamics.dt_ps
    assert np.abs(central - now.v).max() < 0.1 * np.abs(one_sided - now.v).max()


def test_dynamics_are_reversible(phenol, make_dynamics, equilibrium):
    x, v = equilibrium
    dynamics = make_dynamics(phenol)
    forth = dynamics.steps(x, v, 50)
    back = dynamics.steps(forth.x, -forth.v, 50)
    assert np.abs(forth.x - x).max() > 1e-2
    np.testing.assert_allclose(back.x, x, atol=1e-7)
    np.testing.assert_allclose(-back.v, v, atol=1e-4)


def test_nve_conserves_both_momenta(phenol, make_dynamics, equilibrium):
    x, v = equilibrium
    end = make_dynamics(phenol).steps(x, v, 500)
    masses = phenol.masses
    np.testing.assert_allclose(centre_of_mass(end.v, masses), centre_of_mass(v, masses), atol=1e-10)
    np.testing.assert_allclose(
        angular_momentum(end.x, end.v, masses), angular_momentum(x, v, masses), atol=1e-8
    )


def test_constraints_hold(phenol, make_dynamics, equilibrium):
    x, v = equilibrium
    end = make_dynamics(phenol).steps(x, v, 200)
    i, j = phenol.constraints.T
    lengths = np.linalg.norm(end.x[i] - end.x[j], axis=1)
    start = np.linalg.norm(x[i] - x[j], axis=1)
    np.testing.assert_allclose(lengths, start, rtol=3e-8)
    along = np.einsum("ci,ci->c", end.x[i] - end.x[j], end.v[i] - end.v[j])
    assert np.abs(along).max() < 1e-7


def test_the_counter_equals_the_real_number_of_evaluations(counted, equilibrium):
    dynamics, evaluations = counted
    x, v = equilibrium
    dynamics.evaluate(x)
    dynamics.constrain_velocities(dynamics.constrain_positions(x), v)
    state = dynamics.steps(x, v, 7)
    dynamics.more_steps(5)
    dynamics.steps(state.x, state.v, 1)
    dynamics.motion(x, v, n_frames=3, interval=2)
    assert evaluations[0] == dynamics.calls == 1 + 8 + 5 + 2 + 7


def test_reported_forces_and_energy_are_those_at_the_end(phenol, make_dynamics, equilibrium):
    dynamics = make_dynamics(phenol)
    end = dynamics.steps(*equilibrium, 9)
    forces, epot = dynamics.evaluate(end.x)
    np.testing.assert_allclose(end.forces, forces, rtol=1e-10, atol=1e-8)
    assert end.epot == pytest.approx(epot, abs=1e-9)


def test_motion_holds_velocity_and_energy_of_one_instant(phenol, make_dynamics, equilibrium):
    dynamics = make_dynamics(phenol)
    vel, epot = dynamics.motion(*equilibrium, n_frames=4, interval=3)
    state = dynamics.steps(*equilibrium, 9)
    np.testing.assert_allclose(vel[2], state.v, atol=1e-10)
    assert epot[2] == pytest.approx(dynamics.evaluate(state.x)[1], abs=1e-9)
    assert abs(epot[2] - epot[1]) > 1e-3


def test_bursts_hold_the_half_step_velocity(phenol, make_sampler, make_dynamics, equilibrium):
    sampler = make_sampler(phenol)
    x, v = equilibrium
    frames = Frames(x[None], v[None], np.zeros(1), np.ones(1, dtype=np.int64))
    bursts = sampler.bursts(frames, 1, 300.0, np.random.default_rng(0))
    dynamics = make_dynamics(phenol)
    start = bursts.pos[0, 0].astype(float), bursts.vel[0, 0].astype(float)
    at_8 = dynamics.steps(*start, 8)
    at_9 = dynamics.more_steps(1)
    half = (at_9.x - at_8.x) / dynamics.dt_ps
    np.testing.assert_allclose(bursts.pos[0, 2], at_8.x, atol=2e-6)
    np.testing.assert_allclose(bursts.vel_half[0, 2], half, atol=2e-3)
    np.testing.assert_allclose(bursts.forces[0, 2], at_8.forces, rtol=1e-3, atol=1.0)


def test_burst_velocities_are_canonical(phenol, make_sampler, equilibrium):
    x, v = equilibrium
    sampler = make_sampler(phenol)
    frames = sampler.sample(x, v, 300.0, 5, n_steps=20_000, interval=50)
    bursts = sampler.bursts(frames, 200, 300.0, np.random.default_rng(1))
    freedom = internal_degrees_of_freedom(phenol.n_atoms, len(phenol.constraints))
    start = kinetic_temperature(bursts.vel[:, 0].astype(float), phenol.masses, freedom)
    error = 300.0 * np.sqrt(2 / freedom / len(start))
    assert abs(start.mean() - 300.0) < 3.5 * error


def test_the_platform_is_chosen_by_timing(phenol):
    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    platform, timing = resolve_platform("auto", system, phenol.positions, 0.002)
    times = {name: by["velocity_verlet"] for name, by in timing.seconds.items()}
    assert times[platform] == min(times.values())
    assert len(times) > 1


def test_a_named_platform_does_not_slow_the_baseline_it_is_held_against(phenol):
    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    platform, timing = resolve_platform("CPU", system, phenol.positions, 0.002)
    assert platform == "CPU"
    assert "Reference" in timing.seconds
    with pytest.raises(DeviceError, match="Quantum cannot be used"):
        resolve_platform("Quantum", system, phenol.positions, 0.002)

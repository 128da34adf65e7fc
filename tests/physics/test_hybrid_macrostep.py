"""With an oracle for a jump, every fault of the hybrid is its own."""

import numpy as np
import pytest

from kstep.config import load_config
from kstep.errors import ArtifactError
from kstep.integrators.conservation import rescale_to_energy
from kstep.integrators.correctors import CORRECTORS
from kstep.integrators.outer_step import MacroStep
from kstep.integrators.state import PhaseState
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.system.mechanics import (
    angular_momentum,
    centre_of_mass,
    internal_degrees_of_freedom,
    kinetic_energy,
    kinetic_temperature,
    remove_centre_of_mass,
)
from kstep.testing import ExactJump, FreeFlight, NaNJump, NoisyJump
from kstep.units import MEV_PER_KJ_PER_MOL
from regressed import PROPAGATOR

K = 8


def hybrid_config(**settings):
    return load_config([PROPAGATOR], []).hybrid.model_copy(update=settings)


def exact(molecule, make_dynamics, corrector: str) -> ExactJump:
    return ExactJump(make_dynamics(molecule), K, CORRECTORS[corrector].landing)


def run_nve(macro_step: MacroStep, start, n: int) -> list[PhaseState]:
    states = [macro_step.start(*(array[None] for array in start))]
    for _ in range(n):
        states.append(macro_step(states[-1]))
    return states


@pytest.mark.parametrize("corrector", list(CORRECTORS))
def test_with_the_exact_jump_the_hybrid_is_the_baseline(
    corrector, phenol, make_dynamics, equilibrium
):
    """To round-off, constraints included: also the one-call corrector closes exactly."""
    jump = exact(phenol, make_dynamics, corrector)
    config = hybrid_config(corrector=corrector)
    macro_step = MacroStep(jump, make_dynamics(phenol), config, 1)
    end = run_nve(macro_step, equilibrium, 20)[-1]
    baseline = make_dynamics(phenol).steps(*equilibrium, 20 * macro_step.base_steps)
    np.testing.assert_allclose(end.x[0], baseline.x, atol=1e-11)
    np.testing.assert_allclose(end.v[0], baseline.v, atol=1e-9)
    assert macro_step.base_steps == K + CORRECTORS[corrector].base_steps


def test_with_the_exact_jump_nve_drift_is_within_the_baselines_spread(
    phenol, make_dynamics, make_sampler, equilibrium
):
    jump = exact(phenol, make_dynamics, "drift_kick_drift")
    macro_step = MacroStep(jump, make_dynamics(phenol), hybrid_config(), 1)
    states = run_nve(macro_step, equilibrium, 1000)
    energies = np.array([state.etot(phenol.masses)[0] for state in states])
    times = macro_step.duration * np.arange(len(energies))
    drift = np.polyfit(times, energies, 1)[0] / phenol.n_atoms * MEV_PER_KJ_PER_MOL
    sampler = make_sampler(phenol)
    baseline = []
    for seed in range(4):
        x, v = sampler.equilibrate(phenol.positions, 300.0, seed + 1)
        frames = sampler.window(x, v, n_steps=9000, interval=9)
        etot = frames.epot + kinetic_energy(frames.vel, phenol.masses)
        slope = np.polyfit(frames.steps * 0.002, etot, 1)[0]
        baseline.append(slope / phenol.n_atoms * MEV_PER_KJ_PER_MOL)
    spread = np.std(baseline, ddof=1)
    assert abs(drift - np.mean(baseline)) < 4 * max(spread, 5e-3)


@pytest.mark.parametrize(
    ("corrector", "calls"),
    [("none", 1), ("velocity_verlet", 2), ("drift_kick_drift", 1), ("closing_kick", 1)],
)
def test_force_calls_are_counted_as_they_really_happen(
    corrector, calls, phenol, make_dynamics, counted, equilibrium
):
    dynamics, evaluations = counted
    config = hybrid_config(corrector=corrector)
    macro_step = MacroStep(exact(phenol, make_dynamics, corrector), dynamics, config, 1)
    run_nve(macro_step, equilibrium, 10)
    assert evaluations[0] == macro_step.accounts.calls[0] == 1 + 10 * calls


@pytest.mark.parametrize("corrector", list(CORRECTORS))
@pytest.mark.parametrize("oracle", ["nan", "free flight"])
def test_the_guard_replaces_a_bad_jump_by_true_dynamics(
    oracle, corrector, phenol, make_dynamics, equilibrium
):
    landing = CORRECTORS[corrector].landing
    jump = NaNJump(K, landing) if oracle == "nan" else FreeFlight(0.002, K, landing)
    config = hybrid_config(corrector=corrector)
    macro_step = MacroStep(jump, make_dynamics(phenol), config, 1)
    end = run_nve(macro_step, equilibrium, 5)[-1]
    baseline = make_dynamics(phenol).steps(*equilibrium, 5 * macro_step.base_steps)
    np.testing.assert_allclose(end.x[0], baseline.x, atol=1e-11)
    accounts = macro_step.accounts
    assert accounts.rejected_jumps == 5
    assert accounts.fallback_calls == 5 * (macro_step.base_steps + 1)
    spent_before_rejection = 0 if oracle == "nan" else 5 * CORRECTORS[corrector].calls
    assert accounts.calls[0] == 1 + accounts.fallback_calls + spent_before_rejection


def test_one_bad_replica_does_not_disturb_the_others(phenol, make_dynamics, equilibrium):
    good = exact(phenol, make_dynamics, "drift_kick_drift")

    class FirstIsLost:
        k_steps, landing, closing_ps = K, "half_step", 0.0

        def __call__(self, x, v, forces):
            landed_x, landed_v = good(x, v, forces)
            landed_x[0] = np.nan
            return landed_x, landed_v

    macro_step = MacroStep(FirstIsLost(), make_dynamics(phenol), hybrid_config(), 2)
    x, v = equilibrium
    state = macro_step.start(np.stack([x, x]), np.stack([v, v]))
    for _ in range(3):
        state = macro_step(state)
    np.testing.assert_allclose(state.x[0], state.x[1], atol=1e-10)
    assert macro_step.accounts.rejected_jumps == 3
    assert macro_step.accounts.calls[0] > macro_step.accounts.calls[1]


def test_a_poor_jump_conserves_momenta_and_constraints(phenol, make_dynamics, equilibrium):
    jump = NoisyJump(
        exact(phenol, make_dynamics, "drift_kick_drift"), 1e-4, 0.05, np.random.default_rng(0)
    )
    config = hybrid_config(
        guard=load_config([PROPAGATOR], ["hybrid.guard.enabled=false"]).hybrid.guard
    )
    macro_step = MacroStep(jump, make_dynamics(phenol), config, 1)
    start, *_, end = run_nve(macro_step, equilibrium, 30)
    masses = phenol.masses
    np.testing.assert_allclose(
        centre_of_mass(end.v, masses), centre_of_mass(start.v, masses), atol=1e-12
    )
    np.testing.assert_allclose(
        angular_momentum(end.x, end.v, masses),
        angular_momentum(start.x, start.v, masses),
        atol=1e-11,
    )
    i, j = phenol.constraints.T
    lengths = np.linalg.norm(end.x[0][i] - end.x[0][j], axis=1)
    wanted = np.linalg.norm(start.x[0][i] - start.x[0][j], axis=1)
    np.testing.assert_allclose(lengths, wanted, rtol=3e-8)
    along = np.einsum("ci,ci->c", end.x[0][i] - end.x[0][j], end.v[0][i] - end.v[0][j])
    assert np.abs(along).max() < 1e-7


@pytest.mark.parametrize("ensemble", ["nvt", "nve_rescaled"])
def test_energy_rescaling_restores_the_energy_and_keeps_momenta(
    ensemble, phenol, make_dynamics, equilibrium
):
    jump = NoisyJump(
        exact(phenol, make_dynamics, "drift_kick_drift"), 1e-5, 0.02, np.random.default_rng(0)
    )
    # What one setting switches off in NVT, nothing does in windows that exist for it.
    config = hybrid_config(energy_rescale=ensemble == "nvt")
    macro_step = MacroStep(jump, make_dynamics(phenol), config, 1, ensemble)
    states = run_nve(macro_step, equilibrium, 20)
    energies = [state.etot(phenol.masses)[0] for state in states]
    np.testing.assert_allclose(energies, energies[0], atol=1e-9)
    first, last = (angular_momentum(s.x, s.v, phenol.masses) for s in (states[0], states[-1]))
    np.testing.assert_allclose(first, last, atol=1e-11)


def test_drift_is_measured_without_rescaling(phenol, make_dynamics, equilibrium):
    jump = NoisyJump(
        exact(phenol, make_dynamics, "drift_kick_drift"), 1e-5, 0.02, np.random.default_rng(0)
    )
    states = run_nve(
        MacroStep(jump, make_dynamics(phenol), hybrid_config(), 1, "nve"), equilibrium, 20
    )
    assert np.ptp([state.etot(phenol.masses)[0] for state in states]) > 0.5


def test_rescaling_that_would_need_an_imaginary_factor_is_left_out(phenol, equilibrium):
    x, v = (array[None] for array in equilibrium)
    state = PhaseState(x, v, np.zeros_like(x), np.zeros(1), np.zeros(1))
    impossible = state.etot(phenol.masses) - 1e4
    np.testing.assert_array_equal(rescale_to_energy(state, impossible, phenol.masses), v)


def test_projection_iterations_lower_the_energy_and_are_counted(phenol, make_dynamics, equilibrium):
    jump = exact(phenol, make_dynamics, "drift_kick_drift")
    plain = MacroStep(jump, make_dynamics(phenol), hybrid_config(), 1)
    config = hybrid_config(
        projection_iterations=3,
        guard=load_config([PROPAGATOR], ["hybrid.guard.enabled=false"]).hybrid.guard,
    )
    projected = MacroStep(jump, make_dynamics(phenol), config, 1)
    ends = [run_nve(step, equilibrium, 1)[-1] for step in (plain, projected)]
    assert ends[1].epot[0] < ends[0].epot[0]
    assert projected.accounts.calls[0] == plain.accounts.calls[0] + 3


def test_nvt_with_the_exact_jump_is_canonical(isobutanol, make_dynamics, make_sampler):
    """Equipartition between heavy atoms and hydrogens too, at a friction of 10/ps."""
    x, v = make_sampler(isobutanol).equilibrate(isobutanol.positions, 300.0, 2)
    dynamics = make_dynamics(isobutanol)
    jump = exact(isobutanol, make_dynamics, "drift_kick_drift")
    macro_step = MacroStep(jump, dynamics, hybrid_config(), 1)
    rng = np.random.default_rng(5)
    thermostat = OrnsteinUhlenbeck(dynamics, 300.0, 10.0, macro_step.duration, rng)
    state = macro_step.start(x[None], v[None])
    velocities = []
    for _ in range(6000):
        state = thermostat(macro_step(state))
        velocities.append(state.v[0])
    masses = isobutanol.masses
    internal = remove_centre_of_mass(np.array(velocities), masses)
    freedom = internal_degrees_of_freedom(len(masses), len(isobutanol.constraints))
    temperature = kinetic_temperature(internal, masses, freedom)
    means = temperature.reshape(30, -1).mean(axis=1)
    assert abs(means.mean() - 300.0) < 3.5 * means.std(ddof=1) / np.sqrt(len(means))


def test_many_small_errors_of_one_sign_are_stopped(phenol, make_dynamics, equilibrium):
    """A jump that heats by a little each time passes the bound on one jump, not on all."""
    good = exact(phenol, make_dynamics, "drift_kick_drift")

    class Heater:
        k_steps, landing, closing_ps = K, "half_step", 0.0

        def __call__(self, x, v, forces):
            landed_x, landed_v = good(x, v, forces)
            return landed_x, 1.01 * landed_v

    macro_step = MacroStep(Heater(), make_dynamics(phenol), hybrid_config(), 1)
    states = run_nve(macro_step, equilibrium, 200)
    energies = np.array([state.etot(phenol.masses)[0] for state in states])
    bound = hybrid_config().guard.max_energy_debt
    assert 0.3 * bound < np.ptp(energies) < bound + 3.0
    assert 0 < macro_step.accounts.rejected_jumps < 200
    np.testing.assert_allclose(states[-1].debt[0], energies[-1] - energies[0])


def test_the_thermostat_takes_energy_debt_back(phenol, make_dynamics, equilibrium):
    dynamics = make_dynamics(phenol)
    thermostat = OrnsteinUhlenbeck(dynamics, 300.0, 1.0, 0.018, np.random.default_rng(0))
    x, v = (array[None] for array in equilibrium)
    state = PhaseState(x, v, np.zeros_like(x), np.zeros(1), np.full(1, 5.0))
    assert thermostat(state).debt[0] == pytest.approx(5.0 * np.exp(-0.018))


def test_a_jump_that_lands_elsewhere_is_refused(phenol, make_dynamics):
    jump = exact(phenol, make_dynamics, "none")
    with pytest.raises(ArtifactError, match="lands on the step"):
        MacroStep(jump, make_dynamics(phenol), hybrid_config(), 1)

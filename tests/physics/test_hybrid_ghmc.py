"""Metropolis tests make wrong jumps sample right: held against Boltzmann's distribution."""

import numpy as np
import openmm
import pytest
from numpy.random import PCG64
from scipy import stats

from kstep.config import load_config
from kstep.errors import ArtifactError, ConfigError
from kstep.integrators.ghmc import GhmcStep
from kstep.integrators.map_quality import BareMap, volume_and_defect
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.integrators.outer_step import MacroStep
from kstep.integrators.platforms import make_context
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.interop.openmm_integrator import KStepIntegrator
from kstep.potentials.systems import load_system
from kstep.system.mechanics import (
    internal_degrees_of_freedom,
    kinetic_temperature,
    maxwell_boltzmann,
    remove_centre_of_mass,
)
from kstep.testing import ExactJump, MistakenJump, NaNJump
from kstep.units import BOLTZMANN
from regressed import PROPAGATOR

KELVIN = 300.0
THERMAL = BOLTZMANN * KELVIN
TILT, WELL, HALF_WIDTH = 1.0, 4.0, 0.05  # kJ/mol, kJ/mol, nm
SPRING = 2800.0  # kJ/mol/nm²
REPLICAS, PARTICLES = 12, 6


def wells(barrier: float = 1.0, spring: float = 1.0, dt_ps: float = 0.01) -> TrueDynamics:
    """Particles in a tilted double well along x and in springs along y and z, scaled."""
    force = openmm.CustomExternalForce(
        f"{barrier * WELL}*((x/{HALF_WIDTH})^2-1)^2 + {TILT}*x/{HALF_WIDTH}"
        f" + {0.5 * spring * SPRING}*(y^2+z^2)"
    )
    system = openmm.System()
    for particle in range(PARTICLES):
        system.addParticle(12.0)
        force.addParticle(particle, [])
    system.addForce(force)
    context = make_context(system, recording_velocity_verlet(dt_ps), "Reference")
    return TrueDynamics(context, dt_ps, "wells")


def boltzmann(edges: np.ndarray, axis: int) -> np.ndarray:
    """Exact probability of every bin along x (0) or y (1)."""
    grid = np.linspace(-0.2, 0.2, 400_001)
    energy = WELL * ((grid / HALF_WIDTH) ** 2 - 1) ** 2 + TILT * grid / HALF_WIDTH
    weights = np.exp(-(energy if axis == 0 else 0.5 * SPRING * grid**2) / THERMAL)
    counts, _ = np.histogram(grid, edges, weights=weights)
    return counts / weights.sum()


def hybrid_config(**guard):
    config = load_config(
        [],
        [
            "hybrid.corrector=closing_kick",
            "model.arch=splitting",
            "train.landing=closing_kick",
            "hybrid.ensemble=ghmc",
        ],
    ).hybrid
    return config.model_copy(update={"guard": config.guard.model_copy(update=guard)})


class Lenient(np.random.Generator):
    """Random numbers with which every finite proposal is accepted."""

    def random(self, size):
        return np.zeros(size)


def chain(jump, n: int, config=None, kind=np.random.Generator):
    """(x, v) before and after every Metropolis step, [n, 2, R, N, 3] each, and the step."""
    dynamics = wells()
    rng = kind(PCG64(3))
    step = GhmcStep(jump, dynamics, config or hybrid_config(), REPLICAS, KELVIN, rng)
    thermostat = OrnsteinUhlenbeck(dynamics, KELVIN, 4.0, step.duration, rng)
    shape = (REPLICAS, PARTICLES, 3)
    x = 0.02 * rng.standard_normal(shape)
    v = maxwell_boltzmann(rng, dynamics.masses, KELVIN, (REPLICAS,))
    state = step.start(x, v)
    places, velocities = np.empty((n, 2, *shape)), np.empty((n, 2, *shape))
    for index in range(n):
        for part, move in enumerate((thermostat, step)):
            state = move(state)
            places[index, part], velocities[index, part] = state.x, state.v
    return places, velocities, step


def significance(deviations: np.ndarray) -> float:
    """Largest mean deviation [R, ...] in standard errors over what chance allows one in 200.

    Replicas are independent, so their scatter is the error, whatever the autocorrelation.
    """
    deviations = deviations.reshape(REPLICAS, -1)
    deviations = deviations[:, deviations.any(axis=0)]
    error = deviations.std(axis=0, ddof=1) / np.sqrt(REPLICAS)
    largest = np.abs(deviations.mean(axis=0) / error).max()
    return float(largest / stats.t.isf(0.5 * 0.005 / deviations.shape[1], REPLICAS - 1))


def from_boltzmann(places: np.ndarray) -> float:
    """Significance of what histograms along x and y lack."""
    kept = places[len(places) // 10 :, 1].swapaxes(0, 1)
    deviations = []
    for axis, edges in ((0, np.linspace(-0.09, 0.09, 13)), (1, np.linspace(-0.075, 0.075, 11))):
        one = kept[..., axis].reshape(REPLICAS, -1)
        shares = np.array([np.histogram(row, edges)[0] for row in one]) / one.shape[1]
        deviations.append(shares - boltzmann(edges, axis))
    return significance(np.concatenate(deviations, axis=1))


def from_balance(places: np.ndarray, velocities: np.ndarray) -> float:
    """Significance of what transitions lack of their reverse, velocities turned round.

    Between cells of the tilted well and of the sign of the velocity along it: as many from a to
    b as from b, reversed, to a, reversed.
    """
    kept = slice(len(places) // 10, None)
    cells = np.digitize(places[kept, ..., 0], [-0.06, -0.04, 0.0, 0.04, 0.06])
    turned = velocities[kept, ..., 0] < 0.0
    start, end = (2 * cells + turned).swapaxes(0, 1)
    excess = []
    for replica in range(REPLICAS):
        counts = np.zeros((12, 12))
        np.add.at(counts, (start[:, replica].ravel(), end[:, replica].ravel()), 1.0)
        reverse = counts.reshape(6, 2, 6, 2)[:, ::-1, :, ::-1].reshape(12, 12).T
        excess.append(counts - reverse)
    return significance(np.array(excess))


MISTAKES = {
    "potential": (lambda: MistakenJump(wells(0.5, 1.6), 8, 8), {}),
    "step": (lambda: MistakenJump(wells(dt_ps=0.04), 2, 8), {}),
    "bound": (lambda: MistakenJump(wells(), 8, 8), {"max_displacement_nm": 0.07}),
}


@pytest.fixture(scope="module", params=MISTAKES)
def mistaken(request):
    """Jumps under another potential, at too long a step, refused where they go far."""
    make, guard = MISTAKES[request.param]
    return chain(make(), 800, hybrid_config(**guard))


def test_a_wrong_jump_samples_the_right_distribution(mistaken):
    places, velocities, step = mistaken
    assert 0.3 < step.accounts.acceptance < 0.5
    assert from_boltzmann(places) < 1.0
    kinetic = 6.0 * (velocities[:, 1] ** 2).sum(axis=(2, 3)).mean(axis=0)
    error = kinetic.std(ddof=1) / np.sqrt(REPLICAS)
    assert abs(kinetic.mean() - 1.5 * PARTICLES * THERMAL) < 4 * error


def test_transitions_are_as_frequent_as_their_reverse(mistaken):
    places, velocities, _ = mistaken
    assert from_balance(places, velocities) < 1.0


@pytest.mark.parametrize(("name", "moved"), [("potential", 0.55), ("bound", 0.42)])
def test_with_further_chances_more_jumps_end_well_and_all_is_as_right(name, moved):
    """What goes out of bounds gets none, so that these must be the same from either end."""
    make, guard = MISTAKES[name]
    config = hybrid_config(**guard).model_copy(update={"extra_chances": 2})
    places, velocities, step = chain(make(), 800, config)
    accounts = step.accounts
    assert accounts.acceptances > moved * accounts.macro_steps
    assert accounts.macro_steps < accounts.proposals < 3 * accounts.macro_steps
    assert accounts.calls.sum() <= accounts.proposals + REPLICAS
    assert from_boltzmann(places) < 1.0
    assert from_balance(places, velocities) < 1.0


def test_without_the_metropolis_test_the_wrong_jump_is_seen():
    places, _, step = chain(MISTAKES["potential"][0](), 400, kind=Lenient)
    assert step.accounts.acceptance > 0.99
    assert from_boltzmann(places) > 2.0


def test_the_exact_jump_is_nearly_always_accepted_and_keeps_the_temperature(
    isobutanol, make_dynamics, make_sampler
):
    """Nearly: velocity Verlet's own error, at 2 fs, has one jump in ten refused, at 1 fs few."""
    x, v = make_sampler(isobutanol).equilibrate(isobutanol.positions, KELVIN, 2)
    dynamics, rng = make_dynamics(isobutanol, 0.001), np.random.default_rng(5)
    jump = ExactJump(make_dynamics(isobutanol, 0.001), 8, "closing_kick")
    step = GhmcStep(jump, dynamics, hybrid_config(), 1, KELVIN, rng)
    thermostat = OrnsteinUhlenbeck(dynamics, KELVIN, 40.0, step.duration, rng)
    state = step.start(x[None], v[None])
    velocities = []
    for _ in range(1500):
        state = step(thermostat(state))
        velocities.append(state.v[0])
    assert step.accounts.acceptance > 0.96
    masses = isobutanol.masses
    freedom = internal_degrees_of_freedom(len(masses), len(isobutanol.constraints))
    internal = remove_centre_of_mass(np.array(velocities), masses)
    means = kinetic_temperature(internal, masses, freedom).reshape(30, -1).mean(axis=1)
    assert abs(means.mean() - KELVIN) < 3.5 * means.std(ddof=1) / np.sqrt(len(means))


def softened(molecule, dt_ps: float, drifts: int) -> MistakenJump:
    """A jump that takes torsions for softer than they are."""
    system = load_system(molecule, 1.0, "HBonds", "OBC2")
    torsions = next(f for f in system.getForces() if f.getName() == "PeriodicTorsionForce")
    for index in range(torsions.getNumTorsions()):
        *rest, height = torsions.getTorsionParameters(index)
        torsions.setTorsionParameters(index, *rest, 0.55 * height)
    context = make_context(system, recording_velocity_verlet(dt_ps), "Reference")
    return MistakenJump(TrueDynamics(context, dt_ps, molecule.name), drifts, 8)


def out_of_plane(molecule, places: np.ndarray) -> np.ndarray:
    """Mean square distance of the ring's atoms from their plane, pm² [...]."""
    ring = places[..., np.flatnonzero(molecule.numbers == 6), :]
    centred = ring - ring.mean(axis=-2, keepdims=True)
    return np.linalg.svd(centred, compute_uv=False)[..., -1] ** 2 / 6.0 * 1e6


@pytest.mark.parametrize("kind", [np.random.Generator, Lenient])
def test_a_ring_is_as_flat_as_in_true_dynamics_though_the_jump_takes_it_for_softer(
    kind, phenol, make_dynamics, make_sampler, equilibrium
):
    """And is not when its energies are not asked."""
    frames = make_sampler(phenol).sample(*equilibrium, KELVIN, 8, 75_000, 50)
    wanted = out_of_plane(phenol, frames.pos).reshape(20, -1).mean(axis=1)
    dynamics, rng = make_dynamics(phenol), kind(PCG64(1))
    step = GhmcStep(softened(phenol, 0.002, 8), dynamics, hybrid_config(), 4, KELVIN, rng)
    thermostat = OrnsteinUhlenbeck(dynamics, KELVIN, 10.0, step.duration, rng)
    state = step.start(*(np.stack([array] * 4) for array in equilibrium))
    places = []
    for _ in range(900):
        state = step(thermostat(state))
        places.append(state.x)
    found = out_of_plane(phenol, np.array(places[100:])).reshape(20, -1).mean(axis=1)
    error = np.hypot(found.std(ddof=1), wanted.std(ddof=1)) / np.sqrt(20)
    is_right = abs(found.mean() - wanted.mean()) < 4 * error
    assert is_right == (kind is np.random.Generator)


def test_a_mistaken_jump_keeps_the_structure_of_mechanics(phenol, make_dynamics, equilibrium):
    """Also on constraints: what makes it a valid proposal is no accident of free particles."""
    jump = softened(phenol, 0.004, 4)
    bare = BareMap(jump, make_dynamics(phenol), hybrid_config(), phenol.constraints)
    x, v = equilibrium
    reversal_x, reversal_v = bare.reversal(x[None], v[None])
    assert max(reversal_x[0], reversal_v[0]) < 1e-7
    log_det, defect = volume_and_defect(bare.jacobian(x, v, KELVIN))
    assert abs(log_det) < 1e-5
    assert defect < 1e-5
    guard = bare.guard_calibration(x[None], v[None])
    assert guard.error_x[0] > 0.05


def test_what_is_not_finite_is_refused_without_a_force_call():
    dynamics, config = wells(), hybrid_config()
    step = GhmcStep(NaNJump(8, "closing_kick"), dynamics, config, 2, KELVIN, Lenient(PCG64(0)))
    rng = np.random.default_rng(0)
    x = 0.02 * rng.standard_normal((2, PARTICLES, 3))
    start = step.start(x, rng.standard_normal(x.shape))
    state = start
    for _ in range(3):
        state = step(state)
    np.testing.assert_array_equal(state.x, start.x)
    np.testing.assert_array_equal(state.v, -start.v)
    np.testing.assert_array_equal(state.forces, start.forces)
    np.testing.assert_array_equal(state.epot, start.epot)
    accounts = step.accounts
    assert accounts.calls.tolist() == [1, 1]
    assert (accounts.proposals, accounts.acceptances, accounts.acceptance) == (6, 0, 0.0)
    assert (accounts.macro_steps, accounts.rejected_jumps, accounts.fallback_calls) == (6, 0, 0)


def test_an_energy_that_is_not_finite_is_refused():
    """Where the true force has a pole that the jump does not see."""

    class OntoThePole:
        k_steps, landing, closing_ps = 8, "closing_kick", 0.005

        def __call__(self, x, v, forces):
            return np.zeros_like(x), v

    force = openmm.CustomExternalForce("1/(x*x+y*y+z*z)")
    system = openmm.System()
    system.addParticle(12.0)
    force.addParticle(0, [])
    system.addForce(force)
    context = make_context(system, recording_velocity_verlet(0.01), "Reference")
    dynamics = TrueDynamics(context, 0.01, "pole")
    step = GhmcStep(OntoThePole(), dynamics, hybrid_config(), 1, KELVIN, Lenient(PCG64(0)))
    start = step.start(np.full((1, 1, 3), 0.02), np.zeros((1, 1, 3)))
    end = step(start)
    np.testing.assert_array_equal(end.x, start.x)
    assert end.epot == start.epot
    assert step.accounts.calls.tolist() == [2]


def test_a_refusal_costs_its_own_force_call_and_no_more():
    jump = MistakenJump(wells(0.5, 1.6), 8, 8)
    dynamics, rng = wells(), np.random.default_rng(2)
    step = GhmcStep(jump, dynamics, hybrid_config(), 1, KELVIN, rng)
    x = 0.02 * rng.standard_normal((1, PARTICLES, 3))
    state = step.start(x, maxwell_boltzmann(rng, dynamics.masses, KELVIN, (1,)))
    for _ in range(30):
        state = step(state)
        forces, epot = wells().evaluate(state.x[0])
        np.testing.assert_allclose(state.forces[0], forces)
        assert state.epot[0] == pytest.approx(epot)
    assert 0 < step.accounts.acceptances < 30
    assert dynamics.calls == step.accounts.calls[0] == 31


def test_jumps_without_the_structure_are_refused(phenol, make_dynamics):
    config = load_config([PROPAGATOR]).hybrid.model_copy(update={"ensemble": "ghmc"})
    jump, rng = NaNJump(8, "half_step"), np.random.default_rng(0)
    with pytest.raises(ArtifactError, match="reversible and keep volume"):
        GhmcStep(jump, make_dynamics(phenol), config, 1, KELVIN, rng)
    with pytest.raises(ArtifactError, match="lands on the half_step"):
        GhmcStep(jump, make_dynamics(phenol), hybrid_config(), 1, KELVIN, rng)
    with pytest.raises(ConfigError, match="KStepIntegrator has no Metropolis test"):
        KStepIntegrator(jump, phenol, 0.002, KELVIN, config)


def test_in_nvt_nothing_touches_what_a_splitting_lands_on(phenol, make_dynamics, equilibrium):
    """Neither rescaling to the energy nor restored momenta, which here would both be wrong."""
    config = hybrid_config(enabled=False)
    assert config.energy_rescale
    jump, dynamics = softened(phenol, 0.002, 8), make_dynamics(phenol)
    step = MacroStep(jump, dynamics, config, 1, "nvt")
    start = step.start(*(array[None] for array in equilibrium))
    end = step(start)
    landed_x, landed_v = jump(start.x, start.v, start.forces)
    forces, _ = dynamics.evaluate(landed_x[0])
    kicked = landed_v[0] + 0.001 * forces / phenol.masses[:, None]
    np.testing.assert_array_equal(end.x, landed_x)
    np.testing.assert_allclose(
        end.v[0], dynamics.constrain_velocities(landed_x[0], kicked), atol=1e-14
    )
    assert abs((end.etot(phenol.masses) - start.etot(phenol.masses))[0]) > 0.1


def test_a_minimiser_in_a_splitting_is_refused(phenol, make_dynamics):
    config = hybrid_config().model_copy(update={"projection_iterations": 1})
    with pytest.raises(ConfigError, match="would break its reversibility"):
        MacroStep(NaNJump(8, "closing_kick"), make_dynamics(phenol), config, 1)

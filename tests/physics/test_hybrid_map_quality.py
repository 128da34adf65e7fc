"""The map's measures: nothing for true dynamics, something for every fault."""

import numpy as np
import pytest

from kstep.config import load_config
from kstep.integrators.correctors import CORRECTORS
from kstep.integrators.map_quality import BareMap, tangent_basis, volume_and_defect
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.integrators.platforms import make_context
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials.systems import load_system
from kstep.testing import ExactJump, FreeFlight, NaNJump, NoisyJump
from regressed import PROPAGATOR

K = 8


def unconstrained(molecule) -> TrueDynamics:
    """The molecule with springs where its constraints were, at 1 fs."""
    system = load_system(molecule, 1.0, "HBonds", "OBC2")
    while system.getNumConstraints():
        system.removeConstraint(0)
    bonds = next(f for f in system.getForces() if hasattr(f, "addBond"))
    for first, second in molecule.constraints.tolist():
        bonds.addBond(first, second, 0.109, 3e5)
    context = make_context(system, recording_velocity_verlet(0.001), "Reference")
    return TrueDynamics(context, 0.001, molecule.name)


@pytest.fixture(scope="module")
def sides(phenol, make_dynamics, equilibrium):
    """With and without constraints: dynamics for map and oracle, pairs, and a state."""
    free = unconstrained(phenol)
    x, v = equilibrium
    relaxed = free.steps(x, v, 200)
    return {
        "HBonds": (lambda: make_dynamics(phenol), phenol.constraints, (x, v)),
        "None": (
            lambda: unconstrained(phenol),
            np.zeros((0, 2), np.int64),
            (relaxed.x, relaxed.v),
        ),
    }


def bare_map(dynamics, pairs, jump, **settings) -> BareMap:
    config = load_config(
        [PROPAGATOR], [f"hybrid.{key}={value}" for key, value in settings.items()]
    ).hybrid
    return BareMap(jump, dynamics, config, pairs)


@pytest.mark.parametrize("constraints", ["HBonds", "None"])
@pytest.mark.parametrize("corrector", ["drift_kick_drift", "none", "closing_kick"])
def test_true_dynamics_are_reversible_and_symplectic(sides, constraints, corrector):
    make, pairs, (x, v) = sides[constraints]
    jump = ExactJump(make(), K, CORRECTORS[corrector].landing)
    config = load_config([PROPAGATOR], []).hybrid.model_copy(update={"corrector": corrector})
    bare = BareMap(jump, make(), config, pairs)
    reversal_x, reversal_v = bare.reversal(x[None], v[None])
    assert max(reversal_x[0], reversal_v[0]) < 1e-8
    jacobian = bare.jacobian(x, v, 300.0)
    assert jacobian.shape == 2 * (2 * (x.size - len(pairs)),)
    log_det, defect = volume_and_defect(jacobian)
    assert abs(log_det) < 1e-5
    assert defect < 1e-5
    assert np.linalg.norm(jacobian - np.eye(len(jacobian))) > 1.0


@pytest.mark.parametrize("constraints", ["HBonds", "None"])
def test_a_jump_that_damps_loses_the_volume_it_should(sides, constraints):
    """Velocities 1 % short: det J = 0.99^d, the momenta kept aside."""
    make, pairs, (x, v) = sides[constraints]
    exact = ExactJump(make(), K, "half_step")

    class Damped:
        k_steps, landing, closing_ps = K, "half_step", 0.0

        def __call__(self, x, v, forces):
            landed_x, landed_v = exact(x, v, forces)
            return landed_x, 0.99 * landed_v

    bare = bare_map(make(), pairs, Damped())
    log_det, defect = volume_and_defect(bare.jacobian(x, v, 300.0))
    directions = x.size - len(pairs) - 6  # linear and angular momentum are restored
    assert log_det == pytest.approx(directions * np.log(0.99), rel=0.1)
    assert defect > 1e-3
    assert bare.reversal(x[None], v[None])[1][0] > 1e-3


def test_the_map_is_only_asked_about_states_that_hold_the_constraints(sides):
    make, pairs, (x, v) = sides["HBonds"]
    exact, seen = ExactJump(make(), K, "half_step"), []

    class Spy:
        k_steps, landing, closing_ps = K, "half_step", 0.0

        def __call__(self, x, v, forces):
            seen.append((x, v))
            return exact(x, v, forces)

    bare_map(make(), pairs, Spy()).jacobian(x, v, 300.0)
    asked_x, asked_v = (np.concatenate(arrays) for arrays in zip(*seen, strict=True))
    assert len(asked_x) == 4 * (x.size - len(pairs)) + 1
    i, j = pairs.T
    arms, rates = asked_x[:, i] - asked_x[:, j], asked_v[:, i] - asked_v[:, j]
    lengths = np.linalg.norm(arms, axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[-1], lengths.shape), rtol=3e-8)
    assert np.abs(np.einsum("sci,sci->sc", arms, rates)).max() < 1e-7


def test_a_map_may_keep_the_volume_and_not_be_symplectic():
    shear = np.eye(4)
    shear[0, 1] = 0.3
    log_det, defect = volume_and_defect(shear)
    assert log_det == pytest.approx(0.0, abs=1e-12)
    assert defect > 0.1


def test_noise_is_seen(sides):
    make, pairs, (x, v) = sides["HBonds"]
    jump = NoisyJump(ExactJump(make(), K, "half_step"), 1e-4, 0.02, np.random.default_rng(0))
    bare = bare_map(make(), pairs, jump)
    reversal_x, reversal_v = bare.reversal(np.stack([x, x]), np.stack([v, v]))
    assert np.all(reversal_x > 1e-3)
    assert np.all(reversal_v > 1e-3)
    log_det, defect = volume_and_defect(bare.jacobian(x, v, 300.0))
    assert abs(log_det) > 0.1
    assert defect > 0.1


def test_what_is_not_finite_is_infinitely_bad(sides):
    make, pairs, (x, v) = sides["HBonds"]
    bare = bare_map(make(), pairs, NaNJump(K, "half_step"))
    assert np.isinf(bare.reversal(x[None], v[None])).all()
    assert volume_and_defect(bare.jacobian(x, v, 300.0)) == (np.inf, np.inf)
    guard = bare.guard_calibration(x[None], v[None])
    assert guard.refused.all()
    assert np.isinf([guard.energy, guard.error_x, guard.error_v]).all()


def test_the_guard_is_held_against_the_truth(sides, phenol, make_sampler):
    make, pairs, (x, v) = sides["HBonds"]
    frames = make_sampler(phenol).sample(x, v, 300.0, 7, 1000, 100)
    states = frames.pos, frames.vel
    exact = bare_map(make(), pairs, ExactJump(make(), K, "half_step"))
    found = exact.guard_calibration(*states)
    assert not found.refused.any()
    assert found.error_x.max() < 1e-6
    assert found.error_v.max() < 1e-6
    flight = bare_map(make(), pairs, FreeFlight(0.002, K, "half_step"))
    found = flight.guard_calibration(*states)
    assert found.refused.mean() > 0.5
    np.testing.assert_array_equal(found.refused, found.energy > 10.0)
    assert np.all(found.error_x > 0.3)
    # A switched-off guard is still asked for its opinion.
    off = bare_map(make(), pairs, FreeFlight(0.002, K, "half_step"), **{"guard.enabled": "false"})
    np.testing.assert_array_equal(off.guard_calibration(*states).refused, found.refused)


def test_a_tangent_basis_is_orthonormal_and_leaves_the_lengths(phenol, equilibrium):
    x = equilibrium[0]
    masses, pairs = phenol.masses, phenol.constraints
    basis = tangent_basis(x, masses, pairs)
    flat = basis.reshape(len(basis), -1)
    assert len(flat) == x.size - len(pairs)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-12)
    moves = basis / np.sqrt(masses)[:, None]
    i, j = pairs.T
    along = np.einsum("ci,dci->dc", x[i] - x[j], moves[:, i] - moves[:, j])
    np.testing.assert_allclose(along, 0.0, atol=1e-12)

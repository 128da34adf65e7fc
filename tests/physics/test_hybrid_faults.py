"""The faulty integrators have the fault they claim, of the size they claim, and no other."""

import numpy as np
import pytest

from kstep.config import load_config
from kstep.errors import ConfigError
from kstep.system.mechanics import (
    internal_degrees_of_freedom,
    kinetic_energy,
    kinetic_temperature,
    remove_centre_of_mass,
)
from kstep.system.motion import load_motion, motion_of
from kstep.system.trajectory import NVE, NVT, load_trajectory
from kstep.testing.faults import (
    exact_hybrid,
    faultless,
    hot_thermostat,
    noisy_positions,
    scaled_bond,
    scaled_velocities,
    shifted_velocities,
)
from kstep.testing.runs import Setup


def make_setup(molecule, **changes) -> Setup:
    config = load_config([], ["md.equilibration_ps=3", "md.friction_per_ps=5"]).md
    lengths = {
        "replicas": 3, "length_ps": 60.0, "nve_windows": 2, "nve_window_ps": 3.0,
        "motion_windows": 2, "motion_window_ps": 1.8,
    }  # fmt: skip
    return Setup(molecule, config, **{"seed": 1, **lengths, **changes})


@pytest.fixture(scope="module")
def setup(phenol):
    return make_setup(phenol)


@pytest.fixture(scope="module")
def base(setup):
    return faultless(setup)


def temperature(run, molecule) -> tuple[float, float]:
    """Mean and standard error of the NVT temperature."""
    frames = run.trajectory.frames(NVT)
    velocities = remove_centre_of_mass(run.trajectory.vel[frames], molecule.masses)
    freedom = internal_degrees_of_freedom(molecule.n_atoms, len(molecule.constraints))
    values = kinetic_temperature(velocities, molecule.masses, freedom)
    blocks = np.array([block.mean() for block in np.array_split(values, 24)])
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(24))


@pytest.fixture(scope="module", params=["dynamics", "exact jump"])
def right(request, phenol, base):
    """The two integrators without fault."""
    return base if request.param == "dynamics" else exact_hybrid(make_setup(phenol, length_ps=30.0))


def test_a_run_has_the_form_of_a_hybrid_run(right, setup, phenol, tmp_path):
    right.trajectory.save(tmp_path / "phenol.npz")
    right.motion.save(motion_of(tmp_path / "phenol.npz"))
    trajectory = load_trajectory(tmp_path / "phenol.npz")
    motion = load_motion(motion_of(tmp_path / "phenol.npz"))
    assert trajectory.segment_kind.tolist() == [NVT] * 3 + [NVE] * 2
    assert set(trajectory.segment_temperature) == {300.0}
    first = trajectory.segments(NVT)[0]
    np.testing.assert_allclose(np.diff(trajectory.times[first]), 0.108)
    np.testing.assert_array_equal(np.diff(trajectory.force_calls[first]), 6)
    assert motion.vel.shape == (2, 100, phenol.n_atoms, 3)
    assert motion.spacing == pytest.approx(0.018)
    record = trajectory.record
    assert record["fingerprint"] == phenol.fingerprint
    assert record["temperatures_K"] == [300.0]
    segments = [s for kind in (NVT, NVE) for s in trajectory.segments(kind)]
    calls = sum(int(trajectory.force_calls[s][-1]) for s in segments) + len(segments)
    assert record["force_calls"] == calls
    assert record["counted_saving"] == pytest.approx(9.0, rel=0.02)


def test_the_faultless_are_right(right, phenol, make_dynamics):
    mean, error = temperature(right, phenol)
    assert abs(mean - 300.0) < 3.5 * error
    dynamics = make_dynamics(phenol)
    trajectory = right.trajectory
    for frame in range(0, trajectory.n_frames, 300):
        _, epot = dynamics.evaluate(trajectory.pos[frame])
        assert trajectory.epot[frame] == pytest.approx(epot, abs=1e-8)
    for window in trajectory.segments(NVE):
        assert trajectory.etot[window].std() < 0.1 * trajectory.epot[window].std()
    motion = right.motion
    etot = motion.epot + motion.ekin
    assert np.all(etot.std(axis=1) < 0.1 * motion.epot.std(axis=1))
    start = right.motion_pos[0, 3], motion.vel[0, 3].astype(float)
    np.testing.assert_allclose(
        dynamics.steps(*start, 18).v, motion.vel[0, 5], atol=2e-3 * np.abs(motion.vel).max()
    )


def test_equal_seeds_give_equal_runs_and_others_do_not(phenol):
    short = {"length_ps": 1.0, "nve_windows": 1, "nve_window_ps": 0.2, "motion_windows": 0}
    first, again, other = (faultless(make_setup(phenol, seed=seed, **short)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.trajectory.pos, again.trajectory.pos)
    assert not np.array_equal(first.trajectory.epot[:1], other.trajectory.epot[:1])
    assert first.motion.vel.shape == (0, 100, phenol.n_atoms, 3)


def test_the_hot_thermostat_is_hot_and_says_it_is_not(phenol):
    run = hot_thermostat(make_setup(phenol), 360.0)
    mean, error = temperature(run, phenol)
    assert abs(mean - 360.0) < 3.5 * error
    assert mean - 300.0 > 5 * error
    assert set(run.trajectory.segment_temperature) == {300.0}
    assert run.trajectory.record["temperatures_K"] == [300.0]
    assert run.motion.record["candidate"] == "thermostat at 360 K"


def test_a_softer_bond_is_wider(phenol, base):
    heavy = next(tuple(pair) for pair in phenol.bonds.tolist() if 1 not in phenol.numbers[pair])
    run = scaled_bond(make_setup(phenol), heavy, 0.5)

    def spread(found):
        pos = found.trajectory.pos[found.trajectory.frames(NVT)]
        return np.linalg.norm(pos[:, heavy[0]] - pos[:, heavy[1]], axis=-1).var()

    assert spread(run) / spread(base) == pytest.approx(2.0, rel=0.35)
    # Energies are those of the true System, which these dynamics do not keep.
    noise = [
        np.mean([found.trajectory.etot[w].std() for w in found.trajectory.segments(NVE)])
        for found in (base, run)
    ]
    assert noise[1] > 1.5 * noise[0]


def test_a_bond_that_is_constrained_has_no_spring(phenol):
    with pytest.raises(ConfigError, match="has no harmonic bond between atoms"):
        scaled_bond(make_setup(phenol), tuple(phenol.constraints[0].tolist()), 1.05)


def test_scaled_velocities_are_scaled_everywhere(base, setup, phenol):
    run = scaled_velocities(base, setup, 1.1)
    np.testing.assert_allclose(run.trajectory.ekin, 1.21 * base.trajectory.ekin)
    np.testing.assert_allclose(run.trajectory.etot - run.trajectory.epot, run.trajectory.ekin)
    np.testing.assert_allclose(run.motion.ekin, 1.21 * base.motion.ekin, rtol=1e-6)
    np.testing.assert_allclose(run.motion.vel, 1.1 * base.motion.vel, rtol=1e-6)
    np.testing.assert_array_equal(run.motion.epot, base.motion.epot)
    assert base.trajectory.record["candidate"] == "faultless"


def test_shifted_velocities_are_those_of_the_leapfrog(base, setup, phenol, make_dynamics):
    run = shifted_velocities(base, setup)
    window = base.trajectory.segments(NVE)[0]
    frame = window[4]
    # Run backwards from the frame: the velocity over the step that led to it.
    x, v = base.trajectory.pos[frame], base.trajectory.vel[frame]
    before = make_dynamics(phenol).steps(x, -v, 1)
    leapfrog = (x - before.x) / 0.002
    off = np.abs(run.trajectory.vel[frame] - leapfrog).max()
    assert off < 0.15 * np.abs(v - leapfrog).max()
    etot = run.trajectory.etot
    assert etot[window].std() > 1.5 * base.trajectory.etot[window].std()
    np.testing.assert_array_equal(run.trajectory.pos, base.trajectory.pos)
    assert np.abs(run.motion.vel - base.motion.vel).max() > 0.1
    np.testing.assert_allclose(
        run.motion.ekin, kinetic_energy(run.motion.vel.astype(float), phenol.masses), rtol=1e-5
    )


def test_noisy_positions_are_noisy_and_their_energies_true(base, setup, phenol, make_dynamics):
    run = noisy_positions(base, setup, 5e-4)
    moved = run.trajectory.pos - base.trajectory.pos
    # A constraint for every hydrogen takes a degree of freedom in six or so from the noise.
    assert 0.8 * 5e-4 < moved.std() < 5e-4
    first, second = phenol.constraints.T
    lengths = np.linalg.norm(run.trajectory.pos[:, first] - run.trajectory.pos[:, second], axis=-1)
    np.testing.assert_allclose(lengths, lengths[:1].repeat(len(lengths), axis=0), rtol=1e-6)
    _, epot = make_dynamics(phenol).evaluate(run.trajectory.pos[17])
    assert run.trajectory.epot[17] == pytest.approx(epot, abs=1e-8)
    frames = base.trajectory.frames(NVT)
    assert (run.trajectory.epot - base.trajectory.epot)[frames].mean() > 0.1
    assert np.all(run.motion.epot != base.motion.epot)
    np.testing.assert_array_equal(run.motion.vel, base.motion.vel)

"""The windows obey mechanics: an analytic molecule, with every step known."""

import numpy as np
import pytest

from dataset_samples import DT_PS, Springs, write_bursts
from kstep.config import load_config
from kstep.regressed import windows as dataset
from kstep.regressed.windows.windows import Dataset, load_dataset
from kstep.system.mechanics import centre_of_mass, remove_centre_of_mass

K = 8
N_BURSTS = 12
MOLECULE = Springs(5)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    data = tmp_path_factory.mktemp("data")
    path = write_bursts(data / "md", "springs", MOLECULE.n_atoms, N_BURSTS, seed=3)
    config = load_config([], [f"paths.data={data}", f"dataset.k_steps=[{K}]"])
    return load_dataset(dataset.run(config, [path])[0])


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    """All states of all bursts, relative to the centre of mass [49 + K, B, N, 3]."""
    x, v = MOLECULE.path(*MOLECULE.start(3, N_BURSTS), 48 + K)
    return remove_centre_of_mass(x, MOLECULE.masses), remove_centre_of_mass(v, MOLECULE.masses)


def test_centre_of_mass_is_at_rest_at_both_ends(windows: Dataset) -> None:
    for array in (windows.x_t, windows.x_tk, windows.rollout_x):
        drift = centre_of_mass(array.astype(np.float64), MOLECULE.masses)
        np.testing.assert_allclose(drift, 0.0, atol=1e-8)
    for array in (windows.v_t, windows.v_tk, windows.v_t_half, windows.v_tk_half):
        drift = centre_of_mass(array.astype(np.float64), MOLECULE.masses)
        # float32 of x far from the origin and a division by dt limit the half-step velocities.
        np.testing.assert_allclose(drift, 0.0, atol=3e-6)


def test_windows_lie_k_steps_apart_on_the_true_path(
    windows: Dataset, truth: tuple[np.ndarray, np.ndarray]
) -> None:
    x, v = truth
    start, burst = windows.window_start, windows.window_burst
    for steps, position, velocity in (
        (0, windows.x_t, windows.v_t),
        (K, windows.x_tk, windows.v_tk),
    ):
        np.testing.assert_allclose(position, x[start + steps, burst], atol=1e-6)
        np.testing.assert_allclose(velocity, v[start + steps, burst], atol=1e-6)
    assert np.abs(windows.x_tk - windows.x_t).max() > 1e-3


def test_forces_belong_to_the_positions(windows: Dataset) -> None:
    for x, f in ((windows.x_t, windows.f_t), (windows.x_tk, windows.f_tk)):
        np.testing.assert_allclose(f, MOLECULE.forces(x.astype(np.float64)), atol=0.02)
        assert np.abs(f).max() > 50.0


def test_drift_kick_drift_from_the_half_step_landing_is_velocity_verlet(
    windows: Dataset, truth: tuple[np.ndarray, np.ndarray]
) -> None:
    """Exact jump to the half step, then one drift-kick-drift corrector: k + 1 true steps."""
    x_true, v_true = truth
    v_half = windows.v_tk_half.astype(np.float64)
    x_half = windows.x_tk + 0.5 * DT_PS * v_half
    x = x_half + 0.5 * DT_PS * v_half
    v = v_half + 0.5 * DT_PS * MOLECULE.forces(x) / MOLECULE.masses[:, None]
    later = (windows.window_start + K + 1, windows.window_burst)
    np.testing.assert_allclose(x, x_true[later], atol=1e-6)
    np.testing.assert_allclose(v, v_true[later], atol=1e-5)


def test_reversed_windows_retrace_the_path(windows: Dataset) -> None:
    """From (x_tk, -v_tk), k steps lead to (x_t, -v_t) and on to the reversed half step."""
    back_x, back_v = MOLECULE.path(
        windows.x_tk.astype(np.float64), -windows.v_tk.astype(np.float64), K + 1
    )
    np.testing.assert_allclose(back_x[K], windows.x_t, atol=1e-6)
    np.testing.assert_allclose(back_v[K], -windows.v_t, atol=1e-4)  # stored as float32
    reversed_half = (back_x[K + 1] - back_x[K]) / DT_PS
    derived = windows.v_t_half.astype(np.float64) - 2.0 * windows.v_t
    # The division by dt makes 1e-4 nm/ps of the rounding of x.
    np.testing.assert_allclose(derived, reversed_half, atol=3e-4)
    assert np.abs(reversed_half + windows.v_t).max() > 0.05


def test_total_energy_is_that_of_the_start(windows: Dataset) -> None:
    def energy(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        kinetic = 0.5 * np.einsum("wni,n->w", v.astype(np.float64) ** 2, MOLECULE.masses)
        x = x.astype(np.float64)
        potential = -0.5 * np.einsum("wni,wni->w", x, MOLECULE.forces(x))
        return kinetic + potential

    before, after = energy(windows.x_t, windows.v_t), energy(windows.x_tk, windows.v_tk)
    assert np.abs(after / before - 1.0).max() < 0.05  # the Verlet ripple of a stiff spring
    assert before.std() > 1.0

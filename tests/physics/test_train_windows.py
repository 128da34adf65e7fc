"""Targets, time reversal, chained jumps: held against true trajectories."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kstep.config import ModelConfig, TrainConfig
from kstep.integrators.true_dynamics import TrueDynamics, TrueState
from kstep.regressed.networks.batch import JumpBatch, JumpPrediction
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.training.data import TrainingData, measure_physics
from kstep.regressed.training.landings import landings
from kstep.regressed.training.objective import jump_loss, measure_scales
from kstep.regressed.training.reversal import reversed_half_velocity, rigid_pairs
from kstep.regressed.training.scores import rollout_rmsd, score
from kstep.regressed.training.windows import jump_windows
from kstep.regressed.windows.windows import Dataset
from kstep.system.force_field import pad_terms
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN
from model_samples import PHYSICS, make_model
from train_samples import DT, MASSES, SHAPES, K, bursts, forces, make_config, make_dataset

LANDINGS = ("step", "half_step", "closing_kick")
CLOSING_PS = 0.5 * DT


def verlet(x: np.ndarray, v: np.ndarray, name: str, steps: int) -> tuple[np.ndarray, ...]:
    """Positions, velocities and following half-step velocities after some steps."""
    numbers, rest = SHAPES[name][0], np.array(SHAPES[name][1])
    masses = np.array([MASSES[n] for n in numbers])[:, None]
    for step in range(steps + 1):
        half = v + 0.5 * DT * forces(x, rest) / masses
        if step == steps:
            return x, v, half
        x = x + DT * half
        v = half + 0.5 * DT * forces(x, rest) / masses
    raise AssertionError


class ExactJump(JumpModel):
    """k true steps, to any landing."""

    def __init__(self, landing: str) -> None:
        closing_ps = CLOSING_PS if landing == "closing_kick" else 0.0
        facts = {"landing": landing, "closing_ps": closing_ps}
        super().__init__(ModelConfig(), PHYSICS.model_copy(update=facts))
        self.somewhere = nn.Linear(1, 1)

    def forward(self, batch: JumpBatch) -> JumpPrediction:
        dx, dv = torch.zeros_like(batch.x), torch.zeros_like(batch.v)
        sizes = batch.mask.sum(1)
        for name, (numbers, _) in SHAPES.items():
            of, size = sizes == len(numbers), len(numbers)
            if not of.any():
                continue
            x, v = (a[of, :size].double().numpy() for a in (batch.x, batch.v))
            new_x, new_v, half = verlet(x, v, name, K)
            if self.physics.landing == "half_step":
                new_x, new_v = new_x + 0.5 * DT * half, half
            elif self.physics.landing == "closing_kick":
                new_v = 2.0 * new_v - half  # the half kick that ends the step is as one that begins
            dx[of, :size] = torch.from_numpy(new_x - x).float()
            dv[of, :size] = torch.from_numpy(new_v - v).float()
        return JumpPrediction(dx, dv, None, torch.zeros(len(batch.species), 2, 3))


@pytest.mark.parametrize("landing", LANDINGS)
def test_targets_are_where_the_dynamics_land(landing: str) -> None:
    dataset = make_dataset(4)
    windows = jump_windows(dataset, landing, CLOSING_PS)
    chosen = torch.arange(dataset.n_windows)
    result = score(ExactJump(landing), windows, chosen)
    assert result.all.rel_dx < 1e-3
    assert result.all.rel_dv < 1e-3


@pytest.mark.parametrize("landing", LANDINGS)
def test_reversed_windows_are_true_trajectories_too(landing: str) -> None:
    dataset = make_dataset(4)
    windows = jump_windows(dataset, landing, CLOSING_PS)
    jump = ExactJump(landing)
    for row in (0, 1):
        of = torch.from_numpy(np.flatnonzero(dataset.molecule_id == row))
        batch = windows.batch(of, torch.ones(len(of), dtype=torch.bool))
        found = jump(batch.start)
        assert float((found.dx - batch.dx).abs().max()) < 1e-5
        assert float((found.dv - batch.dv).abs().max()) < 2e-3
        assert float(batch.dv.abs().max()) > 1.0


def test_forces_belong_to_the_ends_of_the_jump() -> None:
    dataset = make_dataset(3)
    windows = jump_windows(dataset, "step")
    of = np.flatnonzero(dataset.molecule_id == 0)
    for backwards in (False, True):
        batch = windows.batch(torch.from_numpy(of), torch.full((len(of),), backwards))
        start = batch.start.x.double().numpy()
        landed = (batch.start.x + batch.dx).double().numpy()
        for found, x in ((batch.start.f, start), (batch.force, landed)):
            expected = forces(x, np.array(SHAPES["bent"][1]))
            assert np.abs(found.numpy() - expected).max() < 1e-2 * np.abs(expected).max()


def constrained_window(molecule: Molecule, dynamics: TrueDynamics, seed: int) -> list[TrueState]:
    """States of every step of a true window, from 300 K."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(BOLTZMANN * 300.0 / molecule.masses)[:, None]
    x = dynamics.constrain_positions(molecule.positions)
    v = dynamics.constrain_velocities(x, spread * rng.normal(size=x.shape))
    states = [dynamics.steps(x, v, 1)]
    states += [dynamics.more_steps(1) for _ in range(K)]
    return states


@pytest.mark.parametrize("name", ["phenol", "isobutanol"])
def test_before_its_closing_kick_a_molecule_moves_along_its_last_drift(
    name: str, make_dynamics: Callable, request: pytest.FixtureRequest
) -> None:
    """Velocity Verlet with RATTLE closes with P F/m over half a step: what is before that kick is
    the velocity of the last drift, projected, from whichever end the window is seen."""
    molecule = request.getfixturevalue(name)
    dynamics = make_dynamics(molecule)
    windows = [constrained_window(molecule, dynamics, seed) for seed in range(3)]
    dataset = dataset_of(molecule, windows)
    (x, v), (backwards_x, backwards_v) = landings(dataset, "closing_kick", CLOSING_PS)
    for row, states in enumerate(windows):
        for found_x, found_v, end, before in (
            (x, v, states[-1], states[-2]),
            (backwards_x, backwards_v, states[0], states[1]),
        ):
            drift = (end.x - before.x) / DT
            expected = dynamics.constrain_velocities(end.x, drift)
            assert np.abs(found_x[row] - end.x).max() < 1e-6
            assert np.abs(found_v[row] - expected).max() < 1e-3
            assert np.abs(found_v[row] - drift).max() > 1e-2  # the projection matters
            assert np.abs(np.abs(found_v[row]) - np.abs(end.v)).max() > 1e-2  # and so does the kick


def dataset_of(molecule: Molecule, windows: list[list[TrueState]]) -> Dataset:
    """A dataset of windows of one molecule, given as the states of every step."""
    ends = {"t": [w[0] for w in windows], "tk": [w[-1] for w in windows]}
    arrays = {
        f"{name}_{at}": np.stack([getattr(s, {"f": "forces"}.get(name, name)) for s in states])
        for at, states in ends.items()
        for name in ("x", "v", "f")
    }
    arrays |= {f"v_{at}_half": np.zeros_like(arrays["x_t"]) for at in ends}
    arrays |= {f"rollout_{n}": np.zeros((0, 2, *molecule.positions.shape)) for n in "xvf"}
    arrays["rollout_v_half"] = arrays["rollout_x"]
    none = np.zeros(len(windows), dtype=np.int64)
    return Dataset(
        **{name: array.astype(np.float32) for name, array in arrays.items()},
        **pad_terms([molecule.terms]),
        atom_types=molecule.numbers[None].astype(np.int64),
        masses=molecule.masses[None].astype(np.float32),
        molecule_id=none,
        window_burst=none,
        window_start=none,
        rollout_window=none[:0],
        record={"k_steps": K, "dt_ps": DT, "molecules": [molecule.name]},
    )


@pytest.mark.parametrize("landing", LANDINGS)
def test_exact_jumps_chain_exactly(landing: str) -> None:
    dataset = make_dataset(4)
    rmsd = rollout_rmsd(ExactJump(landing), dataset, torch.arange(dataset.n_windows))
    assert len(rmsd) == 3
    assert max(rmsd) < 1e-5


def test_errors_of_chained_jumps_grow() -> None:
    dataset = make_dataset(4)
    rmsd = rollout_rmsd(make_model("propagator"), dataset, torch.arange(dataset.n_windows))
    assert 1e-4 < rmsd[0] < rmsd[2]


def test_free_flight_has_no_skill() -> None:
    class Flight(ExactJump):
        def forward(self, batch: JumpBatch) -> JumpPrediction:
            tau = self.physics.duration
            return JumpPrediction(
                tau * batch.v, 0.0 * batch.v, None, torch.zeros(len(batch.x), 2, 3)
            )

    dataset = make_dataset(4)
    result = score(Flight("step"), jump_windows(dataset, "step"), torch.arange(20))
    assert result.all.rel_dx == pytest.approx(1.0)
    assert result.all.rel_dv == pytest.approx(1.0)


def test_loss_is_the_squared_relative_error() -> None:
    """In units of the scales a silent network loses 1 + lambda_vel, an exact one nothing."""
    windows = jump_windows(make_dataset(6), "half_step")
    chosen = torch.arange(len(windows.molecule))
    scales = measure_scales(windows, chosen, PHYSICS.duration, predict_delta=True)
    physics = PHYSICS.model_copy(update={"scales": scales})
    batch = windows.batch(chosen)
    nothing, weights = torch.zeros(len(chosen), 2, 3), TrainConfig(lambda_vel=0.3, lambda_com=2.0)
    flight = JumpPrediction(physics.duration * batch.start.v, 0 * batch.dv, None, nothing)
    loss = jump_loss(flight, batch, physics, weights)
    assert float(loss.position) == pytest.approx(1.0, rel=1e-4)
    assert float(loss.velocity) == pytest.approx(1.0, rel=1e-4)
    assert float(loss.total) == pytest.approx(1.3, rel=1e-4)
    exact = JumpPrediction(batch.dx, batch.dv, None, nothing + 0.5)
    assert float(jump_loss(exact, batch, physics, weights).total) == pytest.approx(2.0 * 0.25)


def test_what_is_zero_everywhere_has_scale_one() -> None:
    """Free particles have no force to measure a scale by."""
    windows = jump_windows(make_dataset(6), "half_step")
    windows.f.zero_()
    chosen = torch.arange(len(windows.molecule))
    scales = measure_scales(windows, chosen, PHYSICS.duration, predict_delta=True)
    assert scales.force == 1.0
    assert scales.velocity != 1.0


def test_rigid_pairs_are_found_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0.0, 0.1, (50, 4, 3))
    bond = rng.normal(size=(50, 3))
    x[:, 2] = x[:, 0] + 0.109 * bond / np.linalg.norm(bond, axis=-1, keepdims=True)
    assert rigid_pairs(x).tolist() == [[0, 2]]
    assert rigid_pairs(bursts("bent", 10)["x"][:, 0]).size == 0


def test_reversed_half_step_keeps_constrained_bonds() -> None:
    """A rigid rotor: the step before t is the mirror image of the step after it."""
    rng = np.random.default_rng(1)
    length, masses = 0.109, np.array([12.011, 1.008])
    axis = rng.normal(size=(40, 3))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    spin = np.cross(axis, rng.normal(size=(40, 3))) * 20.0  # rad/ps
    weights = np.array([masses[1], -masses[0]]) / masses.sum()
    x = -weights[:, None] * length * axis[:, None]
    v = -weights[:, None] * length * np.cross(spin, axis)[:, None]

    def leapfrog(sign: float) -> np.ndarray:
        """Velocity over the step after (or before): along the chord of a full step."""
        ahead = sign * DT * np.cross(spin, axis)
        chord = axis * np.sqrt(1.0 - np.sum(ahead**2, axis=-1, keepdims=True)) + ahead
        return -weights[:, None] * length * (chord - axis)[:, None] / DT

    expected = leapfrog(-1.0)
    naive = leapfrog(1.0) - 2.0 * v
    found = reversed_half_velocity(x, v, leapfrog(1.0), masses, DT)
    assert np.abs(found - expected).max() < 1e-6
    bonds = np.linalg.norm((x + DT * found)[:, 0] - (x + DT * found)[:, 1], axis=-1)
    assert np.abs(bonds - length).max() < 1e-9
    assert np.abs(naive - expected).max() < 1e-6  # symmetric here: nothing to correct

    tilted = leapfrog(1.0) + 0.1 * np.array([1.0, -1.0])[:, None] * axis[:, None] / masses[:, None]
    found = reversed_half_velocity(x, v, tilted, masses, DT)
    assert np.abs(found - expected).max() < 1e-6  # an error along the bond is taken out


def test_scales_make_everything_of_order_one(tmp_path: Path) -> None:
    dataset = make_dataset(6)
    windows = jump_windows(dataset, "half_step")
    train = torch.arange(dataset.n_windows)
    data = TrainingData(dataset, windows, train, {}, {})
    physics = measure_physics(make_config(tmp_path), data)
    assert physics.duration == pytest.approx((K + 0.5) * DT)
    assert physics.elements == {1, 6, 8}
    root = np.sqrt(windows.masses[windows.molecule].numpy())[..., None]
    residual = root * (windows.dx[0] - physics.duration * windows.v[0]).numpy()
    components = 3 * (root > 0).sum()
    unit = physics.duration * physics.scales.position_residual
    assert (residual**2).sum() / components / unit**2 == pytest.approx(1.0, rel=1e-4)
    velocity = (root * windows.dv[0].numpy() / physics.scales.velocity_residual) ** 2
    assert velocity.sum() / components == pytest.approx(1.0, rel=1e-4)

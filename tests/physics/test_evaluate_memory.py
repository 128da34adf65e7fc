"""Memory of a torsion that hops between two angles at a known rate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kstep.referee.compared import Side
from kstep.referee.cost.savings import Timing
from kstep.referee.structure.autocorrelation import (
    autocorrelation,
    compare_memories,
    efficiency,
    end_to_end,
    independent_samples,
    slowest_observable,
    turns,
)
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVT, Trajectory

RATE = 0.05
"""Hops per ps and direction: the state forgets as exp(-2 · 0.05 t), in 10 ps."""

MEMORY_PS = 1.0 / (2.0 * RATE)
FRAMES, REPLICAS = 6000, 6


def hopping(seed: int, spacing: float, n_frames: int, rate: float = RATE) -> np.ndarray:
    """A dihedral of two equal states 180° apart, with scatter, degrees [R, T]."""
    rng = np.random.default_rng(seed)
    hop = 0.5 * (1.0 - np.exp(-2.0 * rate * spacing))
    hops = rng.random((REPLICAS, n_frames)) < hop
    hops[:, 0] = rng.random(REPLICAS) < 0.5
    return 180.0 * (np.cumsum(hops, axis=1) % 2) + 10.0 * rng.standard_normal(hops.shape)


def make_side(molecule: Molecule, angles: np.ndarray, spacing: float) -> Side:
    """Phenol whose hydroxyl group is turned by the given angles, otherwise (nearly) still."""
    rng = np.random.default_rng(1)
    n_frames = angles.shape[1]
    carbon, oxygen, hydrogen = molecule.positions[[5, 6, 12]]
    axis = (oxygen - carbon) / np.linalg.norm(oxygen - carbon)
    turned = Rotation.from_rotvec(np.radians(angles).reshape(-1, 1) * axis)
    pos = np.repeat(molecule.positions[None], angles.size, axis=0)
    pos += 0.001 * rng.standard_normal(pos.shape)
    pos[:, 12] = oxygen + turned.apply(hydrogen - oxygen)
    times = np.tile(spacing * np.arange(1, n_frames + 1), REPLICAS)
    zeros = np.zeros(angles.size)
    trajectory = Trajectory(
        pos=pos, vel=np.zeros_like(pos), box=np.zeros((angles.size, 3, 3)), epot=zeros,
        ekin=zeros, etot=zeros, times=times, segment=np.repeat(np.arange(REPLICAS), n_frames),
        segment_kind=np.full(REPLICAS, NVT), segment_temperature=np.full(REPLICAS, 300.0),
        force_calls=np.round(times / 0.002).astype(np.int64), numbers=molecule.numbers,
        masses=molecule.masses, record={},
    )  # fmt: skip
    return Side(Path("x.npz"), trajectory, None, 300.0, trajectory.segments(NVT), 0.0)


@pytest.fixture(scope="module")
def sides(phenol) -> tuple[Side, Side]:
    """The candidate saves half as often, hops as fast, and pays for a quarter of the steps."""
    baseline = make_side(phenol, hopping(1, 0.5, FRAMES), 0.5)
    candidate = make_side(phenol, hopping(2, 1.0, FRAMES // 2), 1.0)
    trajectory = candidate.trajectory
    cheap = replace(trajectory, force_calls=trajectory.force_calls // 4)
    return baseline, replace(candidate, trajectory=cheap)


def test_the_torsion_that_turns_has_the_memory_of_its_hops(phenol, sides):
    torsions, curves = compare_memories(phenol, *sides)
    assert [torsion.label for torsion in torsions] == ["C1–C6–O7–H13"]
    # The scatter within a state has no memory, and little weight.
    for found in (torsions[0].time_ps.baseline, torsions[0].time_ps.candidate):
        assert found == pytest.approx(MEMORY_PS, rel=0.2)
    times, *decays = (
        curves[f"memory/C1–C6–O7–H13/{key}"] for key in ("times", "baseline", "candidate")
    )
    assert times[1] == pytest.approx(0.5)
    assert 25.0 < times[-1] < 0.5 * FRAMES * 0.5
    early = (times > 0.9) & (times < 20.0)
    for decay in decays:
        assert decay[0] == pytest.approx(1.0)
        assert decay[early] == pytest.approx(np.exp(-times[early] / MEMORY_PS), abs=0.12)


def test_slow_hops_show_as_long_memory(phenol, sides):
    slow = make_side(phenol, hopping(3, 0.5, FRAMES, rate=RATE / 4.0), 0.5)
    torsions, _ = compare_memories(phenol, sides[0], slow)
    found = torsions[0].time_ps
    assert found.candidate / found.baseline == pytest.approx(4.0, rel=0.45)


def test_independent_samples_are_simulated_time_over_twice_the_memory(phenol, sides):
    timing = Timing(wall_s={}, s_per_ps=0.02, baseline_s_per_ps=0.01, platform="Reference")
    found = efficiency(phenol, *sides, timing)
    assert found is not None
    assert found.observable == "dihedral C1–C6–O7–H13"
    exact = REPLICAS * FRAMES * 0.5 / (2.0 * MEMORY_PS)
    assert found.independent.baseline == pytest.approx(exact, rel=0.2)
    assert found.independent.candidate == pytest.approx(exact, rel=0.2)
    ratio = found.independent.candidate / found.independent.baseline
    calls = found.per_1000_calls
    assert calls.candidate / calls.baseline == pytest.approx(4.0 * ratio, rel=0.01)
    assert calls.baseline == pytest.approx(
        1000.0 * found.independent.baseline / (REPLICAS * FRAMES * 0.5 / 0.002), rel=0.01
    )
    assert found.per_second is not None
    assert found.per_second.baseline == pytest.approx(
        found.independent.baseline / (REPLICAS * FRAMES * 0.5 * 0.01), rel=0.01
    )
    assert found.per_second.candidate / found.per_second.baseline == pytest.approx(
        ratio / 2.0, rel=0.01
    )
    slow = slowest_observable(phenol, sides[0])
    assert slow is not None and slow.label == "C1–C6–O7–H13"
    assert independent_samples(phenol, sides[0], slow) == found.independent.baseline


def test_no_efficiency_without_force_calls(phenol, sides):
    baseline, candidate = sides
    trajectory = candidate.trajectory
    free = replace(
        candidate, trajectory=replace(trajectory, force_calls=0 * trajectory.force_calls)
    )
    assert efficiency(phenol, baseline, free, None) is None
    found = efficiency(phenol, baseline, candidate, None)
    assert found is not None and found.per_second is None


def test_turning_is_more_than_librating():
    rng = np.random.default_rng(1)
    still = 12.0 * rng.standard_normal((1000, 2)) + np.array([180.0, 0.0])
    wrapped = (still + 180.0) % 360.0 - 180.0
    assert not turns(wrapped)
    once = wrapped.copy()
    once[700:, 1] += 120.0
    assert turns(once)


def test_what_chemistry_fixes_is_not_memory():
    # Two members, cis and trans for ever, each with a scatter that forgets at once.
    rng = np.random.default_rng(2)
    runs = [np.array([0.0, 180.0]) + 8.0 * rng.standard_normal((2000, 2)) for _ in range(3)]
    decay = autocorrelation(runs)
    assert len(decay) == 1000
    assert np.abs(decay[1:20]).max() < 0.05


def test_autocorrelation_is_the_mean_product_at_every_lag():
    rng = np.random.default_rng(3)
    runs = [np.cumsum(20.0 * rng.standard_normal((n, 2)), axis=0) for n in (60, 80)]
    vectors = [np.stack([np.cos(np.radians(r)), np.sin(np.radians(r))]) for r in runs]
    mean = np.concatenate(vectors, axis=1).mean(axis=1)
    away = [vector - mean[:, None] for vector in vectors]
    exact = []
    for lag in range(30):
        products = [(one[:, : one.shape[1] - lag] * one[:, lag:]).sum() for one in away]
        exact.append(sum(products) / sum(one.shape[1] - lag for one in away))
    assert autocorrelation(runs) == pytest.approx(np.array(exact) / exact[0], abs=1e-12)


def test_ends_are_the_heavy_atoms_with_most_bonds_between_them(phenol, isobutanol):
    (ends,) = end_to_end(phenol)
    assert ends.label == "C3–O7"
    (ends,) = end_to_end(isobutanol)
    atoms = ends.members[0]
    assert sorted(isobutanol.numbers[atoms].tolist()) == [6, 8]
    lone = replace(phenol, numbers=np.ones_like(phenol.numbers))
    assert end_to_end(lone) == []

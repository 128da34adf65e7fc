"""Molecular graphs, internal coordinates, histograms, radial densities, wells and basins."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate_samples import NUMBERS, make_molecule, make_search
from kstep.config import EvalConfig
from kstep.referee.structure.basin import first_arrivals, in_basin, superposed_rmsd
from kstep.referee.structure.coordinates import (
    all_pairs,
    as_mdtraj,
    coordinate_classes,
    heavy_pair_classes,
    values,
)
from kstep.referee.structure.distributions import (
    bin_edges,
    block_shares,
    line_density,
    pair_density,
)
from kstep.referee.structure.observed import Observed
from kstep.referee.structure.torsions import compare_torsions, crossings, find_wells
from kstep.system.molecule import Molecule
from kstep.system.symmetry import atom_classes, heavy_automorphisms
from kstep.system.trajectory import NVT

CONFIG = EvalConfig()
CIRCLE = np.linspace(-180.0, 180.0, 73)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def molecule_of(numbers: list[int], bonds: list[list[int]], positions: np.ndarray) -> Molecule:
    """A molecule as a graph; its bonds to hydrogen are constrained."""
    number, bond = np.array(numbers), np.array(bonds).reshape(-1, 2)
    fixed = bond[(number[bond] == 1).any(axis=1)].reshape(-1, 2)
    masses = np.where(number == 1, 1.008, 12.011)
    return Molecule(
        numbers=number, masses=masses, positions=positions, bonds=bond, constraints=fixed, name="m"
    )


@pytest.fixture
def ethanol() -> Molecule:
    # C0 C1 O2, three H on C0, two on C1, one on O2
    numbers = [6, 6, 8, 1, 1, 1, 1, 1, 1]
    bonds = [[0, 1], [1, 2], [0, 3], [0, 4], [0, 5], [1, 6], [1, 7], [2, 8]]
    return molecule_of(numbers, bonds, np.random.default_rng(0).standard_normal((9, 3)))


def test_coordinates_of_ethanol(ethanol):
    classes = coordinate_classes(ethanol)
    count = {
        kind: sum(len(c.members) for c in classes if c.kind == kind)
        for kind in ("bond", "angle", "dihedral")
    }
    # Constrained bonds are out; 6 + 6 + 1 angles; 3·3 + 3·1 dihedrals.
    assert count == {"bond": 2, "angle": 13, "dihedral": 12}
    methyl = next(c for c in classes if c.label == "C2–C1–H4")
    assert sorted(methyl.members[:, 2].tolist()) == [3, 4, 5]
    assert {c.label: len(c.members) for c in heavy_pair_classes(ethanol)} == {"C–C": 1, "C–O": 2}


def test_a_rigid_water_has_no_coordinate_left():
    numbers, bonds = [8, 1, 1], [[0, 1], [0, 2]]
    positions = np.array([[0.0, 0, 0], [0.1, 0, 0], [-0.03, 0.095, 0]])
    water = molecule_of(numbers, bonds, positions)
    rigid = replace(water, constraints=np.array([[0, 1], [0, 2], [1, 2]]))
    assert [c.kind for c in coordinate_classes(water)] == ["angle"]
    assert coordinate_classes(rigid) == []
    assert [len(c.members) for c in all_pairs(water)] == [1]
    assert all_pairs(rigid) == []


def test_linear_arms_have_no_dihedral():
    positions = np.array([[0, 0, 0], [1, 0, 0], [2, 0.01, 0], [3, 1, 0]]) * 0.12
    chain = molecule_of([6, 6, 6, 6], [[0, 1], [1, 2], [2, 3]], positions)
    assert [c.kind for c in coordinate_classes(chain)].count("dihedral") == 0


def test_a_coordinate_has_no_direction():
    """Propane with its two C-C bonds written in opposite senses."""
    positions = np.array([[-0.1, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.1, 0.0]])
    propane = molecule_of([6, 6, 6], [[0, 1], [2, 1]], positions)
    reverse = molecule_of([6, 6, 6], [[0, 1], [1, 2]], positions)
    for molecule in (propane, reverse):
        bonds = [c for c in coordinate_classes(molecule) if c.kind == "bond"]
        assert [len(c.members) for c in bonds] == [2]


def test_equivalent_atoms_of_benzene():
    ring = [[i, (i + 1) % 6] for i in range(6)] + [[i, i + 6] for i in range(6)]
    numbers = np.array([6] * 6 + [1] * 6)
    assert len(set(atom_classes(numbers, np.array(ring)))) == 2
    maps = heavy_automorphisms(numbers, np.array(ring), 200)
    assert len({tuple(row) for row in maps.tolist()}) == 12
    assert maps[0].tolist() == list(range(6))
    assert len(heavy_automorphisms(numbers, np.array(ring), 5)) == 5


def test_substituents_break_the_symmetry():
    # toluene-like: ring 0-5, methyl carbon 6 on atom 0
    bonds = np.array([[i, (i + 1) % 6] for i in range(6)] + [[0, 6]])
    maps = heavy_automorphisms(np.array([6] * 7), bonds, 200)
    assert {tuple(row) for row in maps.tolist()} == {
        (0, 1, 2, 3, 4, 5, 6),
        (0, 5, 4, 3, 2, 1, 6),
    }


def test_values_are_geometry():
    right = np.array([[0.1, 0, 0], [0, 0, 0], [0, 0.1, 0], [0, 0.1, 0.1]])
    molecule = molecule_of([6, 6, 6, 6], [[0, 1], [1, 2], [2, 3]], right)
    frames = as_mdtraj(molecule, np.stack([right, right * [1, 1, -1]]))
    found = {c.kind: values(frames, c) for c in coordinate_classes(molecule)}
    assert found["bond"] == pytest.approx(0.1, abs=1e-6)
    assert found["angle"] == pytest.approx(90.0, abs=1e-3)
    assert np.abs(found["dihedral"]) == pytest.approx(90.0, abs=1e-3)
    assert found["dihedral"][0] == pytest.approx(-found["dihedral"][1])


def test_dihedral_bins_close_the_circle():
    edges = bin_edges(CONFIG, "dihedral", 0.0, 0.0)
    assert edges[0] == -180.0
    assert edges[-1] == 180.0
    # A peak on the seam is split, not lost: both ends of the axis are one place.
    sample = np.array([[179.9], [-179.9], [180.0], [-180.0]])
    histogram = counts(sample, edges)
    assert histogram[0] + histogram[-2] == 4.0
    assert histogram[-1] == 0.0


@pytest.mark.parametrize(("kind", "low", "high"), [("bond", 0.1, 0.2), ("angle", 80.0, 130.0)])
def test_bins_hold_every_value(rng, kind, low, high):
    a, b = rng.uniform(low, high, (100, 2)), rng.uniform(low, 1.3 * high, (50, 2))
    edges = bin_edges(CONFIG, kind, low, 1.3 * high)
    assert counts(a, edges)[:-1].sum() == pytest.approx(200.0)
    assert counts(b, edges)[-1] == 0.0
    density = line_density(counts(a, edges), edges)
    assert np.sum(density * np.diff(edges)) == pytest.approx(1.0)


def test_pair_density_of_uniform_points_is_one_over_the_volume(rng):
    """Points even in a ball have one density everywhere, and it integrates to one."""
    edges = bin_edges(CONFIG, "distance", 0.0, 0.0)
    assert edges[-1] == pytest.approx(1.2)
    assert np.diff(edges) == pytest.approx(0.02)
    radii = 1.2 * rng.uniform(size=(400_000, 1)) ** (1.0 / 3.0)
    density = pair_density(counts(radii, edges), edges)
    volume = 4.0 / 3.0 * np.pi * 1.2**3
    assert density[10:] * volume == pytest.approx(1.0, rel=0.1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    assert np.sum(density * shells) == pytest.approx(1.0)


def test_pairs_beyond_the_range_are_counted_apart():
    edges = bin_edges(CONFIG, "distance", 0.0, 0.0)
    histogram = counts(np.array([[0.5], [3.0]]), edges)
    assert histogram[-1] == 1.0
    assert pair_density(histogram, edges).max() > 0.0


def counts(sample: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values in each bin, those beyond the edges in the last."""
    return block_shares(seen([sample]), edges).mean(axis=0) * sample.size


def seen(runs: list[np.ndarray], frame_ps: float = 0.1, memory: float = 1.0) -> Observed:
    return Observed(runs=runs, rates=None, memory=memory, frame_ps=frame_ps)


def bumps(*centres: float) -> np.ndarray:
    middle = (CIRCLE[1:] + CIRCLE[:-1]) / 2.0
    away = [np.abs((middle - centre + 180.0) % 360.0 - 180.0) for centre in centres]
    return sum(np.exp(-((distance / 12.0) ** 2) / 2.0) for distance in away)


def test_wells_of_a_torsion():
    assert find_wells(bumps(-60.0, 60.0, 180.0)).max() == 2
    # One well over the seam is one well.
    over_seam = find_wells(bumps(180.0))
    assert over_seam[0] == over_seam[-1] == 0
    assert find_wells(np.ones(72)).max() == 0
    assert find_wells(bumps(0.0, 25.0)).max() == 0
    # The scatter of a tail is no barrier.
    frayed = np.zeros(72)
    frayed[[10, 11, 12, 14, 18]] = 1.0
    assert find_wells(frayed).max() == 0


def test_crossings_skip_the_barrier():
    states = [np.array([[0], [-1], [0], [-1], [1], [1], [0]]), np.array([[1], [1]])]
    assert crossings(states, 1) == 2.0
    assert crossings(states, 0) == 2.0


def hops(rng: np.random.Generator, n_frames: int, flip: float, start: float) -> np.ndarray:
    """A torsion that jumps between -60° and 60° with probability `flip` a frame."""
    turns = np.cumprod(np.where(rng.uniform(size=n_frames) < flip, -1.0, 1.0))
    return (60.0 * start * turns + 8.0 * rng.standard_normal(n_frames))[:, None]


def torsion(rng: np.random.Generator, flip: float, replicas: int = 8) -> Observed:
    runs = [hops(rng, 5000, flip, (-1.0) ** index) for index in range(replicas)]
    return seen(runs, memory=max(1.0, 1.0 / flip) if flip else 5000.0)


def test_populations_of_a_torsion_are_as_uncertain_as_its_crossings(rng):
    """Errors of a telegraph process against the scatter of many of them."""
    found = []
    for _ in range(40):
        states, _ = compare_torsions(CONFIG, "x", [torsion(rng, 0.01)] * 2, CIRCLE, 1)
        found.append(states[0].population.baseline)
    widths = [(one.high - one.low) / 2.0 / 1.7 for one in found]
    assert np.mean(widths) == pytest.approx(np.std([one.value for one in found]), rel=0.5)
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) >= 0.85


def test_rare_torsions_leave_populations_open(rng):
    frequent, rare = torsion(rng, 0.02), torsion(rng, 0.0)
    _, measured = compare_torsions(CONFIG, "x", [frequent, frequent], CIRCLE, 1)
    assert [one.label.split(" of ")[0] for one in measured] == ["population", "rate"]
    stuck = [seen([run[:100] for run in rare.runs], memory=100.0)] * 2
    _, open_ended = compare_torsions(CONFIG, "x", stuck, CIRCLE, 1)
    assert measured[0].deviation.error < 0.05 < open_ended[0].deviation.error
    assert compare_torsions(CONFIG, "x", [seen([np.zeros((50, 1))])] * 2, CIRCLE, 1) == ([], [])


def test_transition_rates_are_counted_per_time(rng):
    slow, fast = torsion(rng, 0.01), torsion(rng, 0.02)
    states, measured = compare_torsions(CONFIG, "x", [slow, fast], CIRCLE, 1)
    # 0.01 a frame of 0.1 ps is 100 per ns.
    assert states[0].rate_per_ns.baseline == pytest.approx(100.0, rel=0.15)
    ratio = measured[1].deviation
    assert abs(ratio.value - np.log(2.0)) < 3.0 * ratio.error


def test_rates_do_not_depend_on_how_often_frames_are_saved(rng):
    """A run against itself with every tenth frame: recrossings in between must not count."""
    dense = torsion(rng, 0.05)
    thin = seen([run[::10] for run in dense.runs], frame_ps=1.0, memory=dense.memory)
    _, measured = compare_torsions(CONFIG, "x", [dense, thin], CIRCLE, 1)
    assert measured[1].deviation.value == pytest.approx(0.0, abs=1e-9)


def test_members_about_one_bond_are_not_independent(rng):
    alone = torsion(rng, 0.01)
    together = seen([np.repeat(run, 6, axis=1) for run in alone.runs], memory=alone.memory)
    errors = [
        compare_torsions(CONFIG, "x", [one, one], CIRCLE, 1)[1][1].deviation.error
        for one in (alone, together)
    ]
    assert errors[1] > errors[0] / 1.8


def test_rmsd_is_blind_to_motion_but_not_to_mirrors(rng):
    reference = rng.standard_normal((6, 3))
    axis = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    rotation = axis * np.sign(np.linalg.det(axis))
    moved = reference @ rotation.T + 5.0
    mirrored = reference * [1, 1, -1]
    found = superposed_rmsd(np.stack([moved, mirrored, reference * 2.0]), reference)
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[1] > 0.1
    centred = reference - reference.mean(axis=0)
    assert found[2] == pytest.approx(np.sqrt((centred**2).sum() / 6.0), rel=1e-6)


def test_a_basin_is_reached_by_energy_or_by_shape(rng):
    best = rng.standard_normal((4, 3))
    swapped = best[[1, 0, 2, 3]]
    other = rng.standard_normal((4, 3))
    structures = np.stack([other, best + 0.01, swapped, other])
    energies = np.array([4.0, 50.0, 50.0, 4.3])
    identity, swap = [0, 1, 2, 3], [1, 0, 2, 3]
    alone = in_basin(CONFIG, energies, structures, 0.0, best, np.array([identity]))
    assert alone.tolist() == [True, True, False, False]
    both = in_basin(CONFIG, energies, structures, 0.0, best, np.array([identity, swap]))
    assert both.tolist() == [True, True, True, False]


def test_first_arrivals_of_hand_made_searches(tmp_path):
    molecule = make_molecule(tmp_path)
    trajectory, _ = make_search(molecule, 1, arrival=1.0, starts=3)
    frames = trajectory.segments(NVT)
    reached = np.zeros(trajectory.n_frames, dtype=bool)
    reached[frames[0][3:]] = True  # at 2.0 ps
    reached[frames[1][0]] = True  # at once, at 0.5 ps
    side = first_arrivals(reached, trajectory, s_per_ps=2.0)
    assert side.force_calls == [1000, 250, None]
    assert side.wall_s == [4.0, 1.0, None]
    assert side.reached_share == pytest.approx(2.0 / 3.0)
    assert side.at_once_share == pytest.approx(1.0 / 3.0)
    assert side.median_force_calls == 1000.0
    assert first_arrivals(reached & False, trajectory, 2.0).median_wall_s is None
    assert len(NUMBERS) == trajectory.pos.shape[1]

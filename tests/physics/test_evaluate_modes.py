"""Kinetic energy by kind of motion: dimensions as chemistry counts them, temperatures exact."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kstep.referee.physics.modes import bonded_roles, mode_energies
from kstep.system.mechanics import maxwell_boltzmann, remove_centre_of_mass
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

MASS = {1: 1.008, 6: 12.011, 7: 14.007, 8: 15.999}
ROTATION, STRETCH, BEND, TORSION = range(4)


def by_hand(numbers, positions, bonds, constraints=()) -> Molecule:
    return Molecule(
        name="hand", numbers=np.array(numbers),
        masses=np.array([MASS[n] for n in numbers]), positions=np.array(positions, dtype=float),
        bonds=np.array(bonds).reshape(-1, 2),
        constraints=np.array(constraints, dtype=np.int64).reshape(-1, 2),
    )  # fmt: skip


WATER = [[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]]
WATER_BONDS = [[0, 1], [0, 2]]
ACETYLENE = [[-0.166, 0, 0], [-0.06, 0, 0], [0.06, 0, 0], [0.166, 0, 0]]
METHANOL = [
    [0, 0, 0], [0.143, 0, 0], [-0.036, 0.103, 0], [-0.036, -0.051, 0.089],
    [-0.036, -0.051, -0.089], [0.175, 0.09, 0],
]  # fmt: skip


@pytest.mark.parametrize(
    ("molecule", "expected"),
    [
        (by_hand([8, 1, 1], WATER, WATER_BONDS), [3, 2, 1, 0]),
        (by_hand([8, 1, 1], WATER, WATER_BONDS, [[0, 1], [0, 2], [1, 2]]), [3, 0, 0, 0]),
        (by_hand([1, 6, 6, 1], ACETYLENE, [[0, 1], [1, 2], [2, 3]]), [2, 3, 4, 0]),
        (by_hand([8, 6, 8], [[-0.116, 0, 0], [0, 0, 0], [0.116, 0, 0]], [[0, 1], [1, 2]]),
         [2, 2, 2, 0]),
        (by_hand([6, 8, 1, 1, 1, 1], METHANOL, [[0, 1], [0, 2], [0, 3], [0, 4], [1, 5]]),
         [3, 5, 6, 1]),
    ],
    ids=["water", "rigid water", "acetylene", "carbon dioxide", "methanol"],
)  # fmt: skip
def test_dimensions_are_those_of_textbooks(molecule, expected):
    positions = molecule.positions[None]
    _, dimensions, labels = mode_energies(molecule, positions, positions, molecule.masses)
    assert labels == ["rotation", "stretch", "bend", "torsion"]
    assert dimensions.tolist() == expected
    assert dimensions.sum() == 3 * molecule.n_atoms - 3 - len(molecule.constraints)


@pytest.mark.parametrize("bent", [0.0, 1e-4])
def test_a_linear_molecule_does_not_turn_about_its_axis(bent):
    """However it lies in space, and as little bent as a minimiser leaves it."""
    along = np.array([[-0.166, 0, 0], [-0.06, 0, 0], [0.06, bent, 0], [0.166, 0, 0]])
    turned = along @ Rotation.from_rotvec([0.3, 0.7, -0.5]).as_matrix().T
    bonds = np.array([[0, 1], [1, 2], [2, 3]])
    masses = np.array([1.008, 12.011, 12.011, 1.008])
    acetylene = Molecule(
        numbers=np.array([1, 6, 6, 1]), masses=masses, positions=turned, bonds=bonds
    )
    _, dimensions, _ = mode_energies(acetylene, turned[None], turned[None], masses)
    assert dimensions.tolist() == [2, 3, 4, 0]


def test_dimensions_of_real_molecules(phenol, isobutanol):
    for molecule, expected in ((phenol, [3, 7, 10, 10]), (isobutanol, [3, 4, 21, 4])):
        positions = molecule.positions[None]
        _, dimensions, _ = mode_energies(molecule, positions, positions, molecule.masses)
        # Isobutanol: two methyl groups, CH-CH₂ and the hydroxyl group turn.
        assert dimensions.tolist() == expected
        assert dimensions.sum() == 3 * molecule.n_atoms - 3 - len(molecule.constraints)


def wobbled(molecule: Molecule, n_frames: int, size: float = 0.003) -> np.ndarray:
    rng = np.random.default_rng(5)
    return molecule.positions + size * rng.standard_normal((n_frames, molecule.n_atoms, 3))


def canonical(molecule: Molecule, positions: np.ndarray, temperature: float) -> np.ndarray:
    """Velocities drawn at a temperature, projected so that constrained lengths are at rest."""
    rng = np.random.default_rng(6)
    v = maxwell_boltzmann(rng, molecule.masses, temperature, (len(positions),))
    rows = np.zeros((len(positions), len(molecule.constraints), molecule.n_atoms, 3))
    for index, (i, j) in enumerate(molecule.constraints):
        rows[:, index, i] = positions[:, i] - positions[:, j]
        rows[:, index, j] = -rows[:, index, i]
    flat = rows.reshape(len(positions), len(molecule.constraints), -1)
    inverse_mass = np.repeat(1.0 / molecule.masses, 3)
    transposed = np.swapaxes(flat, 1, 2)
    wanted = np.linalg.solve(
        (flat * inverse_mass) @ transposed, flat @ v.reshape(len(v), -1)[..., None]
    )
    return v - ((transposed * inverse_mass[:, None]) @ wanted)[..., 0].reshape(v.shape)


def test_every_mode_of_canonical_velocities_has_the_temperature(phenol):
    positions = wobbled(phenol, 6000)
    velocities = canonical(phenol, positions, 300.0)
    energies, dimensions, _ = mode_energies(phenol, positions, velocities, phenol.masses)
    ratio = energies.mean(axis=0) / (dimensions * BOLTZMANN * 300.0 / 2.0)
    error = np.sqrt(2.0 / dimensions / len(positions))
    assert np.abs(ratio - 1.0).max() < 0.04
    assert (np.abs(ratio - 1.0) < 3.5 * error).all()
    # Not only the means: each is the sum of d squares of independent normal numbers.
    spread = energies.var(axis=0) / (dimensions / 2.0 * (BOLTZMANN * 300.0) ** 2)
    assert spread == pytest.approx(np.ones(4), abs=0.12)


def test_energies_add_up_and_turn_with_the_molecule(isobutanol):
    positions = wobbled(isobutanol, 50)
    velocities = canonical(isobutanol, positions, 300.0)
    energies, _, _ = mode_energies(isobutanol, positions, velocities, isobutanol.masses)
    relative = remove_centre_of_mass(velocities, isobutanol.masses)
    total = 0.5 * np.einsum("tni,tni,n->t", relative, relative, isobutanol.masses)
    assert energies.sum(axis=1) == pytest.approx(total, rel=1e-7)
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    turned, _, _ = mode_energies(
        isobutanol, positions @ turn.T + 0.3, velocities @ turn.T + 1.0, isobutanol.masses
    )
    assert turned == pytest.approx(energies, abs=1e-6)


def shares(molecule: Molecule, positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    energies, _, _ = mode_energies(molecule, positions, velocities, molecule.masses)
    return energies.sum(axis=0) / energies.sum()


def test_motion_is_found_where_it_is(phenol):
    positions = wobbled(phenol, 20)
    masses = phenol.masses[:, None]
    along = positions[:, 6] - positions[:, 5]
    stretching = np.zeros_like(positions)
    stretching[:, 5], stretching[:, 6] = -along / masses[5], along / masses[6]
    assert shares(phenol, positions, stretching)[STRETCH] == pytest.approx(1.0, abs=1e-8)
    arms = remove_centre_of_mass(positions, phenol.masses)
    spinning = np.cross(np.array([0.3, -0.2, 0.5]), arms)
    assert shares(phenol, positions, spinning)[ROTATION] == pytest.approx(1.0, abs=1e-8)
    # Out of the plane of the ring nothing stretches or bends; in the plane nothing turns.
    flat = phenol.positions - phenol.positions.mean(axis=0)
    in_plane, normal = np.linalg.svd(flat)[2][:2], np.linalg.svd(flat)[2][2]
    rng = np.random.default_rng(2)
    out = rng.standard_normal((20, phenol.n_atoms, 1)) * normal
    still = np.repeat(flat[None], 20, axis=0)
    assert shares(phenol, still, out)[[STRETCH, BEND]].max() < 1e-3
    within = rng.standard_normal((20, phenol.n_atoms, 2)) @ in_plane
    assert shares(phenol, still, within)[TORSION] < 0.02


def test_heat_in_one_kind_of_motion_shows_there_alone(phenol):
    positions = wobbled(phenol, 4000)
    velocities = canonical(phenol, positions, 300.0)
    plain, dimensions, _ = mode_energies(phenol, positions, velocities, phenol.masses)
    # Twice the speed at which C-O stretches.
    units = positions[:, 6] - positions[:, 5]
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    rate = ((velocities[:, 6] - velocities[:, 5]) * units).sum(axis=1, keepdims=True)
    reduced = 1.0 / (1.0 / phenol.masses[5] + 1.0 / phenol.masses[6])
    velocities[:, 5] -= rate * units * reduced / phenol.masses[5]
    velocities[:, 6] += rate * units * reduced / phenol.masses[6]
    heated, _, _ = mode_energies(phenol, positions, velocities, phenol.masses)
    kelvin = heated.mean(axis=0) * 2.0 / dimensions / BOLTZMANN
    assert kelvin[STRETCH] > 350.0
    others = [ROTATION, BEND, TORSION]
    assert heated[:, others].mean(axis=0) == pytest.approx(plain[:, others].mean(axis=0), rel=1e-6)


def test_roles_name_the_element_and_its_neighbours(phenol):
    roles = {label: atoms.tolist() for label, atoms in bonded_roles(phenol)}
    assert roles["H(O)"] == [12]
    assert roles["C(CCO)"] == [5]
    assert roles["O(CH)"] == [6]
    assert sorted(atom for atoms in roles.values() for atom in atoms) == list(range(phenol.n_atoms))

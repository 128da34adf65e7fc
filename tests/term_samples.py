"""Plausible force-field terms for sample molecules of any geometry."""

from itertools import combinations

import numpy as np

from kstep.system.force_field import PERIODICITIES, Terms

Bonds = list[tuple[int, int]]


def random_terms(x: np.ndarray, seed: int = 0, rigid: float = 0.33) -> Terms:
    """Terms of a molecule whose atoms, at x [N, 3] nm, are joined at random into a tree.

    Args:
        x: close to rest.
        seed: of bonds and constants.
        rigid: share of the bonds that are.
    """
    rng = np.random.default_rng(seed)
    bonds = [(int(rng.integers(i)), i) for i in range(1, len(x))]
    return joined_terms(x, bonds, rng, rigid)


def joined_terms(x: np.ndarray, bonds: Bonds, rng: np.random.Generator, rigid: float) -> Terms:
    """Terms of atoms with these bonds and random constants, close to rest at x.

    Where an atom has three neighbours there is an improper torsion.
    """
    n_atoms = len(x)
    near = [sorted({a + b - i for a, b in bonds if i in (a, b)}) for i in range(n_atoms)]
    angles = [(a, i, b) for i in range(n_atoms) for a, b in combinations(near[i], 2)]
    torsions = [(a, i, j, b) for i, j in bonds for a in near[i] for b in near[j]
                if a != j and b != i]  # fmt: skip
    proper = len(torsions)
    torsions += [(i, *near[i][:3]) for i in range(n_atoms) if len(near[i]) >= 3]
    amplitudes = rng.normal(0.0, 4.0, (len(torsions), PERIODICITIES + 1))
    amplitudes[:, -1] = np.arange(len(torsions)) >= proper
    stiff = np.where(rng.random(len(bonds)) < rigid, 0.0, rng.uniform(1e5, 4e5, len(bonds)))
    return Terms(
        bonds=_atoms(bonds, 2),
        bond_constants=np.stack((stiff, _lengths(x, bonds) + rng.normal(0, 3e-3, len(bonds))), 1),
        angles=_atoms(angles, 3),
        angle_constants=np.stack(
            (
                rng.uniform(300.0, 900.0, len(angles)),
                _openings(x, angles) + rng.normal(0, 0.05, len(angles)),
            ),
            axis=1,
        ),
        torsions=_atoms(torsions, 4),
        torsion_constants=amplitudes,
        nonbonded=rng.normal(size=(n_atoms, 3)) * [0.3, 0.04, 0.1] + [0.0, 0.3, 0.3],
    )


def no_terms(n_atoms: int) -> Terms:
    """Terms of loose atoms without charges."""
    return Terms(
        bonds=_atoms([], 2),
        bond_constants=np.zeros((0, 2)),
        angles=_atoms([], 3),
        angle_constants=np.zeros((0, 2)),
        torsions=_atoms([], 4),
        torsion_constants=np.zeros((0, PERIODICITIES + 1)),
        nonbonded=np.zeros((n_atoms, 3)),
    )


def _atoms(rows: list[tuple[int, ...]], width: int) -> np.ndarray:
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def _lengths(x: np.ndarray, bonds: list[tuple[int, ...]]) -> np.ndarray:
    first, second = _atoms(bonds, 2).T
    return np.linalg.norm(x[first] - x[second], axis=-1)


def _openings(x: np.ndarray, angles: list[tuple[int, ...]]) -> np.ndarray:
    first, vertex, second = (x[atoms] for atoms in _atoms(angles, 3).T)
    a, b = first - vertex, second - vertex
    return np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))

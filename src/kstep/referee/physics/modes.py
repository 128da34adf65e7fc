"""Kinetic energy by kind of motion: rotation, stretch, bend, torsion.

In mass-weighted velocities √m v the canonical distribution is the same in all directions that
constraints allow. They are split, at every frame anew, into orthogonal subspaces: rotation, bond
stretches, angle bends (each without what the ones before contain) and the rest, which is torsion
and out-of-plane motion. Whatever the positions, d dimensions then hold d k_B T / 2 on average:
every kind of motion has a temperature known exactly, and energy in the wrong motion does not
drown in the average over all.

Directions along which bonds and angles change are those of Wilson, Decius and Cross, *Molecular
Vibrations* (1955).
"""

from collections import defaultdict
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy import linalg

from kstep.referee.structure.coordinates import LINEAR_DEG
from kstep.system.mechanics import cross, inertia_tensor, remove_centre_of_mass
from kstep.system.molecule import Molecule, neighbours, symbol

ROTATION = "rotation"
LABELS = [ROTATION, "stretch", "bend", "torsion"]

_THIN = 0.02
"""Of the longest direction of a group: a shorter one, such as the rotation of a linear molecule
about its axis, is none."""

_INDEPENDENT = 0.1
"""A direction counts if at least this much of it lies outside the others. The three angles about
a planar centre are two bends; what little else they contain is out-of-plane motion."""

_RIDGE = 1e-10
"""Keeps Gram matrices invertible at the odd frame where two directions coincide."""

_CHUNK = 100
"""Frames at a time: few enough for the cache."""

Vectors = Float[np.ndarray, "T K 3"]
Directions = Float[np.ndarray, "T _ D"]
"""Unit vectors in the space of mass-weighted velocities, D = 3N."""


def mode_energies(
    molecule: Molecule,
    positions: Float[np.ndarray, "T N 3"],
    velocities: Float[np.ndarray, "T N 3"],
    masses: Float[np.ndarray, " N"],
) -> tuple[Float[np.ndarray, "T 4"], Float[np.ndarray, " 4"], list[str]]:
    """Kinetic energy of every kind of motion, centre of mass at rest.

    Which bonds and angles are independent is decided once, at the molecule's own conformer, so
    that dimensions are the same in all frames; they add up to 3N - constraints - 3.

    Args:
        molecule: its bonds, constraints and conformer.
        positions: nm.
        velocities: nm/ps; what lies along the constraints is left out.
        masses: Da.

    Returns:
        Energies (kJ/mol), dimensions and labels.
    """
    chosen = _independent(_groups(molecule, molecule.positions[None], masses))
    sizes = [len(kept) for kept in chosen]
    energies = np.empty((len(positions), len(LABELS)))
    for start in range(0, len(positions), _CHUNK):
        part = slice(start, start + _CHUNK)
        groups = _groups(molecule, positions[part], masses)
        directions = np.concatenate(
            [group[:, kept] for group, kept in zip(groups, chosen, strict=True)], axis=1
        )
        moving = remove_centre_of_mass(velocities[part], masses) * np.sqrt(masses)[:, None]
        weighted = moving.reshape(len(moving), -1)
        squares = _components(directions, weighted) ** 2
        _, *named = np.split(squares, np.cumsum(sizes)[:-1], axis=1)
        rest = (weighted**2).sum(axis=1) - squares.sum(axis=1)
        energies[part] = np.stack([*(square.sum(axis=1) for square in named), rest], axis=1) / 2.0
    remaining = 3 * molecule.n_atoms - 3 - sum(sizes)
    return energies, np.array([*sizes[1:], remaining], dtype=np.float64), LABELS


def bonded_roles(molecule: Molecule) -> list[tuple[str, Int[np.ndarray, " _"]]]:
    """Atoms by element and the elements bonded to them, such as "H(O)" or "C(CCH)"."""
    symbols = [symbol(number) for number in molecule.numbers.tolist()]
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for atom, around in enumerate(neighbours(molecule.n_atoms, molecule.bonds)):
        bonded = "".join(sorted(symbols[other] for other in around))
        label = f"{symbols[atom]}({bonded})" if bonded else symbols[atom]
        groups[int(molecule.numbers[atom]), label].append(atom)
    return [(label, np.array(atoms)) for (_, label), atoms in sorted(groups.items())]


def _independent(groups: list[Directions]) -> list[Int[np.ndarray, " _"]]:
    """Of every group the directions that those before and the others of the group do not span."""
    spanned = np.zeros((groups[0].shape[2], 0))
    chosen = []
    for (directions,) in groups:
        outside = directions.T - spanned @ (spanned.T @ directions.T)
        basis, triangle, order = linalg.qr(outside, mode="economic", pivoting=True)
        rank = int(np.count_nonzero(np.abs(np.diag(triangle)) > _INDEPENDENT))
        chosen.append(np.sort(order[:rank]))
        spanned = np.concatenate([spanned, basis[:, :rank]], axis=1)
    return chosen


def _components(
    directions: Directions, weighted: Float[np.ndarray, "T D"]
) -> Float[np.ndarray, "T K"]:
    """Components along the directions, each orthogonalised to the ones before (Gram-Schmidt)."""
    gram = directions @ np.swapaxes(directions, 1, 2) + _RIDGE * np.eye(directions.shape[1])
    triangle = np.linalg.cholesky(gram)
    return np.asarray(np.linalg.solve(triangle, directions @ weighted[..., None])[..., 0])


def _groups(
    molecule: Molecule, positions: Float[np.ndarray, "T N 3"], masses: Float[np.ndarray, " N"]
) -> list[Directions]:
    """Directions of constraints, rotation, stretches and bends, dependent ones included."""
    fixed = {frozenset(pair) for pair in molecule.constraints.tolist()}
    free = [pair for pair in molecule.bonds.tolist() if frozenset(pair) not in fixed]
    root = np.sqrt(masses)[:, None]
    derivatives = [
        _stretches(positions, molecule.constraints) / root,
        _rotations(positions, masses) * root,
        _stretches(positions, np.array(free, dtype=np.int64).reshape(-1, 2)) / root,
        _bends(molecule, positions) / root,
    ]
    result = []
    for derivative in derivatives:
        flat = derivative.reshape(*derivative.shape[:2], 3 * molecule.n_atoms)
        length = np.linalg.norm(flat, axis=2, keepdims=True)
        longest = length.max(axis=1, keepdims=True, initial=0.0)
        unit = flat / np.maximum(length, np.finfo(float).tiny)
        result.append(np.where(length > _THIN * longest, unit, 0.0))
    return result


def _rotations(
    positions: Float[np.ndarray, "T N 3"], masses: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "T 3 N 3"]:
    """Velocities of rotations about the principal axes, that of a linear molecule itself first."""
    arms = remove_centre_of_mass(positions, masses)
    _, axes = np.linalg.eigh(inertia_tensor(arms, masses))
    return cross(np.swapaxes(axes, 1, 2)[:, :, None, :], arms[:, None, :, :])


def _stretches(
    positions: Float[np.ndarray, "T N 3"], pairs: Int[np.ndarray, "K 2"]
) -> Float[np.ndarray, "T K N 3"]:
    """Derivatives of distances with respect to the positions."""
    units = _unit(positions[:, pairs[:, 1]] - positions[:, pairs[:, 0]])
    result = np.zeros((len(positions), len(pairs), *positions.shape[1:]))
    index = np.arange(len(pairs))
    result[:, index, pairs[:, 0]] = -units
    result[:, index, pairs[:, 1]] = units
    return result


def _bends(
    molecule: Molecule, positions: Float[np.ndarray, "T N 3"]
) -> Float[np.ndarray, "T K N 3"]:
    """Derivatives of the cosines of bond angles; of linear angles, those of both their bends.

    An angle that is linear in the molecule's own conformer has no derivative there. It bends when
    its two bonds tilt to the same side, in either of two directions across.
    """
    angles = np.array(
        [
            (first, centre, last)
            for centre, around in enumerate(neighbours(molecule.n_atoms, molecule.bonds))
            for first, last in combinations(around, 2)
        ],
        dtype=np.int64,
    ).reshape(-1, 3)
    first, last = _arms(molecule.positions[None], angles)
    cosine = (_unit(first) * _unit(last)).sum(axis=2)[0]
    linear = cosine < np.cos(np.radians(LINEAR_DEG))
    first, last = _arms(positions, angles[~linear])
    bends = [_tilts(positions, angles[~linear], _unit(last), _unit(first))]
    if linear.any():
        first, last = _arms(positions, angles[linear])
        for side in _across(_unit(first) - _unit(last)):
            bends.append(_tilts(positions, angles[linear], side, side))
    return np.concatenate(bends, axis=1)


def _arms(
    positions: Float[np.ndarray, "T N 3"], angles: Int[np.ndarray, "K 3"]
) -> tuple[Vectors, Vectors]:
    centre = positions[:, angles[:, 1]]
    return positions[:, angles[:, 0]] - centre, positions[:, angles[:, 2]] - centre


def _tilts(
    positions: Float[np.ndarray, "T N 3"],
    angles: Int[np.ndarray, "K 3"],
    towards_first: Vectors,
    towards_last: Vectors,
) -> Float[np.ndarray, "T K N 3"]:
    """Derivatives of the sum of both arms' unit vectors, each along its given direction."""
    result = np.zeros((len(positions), len(angles), *positions.shape[1:]))
    index = np.arange(len(angles))
    arms = _arms(positions, angles)
    for end, arm, towards in zip((0, 2), arms, (towards_first, towards_last), strict=True):
        unit = _unit(arm)
        tilt = towards - (towards * unit).sum(axis=2, keepdims=True) * unit
        tilt /= np.linalg.norm(arm, axis=2, keepdims=True)
        result[:, index, angles[:, end]] = tilt
        result[:, index, angles[:, 1]] -= tilt
    return result


def _across(along: Vectors) -> tuple[Vectors, Vectors]:
    """Two directions at right angles to each other and to the given one."""
    least = np.eye(3)[np.abs(along).argmin(axis=2)]
    first = _unit(cross(along, least))
    return first, _unit(cross(along, first))


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))

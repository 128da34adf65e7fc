"""Internal coordinates of a molecule, from its bonds alone, and their values along a trajectory.

Coordinates that element and bonding do not tell apart (the C-C bonds of a methyl pair, say) must
have the same distribution in equilibrium: they are pooled in one class, which sharpens the
comparison and makes it blind to the exchange of equivalent atoms.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import mdtraj
import numpy as np
from jaxtyping import Float, Int

from kstep.system.molecule import Molecule, neighbours, symbol
from kstep.system.symmetry import atom_classes

Kind = Literal["bond", "angle", "dihedral", "distance", "all distances"]
LINEAR_DEG = 170.0
"""A dihedral about a bond angle wider than this is undefined and left out."""


@dataclass(frozen=True, eq=False)
class CoordinateClass:
    """Equivalent internal coordinates.

    Attributes:
        kind: bond, angle, dihedral; distance for heavy-atom pairs of two elements; all distances
            for every pair of atoms.
        label: elements and serial numbers (from 1) of one member, or the elements of the pair.
        members: atom indices [members, 2 to 4].
    """

    kind: Kind
    label: str
    members: Int[np.ndarray, "members atoms"]

    @property
    def bonds(self) -> Int[np.ndarray, " members"]:
        """For dihedrals: number of the bond that each member turns about, from 0."""
        middles = np.sort(self.members[:, 1:3], axis=1)
        return np.asarray(np.unique(middles, axis=0, return_inverse=True)[1].reshape(-1))


def coordinate_classes(molecule: Molecule) -> list[CoordinateClass]:
    """All bonds free to vibrate, angles and proper dihedrals, in classes."""
    adjacent = neighbours(molecule.n_atoms, molecule.bonds)
    fixed = {frozenset(pair) for pair in molecule.constraints.tolist()}
    bonds = [tuple(pair) for pair in molecule.bonds.tolist() if frozenset(pair) not in fixed]
    angles = [a for a in _angles(adjacent) if frozenset((a[0], a[2])) not in fixed]
    return [
        *_pooled(molecule, "bond", bonds),
        *_pooled(molecule, "angle", angles),
        *_pooled(molecule, "dihedral", _dihedrals(molecule, adjacent)),
    ]


def heavy_pair_classes(molecule: Molecule) -> list[CoordinateClass]:
    """All pairs of heavy atoms, bonded or not, by their two elements."""
    heavy = np.flatnonzero(molecule.numbers > 1).tolist()
    groups: dict[tuple[int, int], list[tuple[int, ...]]] = defaultdict(list)
    for pair in combinations(heavy, 2):
        low, high = sorted(int(molecule.numbers[atom]) for atom in pair)
        groups[low, high].append(pair)
    return [
        CoordinateClass("distance", "–".join(symbol(n) for n in key), np.array(pairs))
        for key, pairs in sorted(groups.items())
    ]


def all_pairs(molecule: Molecule) -> list[CoordinateClass]:
    """Every pair of atoms that is not at a fixed distance, if any: what h(r) is made of."""
    fixed = {frozenset(pair) for pair in molecule.constraints.tolist()}
    pairs = [p for p in combinations(range(molecule.n_atoms), 2) if frozenset(p) not in fixed]
    return [CoordinateClass("all distances", "all", np.array(pairs))] if pairs else []


def _angles(adjacent: list[list[int]]) -> Iterator[tuple[int, ...]]:
    for centre, around in enumerate(adjacent):
        for first, second in combinations(around, 2):
            yield first, centre, second


def _dihedrals(molecule: Molecule, adjacent: list[list[int]]) -> Iterator[tuple[int, ...]]:
    for second, third in molecule.bonds.tolist():
        for first in adjacent[second]:
            for fourth in adjacent[third]:
                if len({first, second, third, fourth}) < 4:
                    continue
                chain = (first, second, third, fourth)
                if not (_is_linear(molecule, chain[:3]) or _is_linear(molecule, chain[1:])):
                    yield chain


def _is_linear(molecule: Molecule, atoms: tuple[int, ...]) -> bool:
    first, centre, last = molecule.positions[list(atoms)]
    arms = first - centre, last - centre
    cosine = arms[0] @ arms[1] / np.linalg.norm(arms[0]) / np.linalg.norm(arms[1])
    return bool(cosine < np.cos(np.radians(LINEAR_DEG)))


def _pooled(
    molecule: Molecule, kind: Kind, coordinates: Iterable[tuple[int, ...]]
) -> Iterator[CoordinateClass]:
    classes = atom_classes(molecule.numbers, molecule.bonds)
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    for atoms in coordinates:
        forward = tuple(classes[atom] for atom in atoms)
        groups[min(forward, forward[::-1])].append(atoms)
    for members in groups.values():
        label = "–".join(f"{symbol(int(molecule.numbers[a]))}{a + 1}" for a in members[0])
        yield CoordinateClass(kind, label, np.array(members, dtype=np.int64))


def as_mdtraj(molecule: Molecule, positions: Float[np.ndarray, "T N 3"]) -> mdtraj.Trajectory:
    """Positions (nm) with the molecule's atoms, without a box."""
    topology = mdtraj.Topology()
    residue = topology.add_residue("MOL", topology.add_chain())
    for index, number in enumerate(molecule.numbers.tolist()):
        element = mdtraj.element.Element.getByAtomicNumber(number)
        topology.add_atom(f"{element.symbol}{index + 1}", element, residue)
    # Single precision holds a molecule far from the origin coarsely.
    near = np.asarray(positions - positions[:, :1], dtype=np.float32)
    return mdtraj.Trajectory(near, topology)


def values(
    frames: mdtraj.Trajectory, coordinates: CoordinateClass
) -> Float[np.ndarray, "T members"]:
    """Values of all members: nm, or degrees (dihedrals from -180 to 180)."""
    compute = {
        "bond": mdtraj.compute_distances,
        "distance": mdtraj.compute_distances,
        "all distances": mdtraj.compute_distances,
        "angle": mdtraj.compute_angles,
        "dihedral": mdtraj.compute_dihedrals,
    }[coordinates.kind]
    result = np.asarray(compute(frames, coordinates.members, periodic=False))
    return np.degrees(result) if coordinates.kind in ("angle", "dihedral") else result

"""Internal coordinates of a molecular graph: which there are, and their values and gradients.

Bond lengths, cosines of angles (which are smooth where an angle is straight), *wings* (how far a
centre of three neighbours is from their plane), dihedral angles and distances of pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from kstep.system.mechanics import cross
from kstep.system.molecule import Molecule, neighbours

NEARLY_STRAIGHT = -0.95
"""No torsion turns about a chain that the conformer has straighter than this cosine."""
BONDS_APART = 2
"""Pairs are atoms at least so many bonds apart; the ends of angles are among them."""

Geometries = Float[np.ndarray, "S N 3"]


@dataclass(frozen=True, eq=False)
class InternalCoordinates:
    """The coordinates of a molecule, each by its atoms, in the order of all arrays of them.

    Attributes:
        bonds: those that are not constrained [B, 2].
        angles: the vertex in the middle [A, 3].
        wings: a centre with three neighbours, the centre first [W, 4].
        torsions: chains of four atoms [T, 4].
        pairs: atoms at least `BONDS_APART` bonds apart [P, 2].
    """

    bonds: Int[np.ndarray, "B 2"]
    angles: Int[np.ndarray, "A 3"]
    wings: Int[np.ndarray, "W 4"]
    torsions: Int[np.ndarray, "T 4"]
    pairs: Int[np.ndarray, "P 2"]

    @property
    def blocks(self) -> dict[str, slice]:
        """Where the coordinates of each kind lie among all."""
        places, start = {}, 0
        for kind in KINDS:
            places[kind] = slice(start, start + len(getattr(self, kind)))
            start = places[kind].stop
        return places

    def __len__(self) -> int:
        return sum(len(getattr(self, kind)) for kind in KINDS)

    def __iter__(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The kind and the atoms of every coordinate."""
        for kind in KINDS:
            for atoms in getattr(self, kind).tolist():
                yield kind, tuple(atoms)

    def measure(
        self, x: Geometries
    ) -> tuple[Float[np.ndarray, "S C"], Float[np.ndarray, "S C N 3"]]:
        """Values at x (nm; lengths in nm, torsions in rad) and their gradients (1/nm)."""
        values = np.empty((len(x), len(self)))
        gradients = np.zeros((len(x), len(self), *x.shape[1:]))
        for kind, place in self.blocks.items():
            atoms = getattr(self, kind)
            value, by_atom = _MEASURES[kind](x[:, atoms])
            values[:, place] = value
            for column, gradient in enumerate(by_atom):
                gradients[:, np.arange(place.start, place.stop), atoms[:, column]] = gradient
        return values, gradients


KINDS = tuple(field.name for field in fields(InternalCoordinates))

_Value = Float[np.ndarray, "S K"]
_Measured = tuple[_Value, list[Float[np.ndarray, "S K 3"]]]
_Places = Float[np.ndarray, "S K n 3"]


def internal_coordinates(molecule: Molecule) -> InternalCoordinates:
    """The coordinates that the bonds of a molecule make."""
    adjacent = neighbours(molecule.n_atoms, molecule.bonds)
    rigid = {frozenset(pair) for pair in molecule.constraints.tolist()}
    bonds = [tuple(sorted(pair)) for pair in molecule.bonds.tolist()]
    angles = [
        (one, vertex, two)
        for vertex, around in enumerate(adjacent)
        for one, two in combinations(around, 2)
    ]
    cosines = _angle(molecule.positions[None, np.array(angles).reshape(-1, 3)])[0][0]
    straight = {angle for angle, cosine in zip(angles, cosines, strict=True)
                if cosine < NEARLY_STRAIGHT}  # fmt: skip
    chains = [
        (one, two, three, four)
        for two, three in sorted(bonds)
        for one in adjacent[two]
        for four in adjacent[three]
        if one != three and four not in (one, two)
    ]
    first, second = np.nonzero(np.triu(_bonds_between(adjacent) >= BONDS_APART, 1))
    return InternalCoordinates(
        bonds=_table([bond for bond in sorted(bonds) if frozenset(bond) not in rigid], 2),
        angles=_table([a for a in angles if {a[0], a[2]} not in rigid], 3),
        wings=_table([(centre, *a) for centre, a in enumerate(adjacent) if len(a) == 3], 4),
        torsions=_table([c for c in chains if not straight & _angles_of(c)], 4),
        pairs=np.stack([first, second], axis=1),
    )


def _angles_of(chain: tuple[int, int, int, int]) -> set[tuple[int, int, int]]:
    """The two angles of a chain, their ends ascending."""
    return {(min(a, c), b, max(a, c)) for a, b, c in (chain[:3], chain[1:])}


def _table(rows: list[tuple[int, ...]], width: int) -> Int[np.ndarray, "K n"]:
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def _bonds_between(adjacent: list[list[int]]) -> Int[np.ndarray, "N N"]:
    """How many bonds are between any two atoms; as many as there are atoms where none lead."""
    n_atoms = len(adjacent)
    apart = np.full((n_atoms, n_atoms), n_atoms, dtype=np.int64)
    for start in range(n_atoms):
        shell, distance = {start}, 0
        while shell:
            apart[start, list(shell)] = distance
            distance += 1
            reached = {atom for near in shell for atom in adjacent[near]}
            shell = {atom for atom in reached if apart[start, atom] > distance}
    return apart


def _dot(a: Float[np.ndarray, "S K 3"], b: Float[np.ndarray, "S K 3"]) -> _Value:
    return np.asarray((a * b).sum(-1))


def _unit(
    places: _Places, tail: int, head: int
) -> tuple[Float[np.ndarray, "S K 3"], Float[np.ndarray, "S K 1"]]:
    """The direction from one atom to another, and one over the distance, 1/nm."""
    link = places[:, :, head] - places[:, :, tail]
    inverse = 1.0 / np.sqrt(_dot(link, link))[..., None]
    return link * inverse, inverse


def _distance(places: _Places) -> _Measured:
    direction, inverse = _unit(places, 1, 0)
    return 1.0 / inverse[..., 0], [direction, -direction]


def _angle(places: _Places) -> _Measured:
    (one, by_one), (two, by_two) = _unit(places, 1, 0), _unit(places, 1, 2)
    cosine = _dot(one, two)[..., None]
    first, last = (two - cosine * one) * by_one, (one - cosine * two) * by_two
    return cosine[..., 0], [first, -first - last, last]


def _wing(places: _Places) -> _Measured:
    (one, by_one), (two, by_two), (three, by_three) = (_unit(places, 0, end) for end in (1, 2, 3))
    volume = _dot(one, cross(two, three))[..., None]
    outer = [
        (cross(two, three) - volume * one) * by_one,
        (cross(three, one) - volume * two) * by_two,
        (cross(one, two) - volume * three) * by_three,
    ]
    return volume[..., 0], [-outer[0] - outer[1] - outer[2], *outer]


def _torsion(places: _Places) -> _Measured:
    """The dihedral angle (Blondel & Karplus, J. Comput. Chem. 17, 1132 (1996))."""
    one, two, three = (places[:, :, n + 1] - places[:, :, n] for n in range(3))
    before, after = cross(one, two), cross(two, three)
    middle = np.sqrt(_dot(two, two))[..., None]
    angle = np.arctan2(middle[..., 0] * _dot(one, after), _dot(before, after))
    first = -middle * before / _dot(before, before)[..., None]
    last = middle * after / _dot(after, after)[..., None]
    along_one = _dot(one, two)[..., None] / middle**2
    along_three = _dot(three, two)[..., None] / middle**2
    second = -first * (1.0 + along_one) + last * along_three
    return angle, [first, second, -first - second - last, last]


_MEASURES = {
    "bonds": _distance,
    "angles": _angle,
    "wings": _wing,
    "torsions": _torsion,
    "pairs": _distance,
}

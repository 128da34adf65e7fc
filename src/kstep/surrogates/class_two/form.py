"""The form of a class-II force field of a molecule: functions that its energy is a sum of.

All series of its coordinates, and products of features that are near each other. The energy of a
molecule is its mirror image's, so odd features meet odd ones, and sines stand alone only where the
molecule is chiral and never met as its mirror image. Functions that a permutation of equal atoms
takes into each other share one parameter.

Maple et al., J. Comput. Chem. 15, 162 (1994); the name is theirs.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from kstep.surrogates.class_two.coordinates import InternalCoordinates, internal_coordinates
from kstep.surrogates.class_two.functions import FEATURES, SERIES, places_of
from kstep.system.molecule import Molecule, neighbours
from kstep.system.symmetry import atom_classes, automorphism_generators

Signed = tuple[Int[np.ndarray, "G n"], Int[np.ndarray, "G n"]]
"""Where permutations take things, and with what sign."""


@dataclass(frozen=True, eq=False)
class Form:
    """What the energy of a molecule is a sum of: series, then products.

    Attributes:
        coordinates: of the molecule.
        products: the two features of each product [M, 2].
        owner: the parameter of each function [K].
        sign: of the parameter in it; 0 where the function does not appear [K].
        alike: a label for every coordinate, equal for those that permutations exchange [C].
        n_parameters: P.
    """

    coordinates: InternalCoordinates
    products: Int[np.ndarray, "M 2"]
    owner: Int[np.ndarray, " K"] = field(repr=False)
    sign: Float[np.ndarray, " K"] = field(repr=False)
    alike: Int[np.ndarray, " C"] = field(repr=False)
    n_parameters: int

    @cached_property
    def features(self) -> Int[np.ndarray, "F 3"]:
        """`places_of` the features."""
        return places_of(FEATURES, self.coordinates)

    @cached_property
    def series(self) -> Int[np.ndarray, "O 3"]:
        """`places_of` the series."""
        return places_of(SERIES, self.coordinates)

    @cached_property
    def order(self) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " P"]]:
        """The functions that appear, by parameter, and where those of each parameter begin."""
        order = np.argsort(self.owner, kind="stable")
        order = order[self.owner[order] < self.n_parameters]
        return order, np.searchsorted(self.owner[order], np.arange(self.n_parameters))

    def coefficients(self, parameters: Float[np.ndarray, " P"]) -> Float[np.ndarray, " K"]:
        """Of every function, kJ/mol."""
        return np.asarray(self.sign * np.append(parameters, 0.0)[self.owner])


def form_of(molecule: Molecule) -> Form:
    """The form for a molecule's bonds and elements."""
    coordinates = internal_coordinates(molecule)
    maps = automorphism_generators(molecule.numbers, molecule.bonds)
    features, series = places_of(FEATURES, coordinates), places_of(SERIES, coordinates)
    products = _products(coordinates, features)
    image, turn = _permuted(coordinates, maps)
    moved = [
        _series_moved(series, image),
        _products_moved(products, features, image, turn),
    ]
    n_series = len(series)
    places = np.concatenate([moved[0][0], moved[1][0] + n_series], axis=1)
    signs = np.concatenate([moved[0][1], moved[1][1]], axis=1)
    owner, sign = _orbits(places, signs)
    odd = np.array([kind.odd for kind in SERIES])[series[:, 0]]
    if not _is_chiral(molecule):
        sign[:n_series][odd] = 0.0
    kept, renumbered = np.unique(owner[sign != 0], return_inverse=True)
    owner[:] = len(kept)
    owner[sign != 0] = renumbered
    alike, _ = _orbits(image, np.ones_like(image))
    return Form(coordinates, products, owner, sign, alike, len(kept))


def _is_chiral(molecule: Molecule) -> bool:
    """Whether an atom has four different neighbours."""
    classes = atom_classes(molecule.numbers, molecule.bonds)
    around = neighbours(molecule.n_atoms, molecule.bonds)
    return any(len({classes[atom] for atom in atoms}) == 4 for atoms in around)


def _products(
    coordinates: InternalCoordinates, features: Int[np.ndarray, "F 3"]
) -> Int[np.ndarray, "M 2"]:
    """Pairs of near features of different coordinates."""
    atoms = [set(members) for _, members in coordinates]
    centre = [set(_centre(kind, members)) for kind, members in coordinates]
    found = []
    for (i, (kind_i, one, _)), (j, (kind_j, two, _)) in combinations(enumerate(features.tolist()), 2):
        first, second = FEATURES[kind_i], FEATURES[kind_j]
        if one == two or first.odd != second.odd:
            continue
        turning = "torsions" in (first.coordinates, second.coordinates)
        meet = centre if turning else atoms
        if {first.name, second.name} in ({"double"}, {"double", "cosine"}):
            continue
        if meet[one] & meet[two]:
            found.append((i, j))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _centre(kind: str, atoms: tuple[int, ...]) -> tuple[int, ...]:
    """The atoms about which a coordinate moves the others."""
    return {"angles": atoms[1:2], "wings": atoms[:1], "torsions": atoms[1:3]}.get(kind, atoms)


def _permuted(coordinates: InternalCoordinates, maps: Int[np.ndarray, "G N"]) -> Signed:
    """Where permutations of the atoms take every coordinate."""
    numbers = {named: number for number, named in enumerate(coordinates)}
    moved = [[_named(kind, tuple(image[list(atoms)].tolist())) for kind, atoms in coordinates]
             for image in maps]  # fmt: skip
    shape = (len(maps), len(coordinates))
    places = np.array([numbers[name] for row in moved for name, _ in row], dtype=np.int64)
    signs = np.array([sign for row in moved for _, sign in row], dtype=np.int64)
    return places.reshape(shape), signs.reshape(shape)


def _named(kind: str, atoms: tuple[int, ...]) -> tuple[tuple[str, tuple[int, ...]], int]:
    """A coordinate as `internal_coordinates` writes it, and −1 where its value turns its sign."""
    if kind == "wings":
        around = atoms[1:]
        inversions = sum(one > two for one, two in combinations(around, 2))
        return (kind, (atoms[0], *sorted(around))), -1 if inversions % 2 else 1
    inner = atoms[1:3] if kind == "torsions" else (atoms[0], atoms[-1])
    return (kind, atoms if inner[0] < inner[1] else atoms[::-1]), 1


def _series_moved(series: Int[np.ndarray, "O 3"], image: Int[np.ndarray, "G C"]) -> Signed:
    numbers = {tuple(place): number for number, place in enumerate(series.tolist())}
    places = [
        [numbers[kind, row[coordinate], which] for kind, coordinate, which in series.tolist()]
        for row in image.tolist()
    ]
    found = np.array(places, dtype=np.int64).reshape(len(image), len(series))
    return found, np.ones_like(found)


def _products_moved(
    products: Int[np.ndarray, "M 2"],
    features: Int[np.ndarray, "F 3"],
    image: Int[np.ndarray, "G C"],
    turn: Int[np.ndarray, "G C"],
) -> Signed:
    numbers = {tuple(pair): number for number, pair in enumerate(products.tolist())}
    feature_image, _ = _series_moved(features, image)
    odd = np.array([kind.name == "wing" for kind in FEATURES])[features[:, 0]]
    feature_turn = np.where(odd, turn[:, features[:, 1]], 1)
    pairs = np.sort(feature_image[:, products], axis=-1)
    places = [[numbers[tuple(pair)] for pair in row] for row in pairs.tolist()]
    signs = feature_turn[:, products].prod(axis=-1)
    return np.array(places, dtype=np.int64).reshape(len(image), len(products)), signs


def _orbits(
    places: Int[np.ndarray, "G n"], signs: Int[np.ndarray, "G n"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Label and sign of things that permutations take into each other; sign 0 where into −itself."""
    count = places.shape[1]
    owner, sign = np.full(count, -1, dtype=np.int64), np.zeros(count)
    for start in range(count):
        if owner[start] >= 0:
            continue
        owner[start], sign[start] = start, 1.0
        waiting, members, vanishes = [start], [start], False
        while waiting:
            place = waiting.pop()
            for image, turn in zip(places[:, place].tolist(), signs[:, place].tolist(), strict=True):
                if owner[image] < 0:
                    owner[image], sign[image] = start, turn * sign[place]
                    waiting.append(image)
                    members.append(image)
                elif sign[image] != turn * sign[place]:
                    vanishes = True
        if vanishes:
            sign[members] = 0.0
    return owner, sign

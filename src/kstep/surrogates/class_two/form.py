"""The form of a molecule's class-II force field: the functions that its energy is a sum of.

All series of its coordinates, and products of features that are near each other. The energy of a
molecule is its mirror image's, so odd features meet odd ones, and sines stand alone only where the
molecule is chiral, so that it is never met as its mirror image. Functions that a permutation of
equal atoms takes into each other share one parameter.

Maple et al., J. Comput. Chem. 15, 162 (1994), for class II.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from kstep.surrogates.class_two.coordinates import InternalCoordinates, internal_coordinates
from kstep.surrogates.class_two.functions import FEATURES, SERIES, Kind, places_of
from kstep.surrogates.class_two.tying import (
    coordinates_moved,
    functions_moved,
    orbits,
    products_moved,
)
from kstep.system.molecule import Molecule, neighbours
from kstep.system.symmetry import atom_classes, automorphism_generators

_MANY = 100
"""More than there are functions of a kind."""


@dataclass(frozen=True, eq=False)
class Form:
    """What the energy of a molecule is a sum of: series, then products.

    Attributes:
        coordinates: of the molecule.
        chosen: which of all series of the coordinates appear [O].
        products: the two features of each [M, 2].
        owner: the parameter of every function [K].
        sign: of the parameter in it [K].
        alike: a label for every coordinate, equal for those that permutations exchange [C].
    """

    coordinates: InternalCoordinates
    chosen: Int[np.ndarray, " O"] = field(repr=False)
    products: Int[np.ndarray, "M 2"] = field(repr=False)
    owner: Int[np.ndarray, " K"] = field(repr=False)
    sign: Float[np.ndarray, " K"] = field(repr=False)
    alike: Int[np.ndarray, " C"] = field(repr=False)

    @cached_property
    def features(self) -> Int[np.ndarray, "F 3"]:
        """`places_of` the features."""
        return places_of(FEATURES, self.coordinates)

    @cached_property
    def series(self) -> Int[np.ndarray, "O 3"]:
        """`places_of` the series that appear."""
        return np.asarray(places_of(SERIES, self.coordinates)[self.chosen])

    @property
    def n_parameters(self) -> int:
        """P."""
        return int(self.owner.max(initial=-1)) + 1

    @cached_property
    def kinds(self) -> Int[np.ndarray, " P"]:
        """A number for every parameter, equal for those of functions of one kind."""
        pair = self.features[self.products, 0]
        of_products = (len(SERIES) + pair[:, 0]) * _MANY + pair[:, 1]
        found = np.empty(self.n_parameters, dtype=np.int64)
        found[self.owner] = np.append(self.series[:, 0] * _MANY + self.series[:, 2], of_products)
        return found

    def coefficients(self, parameters: Float[np.ndarray, " P"]) -> Float[np.ndarray, " K"]:
        """Of every function, kJ/mol."""
        return np.asarray(self.sign * parameters[self.owner])


def form_of(molecule: Molecule) -> Form:
    """The form for a molecule's bonds and elements."""
    coordinates = internal_coordinates(molecule)
    features, series = places_of(FEATURES, coordinates), places_of(SERIES, coordinates)
    odd = np.array([kind.odd for kind in SERIES])[series[:, 0]]
    chosen = np.flatnonzero(~odd | _is_chiral(molecule))
    products = _products(coordinates, features)
    moved = coordinates_moved(
        coordinates, automorphism_generators(molecule.numbers, molecule.bonds)
    )
    series_label, series_sign = orbits(functions_moved(series[chosen], moved[0]))
    label, sign = orbits(products_moved(products, features, moved))
    appears = sign != 0.0
    labels = np.append(series_label, len(series) + label[appears])
    return Form(
        coordinates=coordinates,
        chosen=chosen,
        products=products[appears],
        owner=np.unique(labels, return_inverse=True)[1],
        sign=np.append(series_sign, sign[appears]),
        alike=orbits(moved)[0],
    )


def _is_chiral(molecule: Molecule) -> bool:
    """Whether an atom has four different neighbours."""
    classes = atom_classes(molecule.numbers, molecule.bonds)
    around = neighbours(molecule.n_atoms, molecule.bonds)
    return any(len({classes[atom] for atom in atoms}) == 4 for atoms in around)


def _products(
    coordinates: InternalCoordinates, features: Int[np.ndarray, "F 3"]
) -> Int[np.ndarray, "M 2"]:
    """Pairs of features that are near and may meet."""
    atoms = [set(members) for _, members in coordinates]
    centres = [set(_centre(kind, members)) for kind, members in coordinates]
    found = []
    for (i, one), (j, two) in combinations(enumerate(features.tolist()), 2):
        first, second = FEATURES[one[0]], FEATURES[two[0]]
        turning = "torsions" in (first.coordinates, second.coordinates)
        near = centres if turning else atoms
        if one[1] != two[1] and _may_meet(first, second) and near[one[1]] & near[two[1]]:
            found.append((i, j))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _may_meet(first: Kind, second: Kind) -> bool:
    """Equal under a mirror; cos 2φ only meets stretches and bends."""
    second_turns = second.coordinates == "torsions"
    return first.odd == second.odd and not (
        "double" in (first.name, second.name) and first.coordinates == "torsions" and second_turns
    )


def _centre(kind: str, atoms: tuple[int, ...]) -> tuple[int, ...]:
    """The atoms about which a coordinate moves the others."""
    return {"angles": atoms[1:2], "wings": atoms[:1], "torsions": atoms[1:3]}.get(kind, atoms)

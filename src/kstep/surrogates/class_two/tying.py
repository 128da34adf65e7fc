"""Which functions share a parameter: those that permutations of equal atoms exchange."""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from kstep.surrogates.class_two.coordinates import InternalCoordinates
from kstep.surrogates.class_two.functions import FEATURES

Moved = tuple[np.ndarray, np.ndarray]
"""Where each of G permutations takes n things, and with what sign, +1 or −1 [G, n]."""


def coordinates_moved(coordinates: InternalCoordinates, maps: Int[np.ndarray, "G N"]) -> Moved:
    """Where permutations of the atoms take every coordinate."""
    numbers = {named: number for number, named in enumerate(coordinates)}
    moved = [
        _named(kind, tuple(image[list(atoms)].tolist()))
        for image in maps
        for kind, atoms in coordinates
    ]
    shape = (len(maps), len(coordinates))
    places = np.array([numbers[name] for name, _ in moved], dtype=np.int64)
    signs = np.array([sign for _, sign in moved], dtype=np.int64)
    return places.reshape(shape), signs.reshape(shape)


def _named(kind: str, atoms: tuple[int, ...]) -> tuple[tuple[str, tuple[int, ...]], int]:
    """A coordinate as `internal_coordinates` writes it, and −1 where its value turns its sign."""
    if kind == "wings":
        inversions = sum(one > two for one, two in combinations(atoms[1:], 2))
        return (kind, (atoms[0], *sorted(atoms[1:]))), -1 if inversions % 2 else 1
    ends = atoms[1:3] if kind == "torsions" else (atoms[0], atoms[-1])
    return (kind, atoms if ends[0] < ends[1] else atoms[::-1]), 1


def functions_moved(functions: Int[np.ndarray, "n 3"], image: Int[np.ndarray, "G C"]) -> Moved:
    """Where permutations that move coordinates so take functions of one each (`places_of`)."""
    numbers = {tuple(place): number for number, place in enumerate(functions.tolist())}
    places = [
        [numbers[kind, row[coordinate], which] for kind, coordinate, which in functions.tolist()]
        for row in image.tolist()
    ]
    found = np.array(places, dtype=np.int64).reshape(len(image), len(functions))
    return found, np.ones_like(found)


def products_moved(
    products: Int[np.ndarray, "M 2"], features: Int[np.ndarray, "F 3"], coordinates: Moved
) -> Moved:
    """Where permutations that move coordinates so take products of features."""
    image, sign = coordinates
    numbers = {tuple(pair): number for number, pair in enumerate(products.tolist())}
    places, _ = functions_moved(features, image)
    turned = np.array([kind.turns for kind in FEATURES])[features[:, 0]]
    signs = np.where(turned, sign[:, features[:, 1]], 1)[:, products].prod(axis=-1)
    pairs = np.sort(places[:, products], axis=-1).reshape(-1, 2)
    found = np.array([numbers[tuple(pair)] for pair in pairs.tolist()], dtype=np.int64)
    return found.reshape(len(image), len(products)), signs


def orbits(moved: Moved) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """A label for things that permutations exchange, and the sign of each beside the first.

    The sign is 0 where they take a thing into minus itself.
    """
    places, signs = (part.T.tolist() for part in moved)
    count = moved[0].shape[1]
    label, sign = np.full(count, -1, dtype=np.int64), np.zeros(count)
    for start in range(count):
        if label[start] >= 0:
            continue
        label[start], sign[start] = start, 1.0
        members, consistent = [start], True
        for place in members:  # grows as it goes
            for image, turn in zip(places[place], signs[place], strict=True):
                if label[image] < 0:
                    label[image], sign[image] = start, turn * sign[place]
                    members.append(image)
                consistent &= sign[image] == turn * sign[place]
        if not consistent:
            sign[members] = 0.0
    return label, sign

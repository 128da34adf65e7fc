"""Which atoms of a molecular graph are alike, and in how many ways it maps onto itself."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from kstep.system.molecule import neighbours


def atom_classes(numbers: Int[np.ndarray, " N"], bonds: Int[np.ndarray, "B 2"]) -> list[int]:
    """Class of every atom: equal for atoms that element and bonding do not tell apart.

    Colour refinement (Weisfeiler and Leman 1968): start from the elements and add the classes
    of the neighbours until nothing changes.
    """
    adjacent = neighbours(len(numbers), bonds)
    classes = _ranked([(int(number),) for number in numbers])
    while True:
        finer = _ranked(
            [
                (classes[atom], *sorted(classes[n] for n in adjacent[atom]))
                for atom in range(len(numbers))
            ]
        )
        if len(set(finer)) == len(set(classes)):
            return classes
        classes = finer


def _ranked(keys: list[tuple[int, ...]]) -> list[int]:
    rank = {key: index for index, key in enumerate(sorted(set(keys)))}
    return [rank[key] for key in keys]


def heavy_automorphisms(
    numbers: Int[np.ndarray, " N"], bonds: Int[np.ndarray, "B 2"], limit: int
) -> Int[np.ndarray, "P H"]:
    """Maps of the heavy-atom skeleton onto itself that keep every bond, at most `limit`.

    Row p holds the atom that takes the place of each heavy atom (in ascending order); the first
    row is the identity. Hydrogens count through the classes of the atoms that carry them.
    """
    classes = atom_classes(numbers, bonds)
    adjacent = [set(atoms) for atoms in neighbours(len(numbers), bonds)]
    heavy = np.flatnonzero(numbers > 1).tolist()

    def extend(chosen: list[int]) -> Iterator[list[int]]:
        if len(chosen) == len(heavy):
            yield chosen
            return
        atom = heavy[len(chosen)]
        for candidate in sorted(heavy, key=lambda other: (other != atom, other)):
            if candidate in chosen or classes[candidate] != classes[atom]:
                continue
            if all(
                (heavy[i] in adjacent[atom]) == (image in adjacent[candidate])
                for i, image in enumerate(chosen)
            ):
                yield from extend([*chosen, candidate])

    found = [image for image, _ in zip(extend([]), range(limit), strict=False)]
    return np.array(found, dtype=np.int64).reshape(len(found), len(heavy))


def automorphism_generators(
    numbers: Int[np.ndarray, " N"], bonds: Int[np.ndarray, "B 2"]
) -> Int[np.ndarray, "G N"]:
    """Permutations of all atoms that keep elements and bonds, and of which all others are made.

    Row g holds the atom that takes the place of each. Found as in Schreier and Sims: from the
    last atom to the first, one map for every other place that the atom can take while those
    before it stay, if the maps found so far do not take it there already.
    """
    n_atoms = len(numbers)
    classes = atom_classes(numbers, bonds)
    adjacent = [set(atoms) for atoms in neighbours(n_atoms, bonds)]
    found: list[list[int]] = []
    for atom in range(n_atoms - 1, -1, -1):
        reached = orbit([atom], found)
        for other in range(atom + 1, n_atoms):
            if classes[other] == classes[atom] and other not in reached:
                image = _extended([*range(atom), other], classes, adjacent)
                if image is not None:
                    found.append(image)
                    reached = orbit([atom], found)
    return np.array(found, dtype=np.int64).reshape(len(found), n_atoms)


def orbit(start: list[int], maps: list[list[int]]) -> set[int]:
    """All places that maps take some places to, one after the other."""
    reached, waiting = set(start), list(start)
    while waiting:
        place = waiting.pop()
        new = {image[place] for image in maps} - reached
        reached |= new
        waiting.extend(new)
    return reached


def _extended(image: list[int], classes: list[int], adjacent: list[set[int]]) -> list[int] | None:
    """An automorphism that begins with these images of the first atoms, if there is one."""
    atom = len(image) - 1
    bonded = [earlier in adjacent[atom] for earlier in range(atom)]
    if [place in adjacent[image[-1]] for place in image[:-1]] != bonded:
        return None
    if len(image) == len(classes):
        return image
    for candidate in range(len(classes)):
        if classes[candidate] == classes[len(image)] and candidate not in image:
            whole = _extended([*image, candidate], classes, adjacent)
            if whole is not None:
                return whole
    return None

"""Whether a geometry can be the molecule that it is said to be.

Bond lengths and contacts are held against covalent radii (Cordero et al., Dalton Trans. 2832
(2008)), centres against the arrangement of their electron pairs (Gillespie & Nyholm, Q. Rev. Chem.
Soc. 11, 339 (1957)). The bounds are wide: no sound molecule comes near them.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Final

import numpy as np
from jaxtyping import Float
from rdkit import Chem

BOND: Final = (0.7, 1.35)
"""Shortest and longest bond in sums of covalent radii: N₂ has 0.77, F₂ 1.24."""

CLOSEST: Final = 1.1
"""Closest contact without a bond in the same: I–I in CI₄ and C–C in bicyclopentane have 1.22."""

PYRAMIDAL: Final = 0.45
"""Å of a centre above the plane of its three neighbours; tetrahedral ones have some 0.5."""

BENT: Final = 0.2
"""Å of the same that are worth a word: OpenFF's carbonyls in rings of four have up to 0.3."""

STRAIGHT: Final = 150.0
"""Degrees: least angle of what is straight."""


def fault(mol: Chem.Mol, x: Float[np.ndarray, "N 3"]) -> str | None:
    """What cannot be in a geometry, Å, of a molecule with all hydrogens; None where nothing is.

    The words name atoms by element and number, from 1.
    """
    return next((found for check in (_distances, _centres) for found in check(mol, x)), None)


def bent_planes(mol: Chem.Mol, x: Float[np.ndarray, "N 3"]) -> list[str]:
    """The centres, in words, that should be flat and are clearly not, yet still are no pyramids."""
    found = ((atom, _height(_arms(atom, x))) for atom in mol.GetAtoms() if _is_flat(atom))
    return [f"{_name(atom)} by {height:.2f} Å" for atom, height in found if height > BENT]


def pairs(atom: Chem.Atom) -> float:
    """Directions that the electron pairs of an atom take: its neighbours and its lone pairs."""
    own = Chem.GetPeriodicTable().GetNOuterElecs(atom.GetAtomicNum()) - atom.GetFormalCharge()
    return float(atom.GetDegree() + (own - atom.GetTotalValence()) / 2)


def _distances(mol: Chem.Mol, x: Float[np.ndarray, "N 3"]) -> Iterator[str]:
    """Bonds too long or too short, and atoms as close as bonded ones without a bond."""
    radius = Chem.GetPeriodicTable().GetRcovalent
    radii = np.array([radius(atom.GetAtomicNum()) for atom in mol.GetAtoms()])
    distances = np.linalg.norm(x[:, None] - x, axis=-1)
    ratios = distances / (radii[:, None] + radii)
    bonded = Chem.GetAdjacencyMatrix(mol).astype(bool)
    allowed = ~bonded & (ratios > CLOSEST) | bonded & (ratios > BOND[0]) & (ratios < BOND[1])
    for first, second in np.argwhere(np.triu(~allowed, 1)):
        names = " and ".join(_name(mol.GetAtomWithIdx(int(atom))) for atom in (first, second))
        length = f"{distances[first, second]:.2f} Å"
        if not bonded[first, second]:
            yield f"{names} are as close as bonded atoms, {length}"
        elif ratios[first, second] > BOND[1]:
            yield f"the bond between {names} is broken, {length}"
        else:
            yield f"the bond between {names} is too short, {length}"


def _centres(mol: Chem.Mol, x: Float[np.ndarray, "N 3"]) -> Iterator[str]:
    """Centres whose bonds do not point where their electron pairs must."""
    for atom in mol.GetAtoms():
        count, around, arms = atom.GetDegree(), pairs(atom), _arms(atom, x)
        if _is_flat(atom) and _height(arms) > PYRAMIDAL:
            yield f"{_name(atom)} is pyramidal, where it must be flat"
        elif count == around == 2 and not atom.IsInRing() and _widest(arms) < STRAIGHT:
            yield f"{_name(atom)} is bent, where it must be straight"
        elif count > 1 and around > 4 and _widest(arms) < STRAIGHT:
            yield f"{_name(atom)} has no two bonds opposite to each other, as {around:g} pairs must"


def _is_flat(atom: Chem.Atom) -> bool:
    return bool(atom.GetDegree() == pairs(atom) == 3)


def _arms(atom: Chem.Atom, x: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "K 3"]:
    """From an atom to its neighbours, Å."""
    others = [neighbour.GetIdx() for neighbour in atom.GetNeighbors()]
    return np.asarray(x[others] - x[atom.GetIdx()])


def _height(arms: Float[np.ndarray, "3 3"]) -> float:
    """Distance of a centre from the plane of its three neighbours."""
    normal = np.cross(arms[1] - arms[0], arms[2] - arms[0])
    return float(abs(normal @ arms[0]) / np.linalg.norm(normal))


def _widest(arms: Float[np.ndarray, "K 3"]) -> float:
    """The widest angle between two arms, degrees."""
    units = arms / np.linalg.norm(arms, axis=1, keepdims=True)
    cosines = [float(first @ second) for first, second in combinations(units, 2)]
    return float(np.degrees(np.arccos(np.clip(min(cosines), -1.0, 1.0))))


def _name(atom: Chem.Atom) -> str:
    return f"{atom.GetSymbol()}{atom.GetIdx() + 1}"

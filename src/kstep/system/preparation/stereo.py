"""Which stereoisomer a SMILES means, and what it cannot say."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from rdkit import Chem, rdBase
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

from kstep.errors import MoleculeError

BULKY_NEIGHBOURS: Final = 2
"""Substituents beside an axis between two rings, one at least on either, that stop its turning in
the time of a simulation: 2,2'-dimethylbiphenyl needs some 75 kJ/mol.

Bringmann et al., Angew. Chem. Int. Ed. 44, 5384 (2005).
"""


IMINE: Final = Chem.MolFromSmarts("[N;H1;D1]=*")


def settle_stereo(mol: Chem.Mol, smiles: str) -> Chem.Mol:
    """The molecule with every centre and double bond specified.

    RDKit's candidates include centres that symmetry or the rings leave no choice about (cubane,
    norbornane); only a molecule of which a second stereoisomer can be embedded is left open.
    Hydrogens count where they make the two sides of an imine.

    Raises MoleculeError when the SMILES leaves one open.
    """
    imines = [nitrogen for nitrogen, _ in mol.GetSubstructMatches(IMINE)]
    full = Chem.AddHs(mol, onlyOnAtoms=imines) if imines else mol
    unspecified = Chem.StereoSpecified.Unspecified
    candidates = [s for s in Chem.FindPotentialStereo(full) if s.specified == unspecified]
    if not candidates:
        return mol
    options = StereoEnumerationOptions(  # type: ignore[no-untyped-call]
        tryEmbedding=True, unique=True, onlyUnassigned=True
    )
    with rdBase.BlockLogs():
        found = EnumerateStereoisomers(full, options=options)  # type: ignore[no-untyped-call]
        isomers = list(islice(found, 2))
    if len(isomers) > 1:
        raise MoleculeError(
            f"{smiles} leaves the stereochemistry of {_place(full, candidates[0])} open: specify "
            "it with @ or @@ at atoms, / and \\ at double bonds (as in [H]/N=C(/C)N)."
        )
    if not isomers:
        return mol
    return Chem.RemoveHs(isomers[0]) if imines else isomers[0]


def open_axes(mol: Chem.Mol) -> list[str]:
    """The chiral axes of a molecule, in words: SMILES has no way to say which way they turn.

    Allenes and longer cumulenes with two different groups at either end, and hindered bonds
    between two rings neither of which is alike on both sides of it.
    """
    full = Chem.AddHs(mol)
    ranks = list(Chem.CanonicalRankAtoms(full, breakTies=False))
    axes = [ends for ends in (*_cumulenes(full), *_hindered(full)) if _is_chiral(full, ends, ranks)]
    return ["-".join(_label(full.GetAtomWithIdx(end)) for end in ends) for ends in axes]


def _is_chiral(mol: Chem.Mol, ends: tuple[int, int], ranks: list[int]) -> bool:
    return all(len({ranks[group] for group in _groups(mol, end)}) == 2 for end in ends)


def _groups(mol: Chem.Mol, end: int) -> list[int]:
    """The atoms at the end of an axis that do not lie on it: its ring's or its single bonds'."""
    atom = mol.GetAtomWithIdx(end)
    return [
        bond.GetOtherAtomIdx(end)
        for bond in atom.GetBonds()
        if (bond.IsInRing() if atom.IsInRing() else bond.GetBondTypeAsDouble() == 1)
    ]


def _cumulenes(mol: Chem.Mol) -> Iterator[tuple[int, int]]:
    """The ends of every chain of two or more double bonds that share atoms, outside rings."""
    double = Chem.BondType.DOUBLE
    chain = [
        bond for bond in mol.GetBonds() if bond.GetBondType() == double and not bond.IsInRing()
    ]
    beside: dict[int, list[int]] = {}
    for bond in chain:
        first, second = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        beside.setdefault(first, []).append(second)
        beside.setdefault(second, []).append(first)
    for start in (atom for atom, others in beside.items() if len(others) == 1):
        before, here = start, beside[start][0]
        length = 1
        while len(beside[here]) == 2:
            before, here = here, next(other for other in beside[here] if other != before)
            length += 1
        if length > 1 and start < here and len(beside[here]) == 1:
            yield start, here


def _hindered(mol: Chem.Mol) -> Iterator[tuple[int, int]]:
    """The ends of every single bond between two flat rings with bulk on either side of it."""
    flat = Chem.HybridizationType.SP2
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        atoms = [mol.GetAtomWithIdx(end) for end in ends]
        if bond.IsInRing() or bond.GetBondTypeAsDouble() != 1:
            continue
        if not all(atom.IsInRing() and atom.GetHybridization() == flat for atom in atoms):
            continue
        bulk = [sum(map(_is_bulky, _beside(mol, end))) for end in ends]
        if min(bulk) > 0 and sum(bulk) >= BULKY_NEIGHBOURS:
            yield ends


def _beside(mol: Chem.Mol, end: int) -> list[Chem.Atom]:
    return [mol.GetAtomWithIdx(index) for index in _groups(mol, end)]


def _is_bulky(neighbour: Chem.Atom) -> bool:
    """Whether an atom of a ring, beside an axis, carries more than a hydrogen or fluorine."""
    return sum(other.GetAtomicNum() not in (1, 9) for other in neighbour.GetNeighbors()) > 2


def _place(mol: Chem.Mol, candidate: Chem.StereoInfo) -> str:
    if candidate.type == Chem.StereoType.Atom_Tetrahedral:
        atom = mol.GetAtomWithIdx(candidate.centeredOn)
        return f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()})"
    bond = mol.GetBondWithIdx(candidate.centeredOn)
    return f"the bond {_label(bond.GetBeginAtom())}-{_label(bond.GetEndAtom())}"


def _label(atom: Chem.Atom) -> str:
    return f"{atom.GetSymbol()}{atom.GetIdx() + 1}"

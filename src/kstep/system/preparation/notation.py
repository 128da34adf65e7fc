"""One notation for one molecule: parameters and charges follow the one that is written.

Ylides, oxides and azides can be written with separated charges or with double bonds. The force
field and the charge model were made for one of the two, and take the other for another molecule.
"""

from functools import cache
from typing import Any, Final

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

PATTERNS: Final = """//	Name	SMIRKS
Charges on neighbours	[P,S;+2:1]-[C,N,O,S;-1:2]>>[*+1:1]=[*+0:2]
Charges on neighbours	[P,S;+1:1]-[C,N,O,S;-1:2]>>[*+0:1]=[*+0:2]
Azide	[*:1][N-:2][N+:3]#[N+0:4]>>[*:1][N+0:2]=[N+:3]=[N-:4]
Diazo	[C-:1][N+:2]#[N+0:3]>>[C+0:1]=[N+:2]=[N-:3]
"""
"""What RDKit leaves, or writes with separated charges: sulfoxides, as OpenFF writes them."""

RESONANCE_FORMS: Final = 200
"""Looked at to tell whether two SMILES are one molecule: enough for several charged groups."""


@cache
def _normalisers() -> tuple[Any, Any]:
    """RDKit's, after Matt Swain's MolVS, and ours, which goes over what it leaves."""
    settings = rdMolStandardize.CleanupParameters()
    ours = rdMolStandardize.NormalizerFromData(PATTERNS, settings)
    return rdMolStandardize.Normalizer(), ours


def normalise(mol: Chem.Mol) -> Chem.Mol:
    """The molecule as force field and charge model know it; the very same where it is already."""
    found = Chem.Mol(mol)
    with rdBase.BlockLogs():
        for normaliser in _normalisers():
            normaliser.normalizeInPlace(found)  # which keeps the order of the atoms
    return mol if Chem.MolToSmiles(found) == Chem.MolToSmiles(mol) else found


def identity(mol: Chem.Mol) -> str:
    """A SMILES that every resonance form of a molecule shares, and no other molecule has."""
    if not any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        return str(Chem.MolToSmiles(mol))
    forms = [mol, *filter(None, Chem.ResonanceMolSupplier(mol, 0, RESONANCE_FORMS))]
    # A form whose double bond lies elsewhere has lost what the written one says about it.
    return min((-_settled_bonds(form), str(Chem.MolToSmiles(form))) for form in forms)[1]


def _settled_bonds(mol: Chem.Mol) -> int:
    return sum(bond.GetStereo() > Chem.BondStereo.STEREOANY for bond in mol.GetBonds())

"""From SMILES to a molecule that kstep can simulate, or to a sentence that says why not (RDKit)."""

from typing import Final

from rdkit import Chem, rdBase

from kstep.errors import MoleculeError
from kstep.system.preparation.notation import normalise
from kstep.system.preparation.smiles_list import check_smiles
from kstep.system.preparation.stereo import open_axes, settle_stereo

ELEMENTS: Final = frozenset({"H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"})
"""Elements that both the force field and the charge model know."""


def parse(smiles: str, max_heavy_atoms: int) -> Chem.Mol:
    """The molecule of a SMILES, hydrogens implicit, in the one notation of it that is used.

    Tautomer and protonation are as written; a net charge and zwitterions are welcome.

    Raises MoleculeError for text that is not one SMILES, impossible valences, several fragments,
    elements without parameters, radicals, isotope labels, more than `max_heavy_atoms` heavy atoms
    and stereochemistry that is left open.
    """
    mol = _read(smiles)
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    _check_composition(mol, smiles, max_heavy_atoms)
    mol = normalise(mol)
    _check_state(mol, smiles)
    return settle_stereo(mol, smiles)


def remarks_on(mol: Chem.Mol, smiles: str) -> list[str]:
    """What was decided for the user who wrote `smiles`, of which `parse` made `mol`."""
    written = _read(smiles)
    remarks = []
    if normalise(written) is not written:
        remarks.append(
            f"taken as {Chem.MolToSmiles(mol)}: the same molecule as {smiles}, in the notation "
            "that force field and charges are made for."
        )
    remarks += [
        f"SMILES cannot say which way round the axis {axis} is, so prep.seed decided it; another "
        "seed may give the mirror image."
        for axis in open_axes(mol)
    ]
    return remarks


def _read(smiles: str) -> Chem.Mol:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(check_smiles(smiles))
        if mol is None:
            raise MoleculeError(f"{smiles} cannot be read as SMILES{_problem(smiles)}.")
    return mol


def _problem(smiles: str) -> str:
    """What RDKit finds wrong with the chemistry of text that does parse; else where to look."""
    draft = Chem.MolFromSmiles(smiles, sanitize=False)
    problems = Chem.DetectChemistryProblems(draft) if draft is not None else []
    if problems:
        return f" ({problems[0].Message()}): correct the valence or the aromatic ring"
    return ": correct its brackets, ring closures or symbols"


def _check_composition(mol: Chem.Mol, smiles: str, max_heavy_atoms: int) -> None:
    if len(Chem.GetMolFrags(mol)) > 1:
        raise MoleculeError(
            f"{smiles} is made of several fragments: give one molecule, without salts or solvent."
        )
    foreign = sorted({atom.GetSymbol() for atom in mol.GetAtoms()} - ELEMENTS)
    if foreign:
        raise MoleculeError(
            f"{smiles} contains {', '.join(foreign)}, for which the force field has no "
            "parameters: leave it out."
        )
    n_heavy = mol.GetNumHeavyAtoms()
    if n_heavy == 0:
        raise MoleculeError(f"{smiles} has no heavy atom: give an organic molecule.")
    if n_heavy > max_heavy_atoms:
        raise MoleculeError(
            f"{smiles} has {n_heavy} heavy atoms, more than the {max_heavy_atoms} of "
            "prep.max_heavy_atoms: leave it out or raise the limit."
        )


def _check_state(mol: Chem.Mol, smiles: str) -> None:
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise MoleculeError(f"{smiles} is a radical: write it with all its hydrogens.")
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        raise MoleculeError(
            f"{smiles} has isotope labels, which the force field ignores: remove them."
        )

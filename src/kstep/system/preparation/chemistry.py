"""From SMILES to a checked molecule with a minimised conformer (RDKit)."""

from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

from kstep.errors import MoleculeError

ELEMENTS: Final = frozenset({"H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"})
"""Elements that both the force field and the charge model know."""

MINIMISER_ITERATIONS: Final = 20_000


@dataclass(frozen=True)
class Conformer:
    """A molecule with hydrogens and one minimised conformer.

    Attributes:
        mol: RDKit molecule; heavy atoms first, then hydrogens; coordinates in Å.
        minimiser: potential of the minimisation, `MMFF94`, `UFF` or that of the configuration.
    """

    mol: Chem.Mol
    minimiser: str


def parse(smiles: str, max_heavy_atoms: int) -> Chem.Mol:
    """The molecule of a SMILES, hydrogens implicit, checked against what kstep supports.

    Raises MoleculeError for text that is not SMILES, impossible valences, several fragments,
    elements without parameters, a net charge, radicals, isotope labels, more than
    `max_heavy_atoms` heavy atoms and stereochemistry that is left open.
    """
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None:
            raise MoleculeError(f"{smiles} cannot be read as SMILES{_problem(smiles)}.")
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(0)
    _check_composition(mol, smiles, max_heavy_atoms)
    _check_state(mol, smiles)
    return _settle_stereo(mol, smiles)


def embed(mol: Chem.Mol, seed: int) -> Conformer:
    """Add hydrogens, embed with ETKDGv3 and minimise with MMFF94, or UFF where MMFF94 cannot.

    ETKDGv3: Wang et al., J. Chem. Inf. Model. 60, 2044 (2020). The same seed gives the same
    coordinates.

    Raises MoleculeError when no conformer is found or neither force field can minimise it.
    """
    full = Chem.AddHs(mol)
    parameters: Any = rdDistGeom.ETKDGv3()  # Any: RDKit's stubs give its properties wrong types
    parameters.randomSeed = seed
    with rdBase.BlockLogs():
        if rdDistGeom.EmbedMolecule(full, parameters) != 0:
            parameters.useRandomCoords = True  # the remedy for crowded and caged molecules
            if rdDistGeom.EmbedMolecule(full, parameters) != 0:
                raise MoleculeError(
                    f"{Chem.MolToSmiles(mol)} has no conformer that ETKDGv3 can find: check its "
                    "stereochemistry and ring strain."
                )
        return Conformer(full, _minimise(full))


def _minimise(mol: Chem.Mol) -> str:
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        minimiser = "MMFF94"
        status = rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=MINIMISER_ITERATIONS)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
        minimiser = "UFF"
        status = rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=MINIMISER_ITERATIONS)
    else:
        raise MoleculeError(
            f"{Chem.MolToSmiles(Chem.RemoveHs(mol))} has atoms that neither MMFF94 nor UFF knows: "
            "leave it out."
        )
    if status != 0:
        raise MoleculeError(
            f"{Chem.MolToSmiles(Chem.RemoveHs(mol))} could not be minimised with {minimiser}: "
            "try another prep.seed."
        )
    return minimiser


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
    charge = Chem.GetFormalCharge(mol)
    if charge:
        raise MoleculeError(f"{smiles} has a net charge of {charge:+d} e: write its neutral form.")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise MoleculeError(f"{smiles} is a radical: write it with all its hydrogens.")
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        raise MoleculeError(
            f"{smiles} has isotope labels, which the force field ignores: remove them."
        )


def _settle_stereo(mol: Chem.Mol, smiles: str) -> Chem.Mol:
    """The molecule with every stereo element specified.

    RDKit's candidates include centres that symmetry or the rings leave no choice about (cubane,
    norbornane); only a molecule of which a second stereoisomer can be embedded is left open.
    """
    unspecified = Chem.StereoSpecified.Unspecified
    candidates = [s for s in Chem.FindPotentialStereo(mol) if s.specified == unspecified]
    if not candidates:
        return mol
    options = StereoEnumerationOptions(  # type: ignore[no-untyped-call]
        tryEmbedding=True, unique=True, onlyUnassigned=True
    )
    with rdBase.BlockLogs():
        found = EnumerateStereoisomers(mol, options=options)  # type: ignore[no-untyped-call]
        isomers = list(islice(found, 2))
    if len(isomers) > 1:
        raise MoleculeError(
            f"{smiles} leaves the stereochemistry of {_place(mol, candidates[0])} open: specify "
            "it with @ or @@ at atoms, / and \\ at double bonds."
        )
    return isomers[0] if isomers else mol


def _place(mol: Chem.Mol, candidate: Chem.StereoInfo) -> str:
    if candidate.type == Chem.StereoType.Atom_Tetrahedral:
        atom = mol.GetAtomWithIdx(candidate.centeredOn)
        return f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()})"
    bond = mol.GetBondWithIdx(candidate.centeredOn)
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    return "the bond " + "-".join(f"{end.GetSymbol()}{end.GetIdx() + 1}" for end in ends)

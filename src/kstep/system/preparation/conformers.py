"""Conformers: ETKDGv3, then a minimum of MMFF94, or of UFF where MMFF94 has no parameters.

ETKDGv3: Wang et al., J. Chem. Inf. Model. 60, 2044 (2020).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem, rdDistGeom, rdForceFieldHelpers, rdMolAlign

from kstep.errors import MoleculeError
from kstep.system.molecule import Molecule
from kstep.system.preparation.geometry import fault, pairs
from kstep.units import ANGSTROM_PER_NM, NM_PER_ANGSTROM

MINIMISER_ITERATIONS: Final = 20_000

CANDIDATES: Final = 5
"""Conformers embedded for each that is asked for: most fall into a minimum that is there."""

_Chirality = Chem.ChiralType
_ARRANGEMENTS: Final = {
    5: (_Chirality.CHI_TRIGONALBIPYRAMIDAL, 7),
    6: (_Chirality.CHI_OCTAHEDRAL, 1),
}
"""By number of electron pairs, with the permutation that has lone pairs on the equator."""

SYMMETRIC_MATCHES: Final = 1000
"""Ways to map a molecule onto itself that are tried to find the smallest RMSD."""


@dataclass(frozen=True)
class Conformer:
    """A molecule with hydrogens and one minimised conformer.

    Attributes:
        mol: RDKit molecule; heavy atoms first, then hydrogens; coordinates in Å.
        minimiser: potential of the minimisation, `MMFF94`, `UFF` or that of the configuration;
            `none` where the former two would make another molecule of it.
    """

    mol: Chem.Mol
    minimiser: str

    @property
    def x(self) -> Float[np.ndarray, "N 3"]:
        """Its coordinates, nm."""
        return np.asarray(NM_PER_ANGSTROM * self.mol.GetConformer().GetPositions())


def embed(mol: Chem.Mol, seed: int) -> Conformer:
    """Add hydrogens, embed and minimise; the same seed gives the same coordinates.

    Raises MoleculeError when no conformer is found or neither force field can minimise it.
    """
    full = Chem.AddHs(mol)
    _embed_one(full, seed)
    embedded = Chem.Mol(full)
    minimiser = _minimise(full)
    if _is_sound(full) or not _is_sound(embedded):
        return Conformer(full, minimiser)
    return Conformer(embedded, "none")


def _embed_one(mol: Chem.Mol, seed: int) -> None:
    """Give a molecule with hydrogens one conformer.

    Around an atom of five or six electron pairs ETKDGv3 knows where they go only if it is told.
    """
    crowded = [atom for atom in mol.GetAtoms() if atom.GetDegree() > 1 and pairs(atom) > 4]
    for atom in crowded:
        tag, permutation = _ARRANGEMENTS.get(int(pairs(atom)), (_Chirality.CHI_UNSPECIFIED, 0))
        atom.SetChiralTag(tag)
        atom.SetIntProp("_chiralPermutation", permutation)
    _embed(mol, CANDIDATES if crowded else 1, seed)
    numbers = [conformer.GetId() for conformer in mol.GetConformers()]
    chosen = next((number for number in numbers if _is_sound(mol, number)), numbers[0])
    for atom in crowded:
        atom.SetChiralTag(_Chirality.CHI_UNSPECIFIED)
        atom.ClearProp("_chiralPermutation")
    for number in numbers:
        if number != chosen:
            mol.RemoveConformer(number)


def _is_sound(mol: Chem.Mol, number: int = -1) -> bool:
    return fault(mol, mol.GetConformer(number).GetPositions()) is None


def conformers(
    molecule: Molecule, count: int, seed: int = 42, least_rmsd: float = 0.05
) -> Float[np.ndarray, "K N 3"]:
    """Minimised conformers that differ, the most stable first.

    The same seed gives the same ones.

    Args:
        molecule: one whose SMILES is known; its positions decide the stereoisomer.
        count: how many at most; a stiff molecule has fewer.
        seed: of the embedding.
        least_rmsd: nm; of heavy atoms, after the best superposition by symmetry, between any two.

    Returns them in nm, in the molecule's order of atoms.

    Raises MoleculeError without a SMILES, and when there is no conformer.
    """
    mol = _as_rdkit(molecule)
    _embed(mol, CANDIDATES * count, seed)
    energies = _energies(mol)
    heavy = Chem.RemoveHs(mol)
    kept: list[int] = []
    for candidate in sorted(energies, key=energies.__getitem__):
        far = all(_rmsd(heavy, candidate, other) > least_rmsd for other in kept)
        if far and _is_sound(mol, candidate):
            kept.append(candidate)
        if len(kept) == count:
            break
    if not kept:
        raise MoleculeError(f"{molecule.name}: no conformer is sound: leave it out.")
    return NM_PER_ANGSTROM * np.stack([mol.GetConformer(one).GetPositions() for one in kept])


def _embed(mol: Chem.Mol, count: int, seed: int) -> None:
    """Give a molecule with hydrogens up to `count` conformers, at least one."""
    parameters: Any = rdDistGeom.ETKDGv3()  # Any: RDKit's stubs give its properties wrong types
    parameters.randomSeed = seed
    with rdBase.BlockLogs():
        if len(rdDistGeom.EmbedMultipleConfs(mol, count, parameters)) > 0:
            return
        parameters.useRandomCoords = True  # the remedy for crowded, caged and large molecules
        if len(rdDistGeom.EmbedMultipleConfs(mol, count, parameters)) > 0:
            return
    raise MoleculeError(
        f"{_smiles(mol)} has no conformer that ETKDGv3 can find: check its stereochemistry and "
        "ring strain."
    )


def _minimise(mol: Chem.Mol) -> str:
    """Minimise all conformers of a molecule; returns by which force field."""
    minimiser, found = _optimise(mol)
    if any(status != 0 for status, _ in found):
        raise MoleculeError(
            f"{_smiles(mol)} could not be minimised with {minimiser}: try another prep.seed."
        )
    return minimiser


def _energies(mol: Chem.Mol) -> dict[int, float]:
    """Minimise all conformers; energies, kcal/mol, of those that converged, by their number."""
    _, found = _optimise(mol)
    numbers = [conformer.GetId() for conformer in mol.GetConformers()]
    return {n: energy for n, (status, energy) in zip(numbers, found, strict=True) if status == 0}


def _optimise(mol: Chem.Mol) -> tuple[str, list[tuple[int, float]]]:
    """The force field, and (status, energy) of every conformer."""
    fields, most = rdForceFieldHelpers, MINIMISER_ITERATIONS
    with rdBase.BlockLogs():
        if fields.MMFFHasAllMoleculeParams(mol):
            return "MMFF94", list(fields.MMFFOptimizeMoleculeConfs(mol, maxIters=most))
        if fields.UFFHasAllMoleculeParams(mol):
            return "UFF", list(fields.UFFOptimizeMoleculeConfs(mol, maxIters=most))
    raise MoleculeError(
        f"{_smiles(mol)} has atoms that neither MMFF94 nor UFF knows: leave it out."
    )


def _as_rdkit(molecule: Molecule) -> Chem.Mol:
    """An RDKit molecule in the order of the atoms given, its stereochemistry from the positions."""
    if not molecule.smiles:
        raise MoleculeError(
            f"{molecule.name} has no SMILES to make conformers of: use Molecule.from_smiles."
        )
    graph = Chem.RWMol()
    for number in molecule.numbers.tolist():
        atom = Chem.Atom(number)
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for first, second in molecule.bonds.tolist():
        graph.AddBond(first, second, Chem.BondType.SINGLE)
    conformer = Chem.Conformer(molecule.n_atoms)
    conformer.SetPositions(ANGSTROM_PER_NM * molecule.positions)
    graph.AddConformer(conformer)
    with rdBase.BlockLogs():
        template = Chem.AddHs(Chem.MolFromSmiles(molecule.smiles))
        mol: Chem.Mol = AllChem.AssignBondOrdersFromTemplate(  # type: ignore[no-untyped-call]
            template, graph.GetMol()
        )
    Chem.AssignStereochemistryFrom3D(mol)
    return mol


def _rmsd(heavy: Chem.Mol, first: int, second: int) -> float:
    """nm, after the best superposition by symmetry."""
    best = rdMolAlign.GetBestRMS(heavy, heavy, first, second, maxMatches=SYMMETRIC_MATCHES)
    return float(NM_PER_ANGSTROM * best)


def _smiles(mol: Chem.Mol) -> str:
    return str(Chem.MolToSmiles(Chem.RemoveHs(mol)))

"""What a list of molecules covers: sizes, functional groups, rings, rotors, elements, diversity.

    python benchmarks/molecule_list.py data/molecules_large.smi --against data/molecules.smi

Every line goes through the tool's own reader and checks; a bad one ends the script. Similarity
is Tanimoto's between Morgan fingerprints of radius 2, of each molecule and its nearest neighbour.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import Fragments, rdMolDescriptors
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from kstep.config import load_config
from kstep.errors import MoleculeError
from kstep.system.names import SAFE_NAME
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.smiles_list import read_smiles_list

SMARTS = {
    "alkene": "[C;!$(C~[!#6;!F;!Cl])]=[C;!$(C~[!#6;!F;!Cl])]",
    "alkyne": "C#C",
    "fused aromatic": "c1:a:a:a:2:a(:a1):a:a:a2",
    "pyrrole": "[#6]1~[#6]~[#6]~[#6]~[nR1]1",
    "pyrazole": "c1ccn[n]1",
    "isoxazole": "c1cno[c]1",
    "oxadiazole": "[o;r5;$(o1cnnc1),$(o1ncnc1)]",
    "thiadiazole": "[s;r5;$(s1cnnc1),$(s1ncnc1),$(s1nccn1)]",
    "triazole": "[$([n;r5]1[n;r5][n;r5]cc1),$([n;r5]1c[n;r5]c[n;r5]1)]",
    "pyrimidine": "c1cncnc1",
    "pyrazine": "c1cnccn1",
    "pyridazine": "c1ccnnc1",
    "triazine": "[$(c1ncncn1),$(c1nncnc1)]",
    "indole": "c1ccc2[#7]~[#6]~[#6]c2c1",
    "benzimidazole": "c1ccc2ncnc2c1",
    "quinoline": "[$(c1ccc2ncccc2c1),$(c1ccc2cnccc2c1)]",
    "purine": "c12ncnc1ncnc2",
    "nucleobase": "O=c1ccnc(=O)n1",
    "pyrrolidine": "[CX4]1[CX4][CX4][CX4]N1",
    "tetrahydrofuran": "[CX4]1[CX4][CX4][CX4]O1",
    "pyran": "[$([#6]1~[#6]~[#6]~[#6]~[#6]~[#8;R]1)]",
    "dioxane": "[$(O1CCOCC1),$(O1COCCC1)]",
    "disulfide": "[#16X2][#16X2]",
    "sulfoxide": "[SX3](=O)([#6])[#6]",
    "ether": "[OX2;!$(OC=[O,S])]([CX4,c;!$(C(O)O)])[CX4,c,$(C=C)]",
    "lactam": "[NX3;R][CX3;R](=O)[#6;R]",
    "carbamate": "[NX3]C(=O)[OX2]",
    "thiourea": "[#7][#6](=S)[#7]",
    "thioamide": "[NX3]C(=S)[#6]",
    "amidine": "[NX3][$([CX3H1]),$([CX3][#6])]=[NX2]",
    "imine": "[$([CX3H1][#6]),$([CX3]([#6])[#6])]=[NX2][#6]",
    "hydrazide": "[NX3][NX3]C=O",
    "hydroxamic acid": "[#7]([#6](=O))[OX2]",
    "primary amine": "[NX3H2;$(N[CX4])]",
    "secondary amine": "[NX3H1]([CX4])[CX4]",
    "tertiary amine": "[NX3]([CX4])([CX4])[CX4]",
    "aziridine": "C1CN1",
    "acetal": "[CX4]([OX2])[OX2]",
    "enone": "[#6]=[#6][#6](=O)[#6]",
    "styrene": "cC=C",
    "biaryl": "a-!@a",
    "alkyl fluoride": "[CX4]F",
    "alkyl chloride": "[CX4]Cl",
    "aryl fluoride": "cF",
    "aryl chloride": "cCl",
    "trifluoromethyl": "C(F)(F)F",
    "peptide": "[CX3](=O)[NX3][CX4][CX3](=O)[NX3]",
    "vicinal polyol": "[OX2H][CX4][CX4]([OX2H])[CX4][OX2H]",
}
"""Groups that rdkit.Chem.Fragments lacks or draws wider than a chemist would."""

FRAGMENTS = {
    "benzene": Fragments.fr_benzene,
    "furan": Fragments.fr_furan,
    "thiophene": Fragments.fr_thiophene,
    "imidazole": Fragments.fr_imidazole,
    "oxazole": Fragments.fr_oxazole,
    "thiazole": Fragments.fr_thiazole,
    "tetrazole": Fragments.fr_tetrazole,
    "pyridine": Fragments.fr_pyridine,
    "piperidine": Fragments.fr_piperdine,
    "piperazine": Fragments.fr_piperzine,
    "morpholine": Fragments.fr_morpholine,
    "thioether": Fragments.fr_sulfide,
    "thiol": Fragments.fr_SH,
    "sulfone": Fragments.fr_sulfone,
    "sulfonamide": Fragments.fr_sulfonamd,
    "alcohol": Fragments.fr_Al_OH,
    "phenol": Fragments.fr_Ar_OH,
    "aldehyde": Fragments.fr_aldehyde,
    "ketone": Fragments.fr_ketone,
    "carboxylic acid": Fragments.fr_COO,
    "ester": Fragments.fr_ester,
    "lactone": Fragments.fr_lactone,
    "amide": Fragments.fr_amide,
    "imide": Fragments.fr_imide,
    "urea": Fragments.fr_urea,
    "guanidine": Fragments.fr_guanido,
    "nitrile": Fragments.fr_nitrile,
    "aniline": Fragments.fr_aniline,
    "hydrazine": Fragments.fr_hdrzine,
    "oxime": Fragments.fr_oxime,
    "epoxide": Fragments.fr_epoxide,
    "nitro": Fragments.fr_nitro,
}

COLUMNS = 4


def groups() -> dict[str, Callable[[Chem.Mol], int]]:
    """How often a molecule has each functional group, by the group's name."""
    counters: dict[str, Callable[[Chem.Mol], int]] = dict(FRAGMENTS)
    for name, smarts in SMARTS.items():
        counters[name] = partial(_matches, Chem.MolFromSmarts(smarts))
    counters["bridged"] = rdMolDescriptors.CalcNumBridgeheadAtoms
    counters["spiro"] = rdMolDescriptors.CalcNumSpiroAtoms
    counters["hydrocarbon"] = lambda mol: all(a.GetAtomicNum() == 6 for a in mol.GetAtoms())
    return dict(sorted(counters.items()))


def read(path: Path) -> list[Chem.Mol]:
    """The molecules of a list, hydrogens explicit; MoleculeError for the first bad line."""
    limit = load_config([], []).prep.max_heavy_atoms
    lines: dict[str, int] = {}
    molecules = []
    for entry in read_smiles_list(path):
        try:
            mol = parse(entry.smiles, limit)
        except MoleculeError as error:
            raise MoleculeError(f"{path}, line {entry.line}: {error}") from None
        name = entry.name or ""
        if not SAFE_NAME.fullmatch(name):
            raise MoleculeError(
                f"{path}, line {entry.line}: '{entry.text}' has no name that can name files: use "
                "letters, digits, '-' and '_'."
            )
        for key in (Chem.MolToSmiles(mol), f"the name {name.casefold()}"):
            if key in lines:
                raise MoleculeError(
                    f"{path}, line {entry.line}: {key} is on line {lines[key]} already: remove one."
                )
            lines[key] = entry.line
        molecules.append(Chem.AddHs(mol))
    return molecules


def report(molecules: list[Chem.Mol], against: list[Chem.Mol]) -> None:
    atoms = [mol.GetNumAtoms() for mol in molecules]
    print(f"{len(molecules)} molecules of {min(atoms)} to {max(atoms)} atoms, ", end="")
    print(f"{np.mean(atoms):.1f} on average (heavy: {_heavy(molecules)})")
    heavy = [Chem.RemoveHs(mol) for mol in molecules]
    _table("group", {name: sum(count(m) > 0 for m in heavy) for name, count in groups().items()})
    _table("ring of", _counted({len(ring) for ring in m.GetRingInfo().AtomRings()} for m in heavy))
    _table("rotors", _counted({rdMolDescriptors.CalcNumRotatableBonds(m)} for m in heavy))
    _table("element", _counted({atom.GetSymbol() for atom in m.GetAtoms()} for m in molecules))
    print("\nsimilarity to the nearest  min   25 %   50 %   75 %    max")
    prints = _fingerprints(heavy)
    within = [_nearest(one, prints[:i] + prints[i + 1 :]) for i, one in enumerate(prints)]
    _quantiles("within the list", within)
    if against:
        foreign = _fingerprints([Chem.RemoveHs(mol) for mol in against])
        _quantiles("of --against", [_nearest(one, prints) for one in foreign])


def _matches(pattern: Chem.Mol, mol: Chem.Mol) -> int:
    return len(mol.GetSubstructMatches(pattern))


def _heavy(molecules: list[Chem.Mol]) -> str:
    counts = [mol.GetNumHeavyAtoms() for mol in molecules]
    return f"{min(counts)} to {max(counts)}, {np.mean(counts):.1f} on average"


def _counted(sets: Iterable[set[int] | set[str]]) -> dict[str, int]:
    """Molecules that have each item."""
    counts = Counter(item for items in sets for item in items)
    return {str(item): counts[item] for item in sorted(counts)}


def _table(heading: str, counts: dict[str, int]) -> None:
    print(f"\nmolecules by {heading}")
    cells = [f"{name:<16} {count:>4}" for name, count in counts.items()]
    rows = -(-len(cells) // COLUMNS)
    for row in range(rows):
        print("    ".join(cells[row::rows]))


def _fingerprints(molecules: list[Chem.Mol]) -> list[DataStructs.ExplicitBitVect]:
    morgan = GetMorganGenerator(radius=2)
    return [morgan.GetFingerprint(mol) for mol in molecules]


def _nearest(one: DataStructs.ExplicitBitVect, others: list[DataStructs.ExplicitBitVect]) -> float:
    return max(DataStructs.BulkTanimotoSimilarity(one, others))


def _quantiles(label: str, similarities: list[float]) -> None:
    values = np.quantile(similarities, (0.0, 0.25, 0.5, 0.75, 1.0))
    print(f"{label:<24}" + "  ".join(f"{value:5.2f}" for value in values))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="What a list of molecules covers.")
    parser.add_argument("smiles_list", type=Path)
    parser.add_argument("--against", type=Path, help="a second list, such as the held-out one")
    options = parser.parse_args(arguments)
    try:
        molecules = read(options.smiles_list)
        against = read(options.against) if options.against else []
    except MoleculeError as error:
        sys.exit(str(error))
    report(molecules, against)


if __name__ == "__main__":
    main(sys.argv[1:])

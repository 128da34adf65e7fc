"""The stage: a SMILES list in, one folder per molecule out."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from tqdm import tqdm

from kstep.artifacts import hash_bytes
from kstep.config import Config
from kstep.errors import ConfigError, KstepError, MoleculeError, PotentialError
from kstep.progress import progress
from kstep.system.names import check_name
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.notation import identity
from kstep.system.preparation.smiles_list import Entry, read_smiles_list
from kstep.system.prepared import PreparedMolecule, load_molecule, write_index
from kstep.workflow.prep.folder import Request, is_current, make


@dataclass(frozen=True)
class Failure:
    """A line of the list that gave no molecule.

    Attributes:
        line: its number, from 1.
        text: the line.
        reason: one sentence: what is wrong and what to do.
    """

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """What became of a list: its molecules, in order, and the lines that failed."""

    molecules: list[PreparedMolecule]
    failures: list[Failure]


def run(config: Config, smiles_list: Path) -> Prepared:
    """Prepare every molecule of a list below `<paths.data>/raw`.

    A line that fails is reported on standard error, and the others go on; `raw/index.json`
    lists both. A molecule that is already there, made from the same SMILES with the same settings
    and unchanged since, is not made again. Folders of molecules not on the list
    are left alone, and later stages pass them over.

    Raises MoleculeError when the list cannot be read or none of its molecules could be
    prepared, ConfigError when the force field, charge model or potential does not exist.
    """
    if config.potential.name == "system":
        raise ConfigError(
            "potential.name=system leaves nothing to prepare: give the System with `kstep run "
            "--system XML --topology PDB`."
        )
    raw = config.paths.data / "raw"
    entries = read_smiles_list(smiles_list)
    requests, failures = _check(entries, config)
    molecules: list[PreparedMolecule] = []
    with progress("prep", float(len(requests)), "molecules") as bar:
        for request in requests:
            try:
                molecules.append(_prepare(request, raw / request.name, config))
            except (MoleculeError, PotentialError) as error:
                failures.append(_failure(request.entry, error))
            bar.update(1)
    failures.sort(key=lambda failure: failure.line)
    for failure in failures:
        _say(f"warning: {smiles_list}, line {failure.line}: {failure.reason}")
    write_index(
        raw,
        [molecule.name for molecule in molecules],
        [asdict(failure) for failure in failures],
    )
    if not molecules:
        raise MoleculeError(
            f"none of the {len(entries)} molecules of {smiles_list} could be prepared: "
            "correct the lines reported above."
        )
    return Prepared(molecules, failures)


def _check(entries: list[Entry], config: Config) -> tuple[list[Request], list[Failure]]:
    """The lines that make sense, checked together so that duplicates show, and the others."""
    requests: list[Request] = []
    failures: list[Failure] = []
    for entry in entries:
        try:
            requests.append(_request(entry, requests, config))
        except MoleculeError as error:
            failures.append(_failure(entry, error))
    return requests, failures


def _request(entry: Entry, earlier: list[Request], config: Config) -> Request:
    if entry.name is not None:
        check_name(entry.name)
    mol = parse(entry.smiles, config.prep.max_heavy_atoms)
    smiles = Chem.MolToSmiles(mol)
    name = entry.name or f"{CalcMolFormula(mol)}-{hash_bytes(smiles.encode())[:8]}"
    for other in earlier:
        if identity(other.mol) == identity(mol):
            raise MoleculeError(
                f"{entry.smiles} is the molecule of line {other.entry.line} again: remove one."
            )
        if other.name.casefold() == name.casefold():  # one folder where case does not count
            raise MoleculeError(
                f"the name {name} is taken by line {other.entry.line}: choose another."
            )
    return Request(entry, mol, name, smiles)


def _prepare(request: Request, directory: Path, config: Config) -> PreparedMolecule:
    if not is_current(directory, request, config):
        make(directory, request, config)
    molecule = load_molecule(directory)
    for remark in molecule.manifest["remarks"]:
        _say(f"{molecule.name}: {remark}")
    return molecule


def _failure(entry: Entry, error: KstepError) -> Failure:
    return Failure(entry.line, entry.text, str(error))


def _say(sentence: str) -> None:
    tqdm.write(sentence, file=sys.stderr)

"""The folder of one prepared molecule: making it, and knowing whether it is still good.

The manifest is written last and holds the hashes of the other files, so a folder that was cut
short, or mixed from two attempts, never passes for a whole one.
"""

import io
import re
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import openmm
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from kstep import __version__
from kstep.artifacts import Record, hash_bytes, hash_config, hash_file, write_json, write_text
from kstep.config import Config
from kstep.errors import KstepError
from kstep.potentials import programs
from kstep.system.preparation.assembly import assemble, check_geometry, remarks_on_planes
from kstep.system.preparation.chemistry import remarks_on
from kstep.system.preparation.conformers import Conformer, embed
from kstep.system.preparation.smiles_list import Entry
from kstep.system.prepared import describe, load_molecule
from kstep.workflow.prep.settling import settle

FILES = ("molecule.pdb", "molecule.sdf", "system.xml")
PROGRAMS = re.compile(r"(openmm|rdkit|torch|.*openff.*|.*openforcefield.*)", re.IGNORECASE)
"""Distributions whose versions decide the outcome, by any packager's name."""

_FORMER_LIMIT = 30
"""Heavy atoms: prep.max_heavy_atoms, when it was part of every hash."""


@dataclass(frozen=True)
class Request:
    """A line of the list that makes sense.

    Attributes:
        entry: the line.
        mol: the molecule it describes.
        name: the name it will have.
        smiles: its canonical isomeric SMILES.
    """

    entry: Entry
    mol: Chem.Mol
    name: str
    smiles: str


def is_current(directory: Path, request: Request, config: Config) -> bool:
    """Whether the folder holds this molecule, made with these settings and unchanged since."""
    try:
        manifest = load_molecule(directory).manifest
    except (KstepError, KeyError, TypeError, ValueError):  # absent, cut short or damaged
        return False
    expected = {"name": request.name, "input_smiles": request.entry.smiles,
                "smiles": request.smiles, "config_hash": settings_hash(config)}  # fmt: skip
    return expected.items() <= manifest.items()


def settings_hash(config: Config) -> str:
    """Hash of the settings that decide what a molecule becomes."""
    # Molecules made before there were other masses and potentials stay current.
    natural = config.prep.hydrogen_mass is None
    # What limit a molecule is under changes nothing of it, whatever the limit was then.
    own = config.prep.model_copy(update={"molecules": None, "max_heavy_atoms": _FORMER_LIMIT})
    settings = hash_config(own, exclude={"hydrogen_mass"} if natural else frozenset())
    if config.potential.name == "openff":
        return settings
    return hash_bytes(f"{settings} {config.potential.identity}".encode())


def make(directory: Path, request: Request, config: Config) -> None:
    """Make the folder of one molecule: conformer, parameters, files, manifest.

    The force field's terms are written for every potential: they are what a network sees of a
    molecule. For a Python potential conformer and constrained lengths are those of its minimum.

    Raises MoleculeError when the molecule has no conformer, no parameters or no minimum,
    ConfigError when the potential's program is not there.
    """
    # Here and not above: OpenFF takes seconds to import, and a finished list does not need it.
    from kstep.system.preparation.parameters import parametrise

    prep, potential = config.prep, config.potential
    conformer = embed(request.mol, prep.seed)
    parametrised = parametrise(conformer.mol, prep)
    system = parametrised.system
    if potential.is_python:
        conformer = settle(conformer, system, potential, request.name)
        odd = remarks_on_planes(conformer, conformer.x, potential.name)
    else:
        odd = check_geometry(conformer, system, request.name)
    molecule = assemble(conformer, system, request.name, request.smiles, prep.hydrogen_mass)
    write_text(directory / "molecule.pdb", _pdb(parametrised.topology, conformer))
    write_text(directory / "molecule.sdf", _sdf(conformer, request.name))
    write_text(directory / "system.xml", openmm.XmlSerializer.serialize(system))
    written = request.entry.smiles
    own: Record = {
        "input_smiles": written,
        "charges_e": parametrised.charges.tolist(),
        "facts": _facts(conformer.mol),
        "conformer": {
            "embedding": "ETKDGv3",
            "seed": prep.seed,
            "minimiser": conformer.minimiser,
        },
        "remarks": [*_remarks_on_minimiser(conformer), *remarks_on(request.mol, written), *odd],
    }
    provenance: Record = {
        "config_hash": settings_hash(config),
        "config": prep.model_dump(mode="json", exclude={"molecules"}),
        "potential": potential.identity,
        "versions": {**_versions(), **programs(potential)},
        "hashes": {name: hash_file(directory / name) for name in FILES},
    }
    write_json(directory / "manifest.json", {**describe(molecule), **own, **provenance})


def _remarks_on_minimiser(conformer: Conformer) -> list[str]:
    if conformer.minimiser == "MMFF94":
        return []
    if conformer.minimiser == "none":
        return ["not minimised: force fields do not know an atom of it."]
    if conformer.minimiser == "UFF":
        return ["minimised with UFF: MMFF94 lacks parameters for it."]
    return [f"conformer and constrained lengths are of the {conformer.minimiser} minimum."]


def _facts(mol: Chem.Mol) -> Record:
    return {
        "formula": rdMolDescriptors.CalcMolFormula(mol),
        "heavy_atoms": mol.GetNumHeavyAtoms(),
        "rotatable_bonds": rdMolDescriptors.CalcNumRotatableBonds(mol),
        "aromatic_rings": rdMolDescriptors.CalcNumAromaticRings(mol),
        "hydrogen_bond_donors": rdMolDescriptors.CalcNumHBD(mol),
        "hydrogen_bond_acceptors": rdMolDescriptors.CalcNumHBA(mol),
    }


def _pdb(topology: app.Topology, conformer: Conformer) -> str:
    """PDB without the header, which would hold the date."""
    text = io.StringIO()
    positions = conformer.mol.GetConformer().GetPositions() * unit.angstrom
    app.PDBFile.writeModel(topology, positions, text)
    app.PDBFile.writeFooter(topology, text)
    return text.getvalue()


def _sdf(conformer: Conformer, name: str) -> str:
    mol = Chem.Mol(conformer.mol)
    mol.SetProp("_Name", name)
    return f"{Chem.MolToMolBlock(mol)}$$$$\n"


def _versions() -> dict[str, str]:
    found = {dist.name: dist.version for dist in distributions() if PROGRAMS.fullmatch(dist.name)}
    return {**found, "kstep": __version__}

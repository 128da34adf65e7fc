"""The folder of a molecule that `kstep prep` did not make, as `kstep.system.molecule` reads it."""

import io
import re
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from kstep import __version__
from kstep.artifacts import hash_bytes, hash_file, write_bytes, write_json, write_text
from kstep.config import PotentialConfig
from kstep.interop.parts import Parts
from kstep.system.prepared import (
    SCHEMA,
    SCHEMA_VERSION,
    PreparedMolecule,
    load_molecule,
    write_index,
)

FILES = ("molecule.pdb", "system.xml")

_LONGEST_NAME = 64
_HASH_DIGITS = 8


def safe_name(path: Path) -> str:
    """A file's name without suffix, fit to name a folder."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)
    return safe.strip("_-")[:_LONGEST_NAME] or "external"


def molecule_name(topology: Path, system_xml: Path) -> str:
    """One name for all trajectories of one System, and another for every other System."""
    own = hash_bytes(system_xml.read_bytes() + topology.read_bytes())
    return f"{safe_name(topology)}_{own[:_HASH_DIGITS]}"


def write_molecule(
    raw: Path, name: str, parts: Parts, positions: np.ndarray, system_xml: Path
) -> PreparedMolecule:
    """Write `raw/<name>` with the only index entry of `raw`, and read it back.

    Args:
        raw: the folder of prepared molecules.
        name: of the molecule.
        parts: what it is.
        positions: of an energy minimum, nm [N, 3].
        system_xml: copied as it is.
    """
    directory = raw / name
    write_text(directory / "molecule.pdb", _pdb(parts, positions))
    write_bytes(directory / "system.xml", system_xml.read_bytes())
    write_json(
        directory / "manifest.json",
        {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "name": name,
            "smiles": "",
            "numbers": parts.numbers.tolist(),
            "masses_Da": parts.masses.tolist(),
            "positions_nm": positions.tolist(),
            "bonds": parts.bonds.tolist(),
            "constraints": parts.constraints.tolist(),
            "potential": PotentialConfig(name="system").identity,
            "remarks": ["not made by kstep prep: topology and System were given."],
            "hashes": {file: hash_file(directory / file) for file in FILES},
            "versions": {"kstep": __version__, "OpenMM": openmm.__version__},
        },
    )
    write_index(raw, [name], [])
    return load_molecule(directory)


def find_molecule(raw: Path, name: str) -> PreparedMolecule | None:
    """`raw/<name>` where an earlier call wrote it, made the only index entry of `raw`."""
    if not (raw / name / "manifest.json").is_file():  # written last
        return None
    write_index(raw, [name], [])
    return load_molecule(raw / name)


def _pdb(parts: Parts, positions: np.ndarray) -> str:
    """PDB without the header, which would hold the date."""
    topology = app.Topology()
    residue = topology.addResidue("MOL", topology.addChain("A"))
    atoms = [
        topology.addAtom(label, app.Element.getByAtomicNumber(int(number)), residue)
        for label, number in zip(parts.names, parts.numbers, strict=True)
    ]
    for first, second in parts.bonds:
        topology.addBond(atoms[first], atoms[second])
    text = io.StringIO()
    app.PDBFile.writeModel(topology, positions * unit.nanometer, text)
    app.PDBFile.writeFooter(topology, text)
    return text.getvalue()

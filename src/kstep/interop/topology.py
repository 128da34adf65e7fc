"""Topologies: elements, names, bonds and positions of the atoms, whatever the format."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import MDAnalysis
import numpy as np
from jaxtyping import Float, Int
from openmm import app

from kstep.errors import ArtifactError
from kstep.units import NM_PER_ANGSTROM


@dataclass(frozen=True, eq=False)
class Atoms:
    """What a topology says.

    Attributes:
        elements: of every atom, as OpenMM has them.
        names: of the atoms.
        bonds: pairs of atom indices [B, 2].
        positions: nm [N, 3], None where there are none.
    """

    elements: list[app.Element]
    names: list[str]
    bonds: Int[np.ndarray, "B 2"]
    positions: Float[np.ndarray, "N 3"] | None


def read_topology(path: Path) -> Atoms:
    """Read any topology that MDAnalysis reads.

    Raises ArtifactError when it cannot, and where an atom has no element.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: give a topology, for example a PDB file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = MDAnalysis.Universe(str(path)).atoms
    except Exception:  # every parser of MDAnalysis fails in its own way
        atoms = ()
    if not len(atoms):
        raise ArtifactError(
            f"{path} cannot be read as a topology: give a PDB file with elements and CONECT lines."
        )
    try:
        elements = [_element(*pair) for pair in zip(atoms.elements, atoms.types, strict=True)]
    except (MDAnalysis.NoDataError, KeyError):
        raise ArtifactError(
            f"{path} does not name the element of every atom: write them (columns 77-78 of a PDB)."
        ) from None
    bonds = np.array(atoms.bonds.indices if hasattr(atoms, "bonds") else [], dtype=np.int64)
    try:
        positions = NM_PER_ANGSTROM * np.asarray(atoms.positions, dtype=np.float64)
    except MDAnalysis.NoDataError:
        positions = None
    return Atoms(elements, list(atoms.names), bonds.reshape(-1, 2), positions)


def read_positions(topology: Path) -> Float[np.ndarray, "N 3"]:
    """The positions in a topology, nm.

    Raises ArtifactError as `read_topology`, and when it holds none.
    """
    positions = read_topology(topology).positions
    if positions is None:
        raise ArtifactError(f"{topology} holds no positions: give a PDB file.")
    return positions


def _element(name: str, written: str) -> app.Element:
    """An element; MDAnalysis leaves out deuterium and keeps the word only."""
    return app.Element.getBySymbol(name or (written if written.upper() == "D" else ""))

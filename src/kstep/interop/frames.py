"""Frames with energies and weights in the formats that other programs read: XTC, extxyz, SDF.

A weight is how much a frame counts in an average; frames of one ensemble all count the same.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from MDAnalysis.lib.formats.libmdaxdr import XTCFile

from kstep.artifacts import write_bytes, write_text
from kstep.errors import ArtifactError
from kstep.system.molecule import Molecule, symbol
from kstep.units import ANGSTROM_PER_NM, MEV_PER_KJ_PER_MOL

Frames = Float[np.ndarray, "T N 3"]
PerFrame = Float[np.ndarray, " T"]

XTC_PRECISION = 1e4
"""Steps per nm: the usual 1000 is too coarse to compute energies of the frames again."""

_EV_PER_KJ_PER_MOL = MEV_PER_KJ_PER_MOL / 1000.0

_ATOMS_LINE = 4
"""Of a mol block: three titles and the counts come before the atoms."""

_COORDINATES = 30
"""Columns of an atom's line that hold its place."""


def write_xtc(path: Path, pos: Frames, times: PerFrame) -> None:
    """Positions (nm) and times (ps) as XTC, to 0.0001 nm; it holds neither energies nor weights."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "frames.xtc"
        box = np.zeros((3, 3), dtype=np.float32)
        with XTCFile(str(written), "w") as file:
            for step, (x, time) in enumerate(zip(pos, times, strict=True)):
                file.write(x.astype(np.float32), box, step, float(time), XTC_PRECISION)
        write_bytes(path, written.read_bytes())


def write_extxyz(
    path: Path,
    molecule: Molecule,
    pos: Frames,
    energies: PerFrame | None = None,
    weights: PerFrame | None = None,
) -> None:
    """Positions (nm), potential energies (kJ/mol) and weights as extended XYZ: Å and eV in it.

    ASE reads them as `atoms.get_potential_energy()` and `atoms.info["weight"]`.
    """
    symbols = [symbol(int(number)) for number in molecule.numbers]
    lines: list[str] = []
    for index, x in enumerate(pos):
        header = 'Properties=species:S:1:pos:R:3 pbc="F F F"'
        if energies is not None:
            header += f" energy={energies[index] * _EV_PER_KJ_PER_MOL:.10f}"
        if weights is not None:
            header += f" weight={weights[index]:.10g}"
        lines += [str(len(symbols)), header]
        lines += [
            f"{name:2s} {a:15.8f} {b:15.8f} {c:15.8f}"
            for name, (a, b, c) in zip(symbols, ANGSTROM_PER_NM * x, strict=True)
        ]
    write_text(path, "\n".join([*lines, ""]))


def write_sdf(
    path: Path,
    template: str,
    pos: Frames,
    energies: PerFrame | None = None,
    weights: PerFrame | None = None,
) -> None:
    """Positions (nm), potential energies (kJ/mol) and weights as SDF, a record each frame.

    Args:
        path: to write.
        template: mol block or SDF of the molecule, whose bonds, charges and stereochemistry every
            record gets (`molecule.sdf` of a prepared molecule).
        pos: with the atoms in the template's order.
        energies: as the field `energy_kJ_per_mol`.
        weights: as the field `weight`.

    Raises ArtifactError for a template of another number of atoms.
    """
    block = template.split("M  END", 1)[0].splitlines()
    n_atoms = pos.shape[1]
    counts = block[_ATOMS_LINE - 1][:3] if len(block) >= _ATOMS_LINE else ""
    if not counts.strip().isdigit() or int(counts) != n_atoms:
        raise ArtifactError(
            f"the template of {path} is no mol block of {n_atoms} atoms: give the SDF of the "
            "molecule whose frames these are."
        )
    last = _ATOMS_LINE + n_atoms
    records: list[str] = []
    for index, x in enumerate(pos):
        atoms = [
            "".join(f"{value:10.4f}" for value in place) + line[_COORDINATES:]
            for place, line in zip(ANGSTROM_PER_NM * x, block[_ATOMS_LINE:last], strict=True)
        ]
        fields = {"energy_kJ_per_mol": energies, "weight": weights}
        records += [*block[:_ATOMS_LINE], *atoms, *block[last:], "M  END"]
        records += [*_fields(fields, index), "$$$$"]
    write_text(path, "\n".join([*records, ""]))


def _fields(values: Mapping[str, PerFrame | None], index: int) -> list[str]:
    lines: list[str] = []
    for name, of in values.items():
        if of is not None:
            lines += [f"> <{name}>", f"{of[index]:.10g}", ""]
    return lines

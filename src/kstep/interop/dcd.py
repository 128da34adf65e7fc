"""DCD files, in whose header programs write the time step in units of their own."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from MDAnalysis.lib.formats.libdcd import DCDFile

from kstep.errors import ArtifactError
from kstep.interop.precision import number_error
from kstep.interop.stretch import Stretch
from kstep.units import NM_PER_ANGSTROM, PS_PER_FS

_PS_PER_AKMA = 0.04888821
"""The unit of time of the format, in which kcal/mol = Da Å²: CHARMM, NAMD, OpenMM, MDAnalysis."""

_LONGEST_STEP_PS = 0.02
"""Longer time steps between atoms are another unit. LAMMPS writes its own: fs (units real) or ps
(metal), 0.5 or 0.0005; the two do not meet, for a step of 20 fs as of 0.02 fs is none."""

_HEADER_BYTES = 84
"""The first number of every DCD, in the byte order of all others."""


def read_dcd(path: Path) -> Stretch:
    """The frames of a DCD file and the time between them, where its header says it.

    Raises ArtifactError for a file that was cut short.
    """
    with DCDFile(str(path)) as file:
        header, xyz = file.header, file.readframes().xyz
    promised = _promised_frames(path)
    if promised > len(xyz):
        raise ArtifactError(
            f"{path} promises {promised} frames and holds {len(xyz)}: it was cut short; copy it "
            "again, or write what is there to a new file."
        )
    spacing, clock = _spacing(header)
    error = number_error(xyz, NM_PER_ANGSTROM)
    return Stretch(NM_PER_ANGSTROM * xyz.astype(np.float64), None, None, spacing, clock, error)


def _spacing(header: dict[str, Any]) -> tuple[float | None, str]:
    """Time between frames (ps), None where the header leaves it open; and how it says it."""
    delta, every = float(header["delta"]), int(header["nsavc"])
    titles = str(header["remarks"]).upper()
    if delta <= 0 or every <= 0:
        return None, "its header has no time step"
    said = f"time step {delta:.6g}, saved every {every} steps; the unit is "
    if "LAMMPS" in titles:
        unit, name = (1.0, "ps") if delta < _LONGEST_STEP_PS else (PS_PER_FS, "fs")
        return delta * every * unit, f"{said}{name}, for LAMMPS wrote it"
    if "CP2K" in titles:
        return delta * every * PS_PER_FS, f"{said}fs, for CP2K wrote it"
    if delta == 1 and every == 1:  # of programs that do not know it: VMD, MDTraj
        return None, "its header has a time step of 1 that means nothing"
    if every > 1 and delta * _PS_PER_AKMA > _LONGEST_STEP_PS:
        return None, (
            f"its header has a time step of {delta:.6g}, which is none in the unit of the "
            f"format ({delta * _PS_PER_AKMA / PS_PER_FS:.3g} fs)"
        )
    return delta * every * _PS_PER_AKMA, f"{said}{_PS_PER_AKMA:.4g} ps, the format's own"


def _promised_frames(path: Path) -> int:
    """What the header of a DCD says; the reader goes by the size of the file instead."""
    with path.open("rb") as stream:
        head = stream.read(16)
    order: Literal["little", "big"] = "little" if head[0] == _HEADER_BYTES else "big"
    start = head.index(b"CORD") + 4
    return int.from_bytes(head[start : start + 4], order, signed=True)

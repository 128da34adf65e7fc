"""Hybrid trajectories in the formats that viewers read."""

import io
from pathlib import Path

import numpy as np
from openmm import app, unit

from kstep.artifacts import write_bytes, write_text
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVT, Trajectory

_DCD_STAMP = slice(180, 260)


def write_dcd(path: Path, molecule: PreparedMolecule, trajectory: Trajectory) -> None:
    """The first NVT segment (or the first there is) as DCD, with the right times in it."""
    frames = _first_segment(trajectory)
    interval = float(trajectory.times[frames[0]])
    topology = app.PDBFile(str(molecule.pdb)).topology

    buffer = io.BytesIO()
    dcd = app.DCDFile(buffer, topology, interval * unit.picosecond, 1, 1)
    for frame in frames:
        dcd.writeModel(trajectory.pos[frame] * unit.nanometer)
    content = bytearray(buffer.getvalue())
    # OpenMM stamps the time of writing into the second title; equal runs must give equal bytes.
    content[_DCD_STAMP] = bytes(_DCD_STAMP.stop - _DCD_STAMP.start)
    write_bytes(path, bytes(content))


def write_pdb(path: Path, molecule: PreparedMolecule, trajectory: Trajectory) -> None:
    """The first frame as PDB: the topology that goes with the DCD."""
    pdb = app.PDBFile(str(molecule.pdb))
    positions = trajectory.pos[_first_segment(trajectory)[0]] * unit.nanometer
    text = io.StringIO()
    app.PDBFile.writeFile(pdb.topology, positions, text, keepIds=True)
    # The remark holds the day of writing.
    lines = [line for line in text.getvalue().splitlines() if not line.startswith("REMARK")]
    write_text(path, "\n".join(lines) + "\n")


def _first_segment(trajectory: Trajectory) -> np.ndarray:
    sampled = trajectory.segments(NVT)
    return sampled[0] if sampled else np.flatnonzero(trajectory.segment == 0)

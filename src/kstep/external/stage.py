"""From files of any program to what the md and eval stages read."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import openmm

from kstep.artifacts import exclusive
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.external.checks import check_atoms, check_frames, check_velocities, spacing_ps
from kstep.external.folder import write_molecule
from kstep.external.formats import Stretch, read
from kstep.external.parts import Parts, read_parts
from kstep.external.scoring import minimise, score
from kstep.molecule import Molecule
from kstep.trajectory import NVE, NVT

KINDS = {"nvt": NVT, "nve": NVE}

FEWEST_FRAMES = {"nvt": 20, "nve": 3}
"""Two for each block of a noise floor; a line through two points has no fluctuation about it."""

_LONGEST_NAME = 64
_SPACING_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Request:
    """A trajectory to judge.

    Attributes:
        trajectories: one or more files; each is a replica, or an NVE window.
        topology: atoms and bonds, for example a PDB file.
        system: the OpenMM System it was run with, serialised as XML.
        ensemble: "nvt": at constant temperature; "nve": at constant energy.
        frame_ps: time between frames, ps; None: as the files say.
    """

    trajectories: tuple[Path, ...]
    topology: Path
    system: Path
    ensemble: Literal["nvt", "nve"]
    frame_ps: float | None = None


def run(config: Config, request: Request) -> tuple[Config, Molecule]:
    """Make somebody's trajectory ready to be judged.

    Below `<paths.run>/external` it writes the molecule as `data/raw/<name>` and the trajectory,
    with the true potential energy of every frame, as `hybrid/<name>.npz`; the name is that of
    the first file. The trajectory is judged at the first of `hybrid.temperature_K`.

    Returns the configuration with which `kstep.md` runs the baseline and `kstep.evaluate` judges,
    and the molecule. Its System is used as it is: nothing is cut off, and the settings of
    constraints and solvent say what is in it.

    Raises ArtifactError for files that cannot be read, do not fit each other or cannot be what
    they are said to be.
    """
    temperature = config.hybrid.temperatures[0]
    _check_different(request.trajectories)
    parts = read_parts(request.topology, request.system)
    sources = _read_all(request, parts, temperature)
    spacing = _common_spacing(request, sources)
    root = config.paths.run / "external"
    with exclusive(root):
        name = _name_of(request.trajectories[0])
        own = _configure(config, root, parts, temperature)
        positions = minimise(parts.system, sources[0][1].pos[0], request.trajectories[0])
        molecule = write_molecule(own.paths.data / "raw", name, parts, positions, request.system)
        candidate = score(own, molecule, sources, KINDS[request.ensemble], spacing)
        candidate.save(own.paths.run / "hybrid" / f"{name}.npz")
    return own, molecule


def _check_different(trajectories: tuple[Path, ...]) -> None:
    seen: set[Path] = set()
    for path in trajectories:
        if path.resolve() in seen:
            raise ArtifactError(
                f"{path} is given twice: replicas must be independent, name every file once."
            )
        seen.add(path.resolve())


def _read_all(request: Request, parts: Parts, temperature: float) -> list[tuple[Path, Stretch]]:
    """Every stretch of every file, checked."""
    kind, fewest = KINDS[request.ensemble], FEWEST_FRAMES[request.ensemble]
    sources: list[tuple[Path, Stretch]] = []
    for path in request.trajectories:
        found = read(path, kind, temperature)
        if not found:
            raise ArtifactError(
                f"{path} holds no {request.ensemble.upper()} frames at {temperature:g} K: choose "
                "the other ensemble or another hybrid.temperature_K."
            )
        for stretch in found:
            check_atoms(path, stretch, parts, request.topology)
            check_frames(path, stretch, parts, fewest)
            check_velocities(path, stretch, parts, temperature)
            if stretch.vel is None and request.ensemble == "nve":
                raise ArtifactError(
                    f"{path} holds no velocities, and without them there is no total energy to "
                    "judge: save them (TRR, H5MD or NPZ), or judge it as nvt."
                )
            sources.append((path, stretch))
    measured = [stretch.vel is not None for _, stretch in sources]
    if any(measured) and not all(measured):
        path = sources[measured.index(False)][0]
        raise ArtifactError(
            f"{path} holds no velocities and others do: save them in all files or in none."
        )
    return sources


def _common_spacing(request: Request, sources: list[tuple[Path, Stretch]]) -> float:
    first_path, first = sources[0]
    spacing = spacing_ps(first_path, first.times, request.frame_ps)
    for path, stretch in sources[1:]:
        other = spacing_ps(path, stretch.times, request.frame_ps)
        if abs(other - spacing) > _SPACING_TOLERANCE * spacing:
            raise ArtifactError(
                f"{path} has a frame every {other:.4g} ps and {first_path} every {spacing:.4g} ps: "
                "save all at the same times."
            )
    return spacing


def _name_of(path: Path) -> str:
    """The file's name without suffix, fit to name a folder."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)
    return safe.strip("_-")[:_LONGEST_NAME] or "external"


def _configure(config: Config, root: Path, parts: Parts, temperature: float) -> Config:
    """The settings under which the baseline of this System is run, and all is judged."""
    bonded_hydrogen = bool((parts.numbers[parts.bonds] == 1).any())
    constrained = len(parts.constraints) > 0
    if constrained and not bonded_hydrogen:
        raise ArtifactError(
            "the System constrains bonds but has no hydrogen: make it without constraints."
        )
    solvated = any(isinstance(f, openmm.GBSAOBCForce) for f in parts.system.getForces())
    contents = {
        "constraints": "HBonds" if constrained else "None",
        "implicit_solvent": "OBC2" if solvated else "None",
    }
    md = {"temperature_K": temperature, "nonbonded_cutoff_nm": None, **contents}
    hybrid = {"temperature_K": temperature, "molecules": None}
    # Bursts are for training, and there is nothing to train.
    bursts = config.md.burst.model_copy(update={"count": 0})
    return config.model_copy(
        update={
            "paths": config.paths.model_copy(update={"data": root / "data", "run": root}),
            "prep": config.prep.model_copy(update=contents),
            "md": config.md.model_copy(update={**md, "burst": bursts}),
            "hybrid": config.hybrid.model_copy(update=hybrid),
        }
    )

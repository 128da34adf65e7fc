"""From files of any program to what the md and eval stages read."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kstep.artifacts import exclusive
from kstep.config import Config
from kstep.errors import ArtifactError, ConfigError
from kstep.interop.checks import check_atoms, check_frames, check_velocities
from kstep.interop.formats import read
from kstep.interop.parts import Parts, read_parts
from kstep.interop.precision import NOTABLE_NM
from kstep.interop.stretch import Stretch
from kstep.interop.timing import check_pace, each_once, frame_digests, spacing_ps
from kstep.system.motion import motion_of
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVE, NVT
from kstep.units import PS_PER_FS
from kstep.workflow.external.folder import molecule_name, safe_name
from kstep.workflow.external.given import Start, molecule_of, used_as_it_is
from kstep.workflow.external.scoring import Source, motion_in, score
from kstep.workflow.md.baseline import sampling_hash

LONGEST_BASELINE_DT_FS = 1.0
"""An external candidate is held against the limit of small steps, not against another error."""

DENSE_PS = 0.064
"""Time between the frames of densely saved NVE windows, at most: k = 16 steps of 4 fs, the farthest
apart that kstep saves its own. What is slower than 260 1/cm is then not folded."""

_SPACING_TOLERANCE = 1e-3

_HASH_DIGITS = 8


@dataclass(frozen=True)
class Ensemble:
    """How files of one sort were run.

    Attributes:
        kind: `kstep.system.trajectory.NVT` or `NVE`.
        label: for sentences.
        option: with which the command line sets the time between frames.
        fewest: frames a file must hold.
    """

    kind: int
    label: str
    option: str
    fewest: int


# Two frames for each block of an error, as the referee asks for, which this layer cannot import;
# a line through two points has no fluctuation about it.
_NVT = Ensemble(NVT, "NVT", "--frame-ps", fewest=16)
_NVE = Ensemble(NVE, "NVE", "--nve-frame-ps", fewest=3)


@dataclass(frozen=True)
class Request:
    """A trajectory to judge.

    Attributes:
        trajectories: files run at constant temperature, one or more; each is a replica.
        topology: atoms and bonds, for example a PDB file.
        system: the OpenMM System it was run with, serialised as XML.
        nve: files run at constant energy with the same integrator; each is a window.
        temperature: of the thermostat, K; None: the first of `hybrid.temperature_K`.
        frame_ps: time between frames of `trajectories`, ps; None: as the files say.
        nve_frame_ps: the same of `nve`.
    """

    trajectories: tuple[Path, ...]
    topology: Path
    system: Path
    nve: tuple[Path, ...] = ()
    temperature: float | None = None
    frame_ps: float | None = None
    nve_frame_ps: float | None = None


def run(config: Config, request: Request) -> tuple[Config, PreparedMolecule]:
    """Make somebody's trajectory ready to be judged.

    Below `<paths.run>/external` it writes the molecule as `data_<hash>/raw/<name>`, named after
    the baseline's settings and after topology and System, so that all candidates of one System and
    the same settings share a baseline; and the trajectory, with
    the true potential energy of every frame, as `<stem of the first file>/hybrid/<name>.npz`.
    NVE windows with frames at most `DENSE_PS` apart lie beside it a second time, as
    `<name>.motion.npz`, from which energies are regressed and spectra made.

    Returns the configuration with which `workflow.md` runs the baseline and `workflow.evaluate`
    judges, and the molecule. Its System is used as it is: nothing is cut off, and the settings of
    constraints and solvent say what is in it.

    Raises ArtifactError for files that cannot be read, do not fit each other or cannot be what
    they are said to be, ConfigError for a temperature that is none.
    """
    temperature = _temperature(config, request)
    parts = read_parts(request.topology, request.system)
    nvt = _read_all(request, parts, temperature, _NVT, request.trajectories, request.frame_ps)
    nve = _read_all(request, parts, temperature, _NVE, request.nve, request.nve_frame_ps)
    sources = [*nvt, *nve]
    _check_different(sources)
    _check_velocities_of_all(sources)
    root = config.paths.run / "external"
    dense_ps = nve[0].spacing if nve and nve[0].spacing <= DENSE_PS else None
    with exclusive(root):
        own = _configure(config, root, sources[0], parts, temperature, dense_ps)
        # As the first candidate of its System left it: a baseline belongs to it.
        name = molecule_name(request.topology, request.system)
        start = Start(sources[0].stretch.pos[0], sources[0].path)
        molecule = molecule_of(own.paths.data / "raw", name, parts, request.system, start)
        candidate = score(own, molecule, sources)
        target = own.paths.run / "hybrid" / f"{molecule.name}.npz"
        candidate.save(target)
        motion_of(target).unlink(missing_ok=True)  # of an earlier call with other windows
        if dense_ps is not None:
            steps = round(dense_ps / own.md.dt_ps)
            motion_in(candidate, steps * own.md.dt_ps).save(motion_of(target))
    return own, molecule


def _temperature(config: Config, request: Request) -> float:
    if request.temperature is None:
        return config.hybrid.temperatures[0]
    if not (np.isfinite(request.temperature) and request.temperature > 0):
        raise ConfigError(f"--temperature {request.temperature:g} is no temperature: give kelvins.")
    return request.temperature


def _read_all(
    request: Request,
    parts: Parts,
    temperature: float,
    ensemble: Ensemble,
    paths: Sequence[Path],
    frame_ps: float | None,
) -> list[Source]:
    """Every run in files of one ensemble, checked."""
    sources: list[Source] = []
    for path in paths:
        found = read(path, ensemble.kind, temperature)
        if not found:
            raise ArtifactError(
                f"{path} holds no {ensemble.label} frames at {temperature:g} K: give a file that "
                "does, or another --temperature."
            )
        for stretch in found:
            check_atoms(path, stretch, parts, request.topology)
            check_frames(path, stretch, parts, ensemble.fewest)
            check_velocities(path, stretch, parts, temperature)
            sources.append(_timed(path, stretch, parts, temperature, ensemble, frame_ps))
    for one in sources:
        if abs(one.spacing - sources[0].spacing) > _SPACING_TOLERANCE * sources[0].spacing:
            raise ArtifactError(
                f"{one.path} has a frame every {one.spacing:.4g} ps and {sources[0].path} every "
                f"{sources[0].spacing:.4g} ps: save all at the same times."
            )
    return sources


def _timed(
    path: Path,
    stretch: Stretch,
    parts: Parts,
    temperature: float,
    ensemble: Ensemble,
    frame_ps: float | None,
) -> Source:
    """A run with the time between its frames, each of them once; said on standard error."""
    kept, left_out = each_once(stretch)
    spacing = spacing_ps(path, kept, frame_ps, ensemble.option)
    doubt = check_pace(path, kept, parts, temperature, spacing, ensemble.option)
    if left_out:
        check_frames(path, kept, parts, ensemble.fewest)
    given = f"as {ensemble.option} says"
    clock = given if frame_ps is not None else kept.clock or "as its times say"
    sparse = ""
    if ensemble.kind == NVE and spacing > DENSE_PS:
        sparse = f"at most {DENSE_PS:g} ps are needed for spectra and the slope of energies"
    remarks = tuple(remark for remark in (clock, left_out, doubt, sparse) if remark)
    print(
        f"{path}: {len(kept.pos)} frames, one every {spacing:.4g} ps ({'; '.join(remarks)})",
        file=sys.stderr,
    )
    return Source(path, ensemble.kind, spacing, kept, remarks)


def _check_different(sources: Sequence[Source]) -> None:
    """Raise ArtifactError where two runs hold the same frames, but for one they both started from.

    Coarse coordinates can agree by chance: such runs are the same when all of them do.
    """
    digests = [set(frame_digests(one.stretch.pos)) for one in sources]
    for second, one in enumerate(sources):
        for first, other in enumerate(sources[:second]):
            shared = len(digests[first] & digests[second])
            coarse = max(one.stretch.error, other.stretch.error) >= NOTABLE_NM
            fewest = min(len(digests[first]), len(digests[second])) if coarse else 2
            if shared >= fewest:
                raise ArtifactError(
                    f"{one.path} holds the same frames as {other.path} ({shared} of "
                    f"{len(one.stretch.pos)}): runs must be independent, give every one once, and "
                    "a run that was restarted as one file."
                )


def _check_velocities_of_all(sources: Sequence[Source]) -> None:
    """Raise ArtifactError unless all hold velocities, or none does and none is NVE."""
    lacking = [one for one in sources if one.stretch.vel is None]
    if any(one.kind == NVE for one in lacking):
        path = next(one.path for one in lacking if one.kind == NVE)
        raise ArtifactError(
            f"{path} holds no velocities, and without them there is no total energy to judge: "
            "save them (TRR, H5MD or NPZ), or leave out --nve."
        )
    if lacking and len(lacking) < len(sources):
        raise ArtifactError(
            f"{lacking[0].path} holds no velocities and others do: save them in all files, or "
            "give only files without."
        )


def _base_step_fs(config: Config, dense_ps: float | None) -> float:
    """The baseline's time step: as short as configured, and a part of the time between frames.

    Dense windows are compared frame by frame; and who saves every 0.5 fs steps no farther.
    """
    longest = min(config.md.dt_fs, LONGEST_BASELINE_DT_FS)
    if dense_ps is None:
        return longest
    apart = float(f"{dense_ps / PS_PER_FS:.4g}")  # times in files have few digits
    return apart / math.ceil(apart / longest - _SPACING_TOLERANCE)


def _configure(
    config: Config,
    root: Path,
    first: Source,
    parts: Parts,
    temperature: float,
    dense_ps: float | None,
) -> Config:
    """The settings under which the baseline of this System is run, and all is judged."""
    own = used_as_it_is(config, parts)
    dt_fs = _base_step_fs(config, dense_ps)
    changes = {
        "temperature_K": temperature,
        "dt_fs": dt_fs,
        "save_interval_steps": round(config.md.save_interval_steps * config.md.dt_fs / dt_fs),
        # Bursts are for training, and there is nothing to train.
        "burst": config.md.burst.model_copy(update={"count": 0}),
    }
    md = own.md.model_copy(update=changes)
    # Other settings make another baseline, beside those that are there.
    data = root / f"data_{sampling_hash(md)[:_HASH_DIGITS]}"
    paths = config.paths.model_copy(update={"data": data, "run": root / safe_name(first.path)})
    hybrid = config.hybrid.model_copy(update={"temperature_K": temperature, "molecules": None})
    return own.model_copy(update={"paths": paths, "md": md, "hybrid": hybrid})

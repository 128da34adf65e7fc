"""What is scored: the two trajectories of a molecule, checked against it and each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.referee.metrics import Sampling
from kstep.referee.statistics.estimates import MIN_BLOCKS, equilibration
from kstep.system.motion import Motion, load_motion, motion_of
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVE, NVE_RESCALED, NVT, Trajectory, load_trajectory

MIN_NVT_FRAMES = 2 * MIN_BLOCKS
"""Two frames in each block of an error."""

MIN_WINDOW_FRAMES = 3
"""A line through two points has no fluctuation about it."""


@dataclass(frozen=True)
class Files:
    """Where the files of one molecule lie."""

    baseline: Path
    candidate: Path
    timing: Path
    map: Path
    basin_baseline: Path
    basin_candidate: Path
    controls: Path

    @property
    def present(self) -> list[Path]:
        """The files that exist; whatever else lies among the controls is none of them."""
        motions = [motion_of(path) for path in (self.baseline, self.candidate)]
        paths = (self.baseline, self.candidate, *motions, self.timing, self.map,
                 self.basin_baseline, self.basin_candidate)  # fmt: skip
        controls = (sorted(self.controls.glob(f"*{end}")) for end in (".npz", ".timing.json"))
        return [path for path in chain(paths, *controls) if path.is_file()]


def files_of(config: Config, name: str) -> Files:
    """The files that `md`, `run` and `controls` leave for a molecule."""
    hybrid = config.paths.run / "hybrid"
    return Files(
        baseline=config.paths.data / "md" / f"{name}.npz",
        candidate=hybrid / f"{name}.npz",
        timing=hybrid / f"{name}.timing.json",
        map=hybrid / f"{name}.map.npz",
        basin_baseline=hybrid / f"{name}.basin_baseline.npz",
        basin_candidate=hybrid / f"{name}.basin_hybrid.npz",
        controls=config.paths.data / "controls" / name,
    )


@dataclass(frozen=True, eq=False)
class Side:
    """One trajectory and the parts of it that are scored.

    Attributes:
        path: its file.
        trajectory: all of it.
        motion: densely saved NVE windows, where there are any.
        temperature: the one judged, K.
        nvt: frame indices in equilibrium of every constant-temperature run at that temperature.
        discarded_ps: simulated time left out before them, ps.
    """

    path: Path
    trajectory: Trajectory
    motion: Motion | None
    temperature: float
    nvt: list[np.ndarray]
    discarded_ps: float

    @property
    def is_dynamics(self) -> bool:
        """Whether constant-temperature frames follow one another as motion does.

        Not in generalised hybrid Monte Carlo, where every refused jump turns the velocities
        round: it promises averages and nothing of the way from one frame to the next.
        """
        return self.trajectory.record.get("ensemble") not in ("ghmc", "nested")

    @property
    def nve(self) -> list[np.ndarray]:
        """Frame indices of every NVE window."""
        return self.trajectory.segments(NVE, self.temperature)

    @property
    def rescaled(self) -> list[np.ndarray]:
        """Frame indices of every NVE window with velocities rescaled to the energy."""
        return self.trajectory.segments(NVE_RESCALED, self.temperature)

    @property
    def frames(self) -> np.ndarray:
        """All constant-temperature frames judged, in order."""
        return np.concatenate(self.nvt)

    @property
    def lengths(self) -> list[int]:
        """Frames of every constant-temperature run."""
        return [len(frames) for frames in self.nvt]

    @property
    def frame_ps(self) -> float:
        """Simulated time between frames, ps."""
        times = self.trajectory.times[max(self.nvt, key=len)]
        return float(np.median(np.diff(times)))

    @property
    def nvt_ps(self) -> float:
        """Simulated time of the frames judged, ps."""
        return sum(self.lengths) * self.frame_ps

    @property
    def nvt_calls(self) -> int:
        """Force calls of all constant-temperature runs judged, equilibration included.

        0 where nobody counted them: in a trajectory of another program.
        """
        return int(sum(self.trajectory.force_calls[frames[-1]] for frames in self.nvt))

    def series(self, values: Shaped[np.ndarray, "T *rest"]) -> list[np.ndarray]:
        """Values of every frame of the trajectory, as one series per run judged."""
        return [values[frames] for frames in self.nvt]

    @property
    def sampling(self) -> Sampling:
        """How much of it there is."""
        return Sampling(
            replicas=len(self.nvt),
            nvt_frames=sum(self.lengths),
            nvt_ps=self.nvt_ps,
            discarded_ps=self.discarded_ps,
            nve_windows=len(self.nve),
            motion_windows=0 if self.motion is None else len(self.motion.vel),
            velocities=self.trajectory.has_velocities,
        )


def load_sides(files: Files, molecule: PreparedMolecule) -> tuple[Side, Side]:
    """Both sides of a molecule.

    Raises ArtifactError when a file is broken, belongs to another molecule or preparation, the
    two do not share time step and temperature, or one is too short to be scored.
    """
    candidate = load_trajectory(files.candidate)
    baseline = load_trajectory(files.baseline)
    for path, trajectory in ((files.baseline, baseline), (files.candidate, candidate)):
        check_belongs(path, trajectory, molecule)
    if "k_steps" in candidate.record:
        _check_same(files, baseline, candidate, "dt_ps", "base step (ps)", "md.dt_fs")
        _check_same(
            files, baseline, candidate, "nonbonded_cutoff_nm", "cutoff (nm)",
            "md.nonbonded_cutoff_nm",
        )  # fmt: skip
    temperature = float(recorded(files.candidate, candidate, "temperatures_K")[0])
    if temperature not in recorded(files.baseline, baseline, "temperatures_K"):
        raise ArtifactError(
            f"{files.candidate} is of {temperature:g} K, which {files.baseline} does not hold: "
            "set hybrid.temperature_K to one of md.temperature_K."
        )
    return (
        make_side(
            files.baseline, baseline, temperature, _motion(files.baseline, baseline, temperature)
        ),
        make_side(
            files.candidate,
            candidate,
            temperature,
            _motion(files.candidate, candidate, temperature),
        ),
    )


def _motion(path: Path, trajectory: Trajectory, temperature: float) -> Motion | None:
    """The densely saved windows beside a trajectory, if there are any at this temperature."""
    own = motion_of(path)
    if not own.is_file():
        return None
    motion = load_motion(own)
    same = motion.record.get("fingerprint") == trajectory.record.get("fingerprint")
    if not same or motion.vel.shape[2] != len(trajectory.masses):
        raise ArtifactError(
            f"{own} is not of the molecule of {path.name}: delete it and run its stage again."
        )
    return motion if motion.record.get("temperature_K") == temperature else None


def make_side(
    path: Path, trajectory: Trajectory, temperature: float, motion: Motion | None = None
) -> Side:
    """The scored parts of a trajectory at one temperature; equilibration is cut off each run.

    Raises ArtifactError when it is too short.
    """
    nvt: list[np.ndarray] = []
    discarded = 0.0
    for frames in trajectory.segments(NVT, temperature):
        start = equilibration(trajectory.epot[frames].astype(np.float64))
        nvt.append(frames[start:])
        discarded += float(trajectory.times[frames[start]] - trajectory.times[frames[0]])
    side = Side(
        path=path,
        trajectory=trajectory,
        motion=motion,
        temperature=temperature,
        nvt=nvt,
        discarded_ps=discarded,
    )
    _check_length(side)
    return side


def truncated(side: Side, share: float) -> Side:
    """The same with only the first part of every run; all of it for a share of 1 or more."""
    kept = [frames[: max(2, round(min(share, 1.0) * len(frames)))] for frames in side.nvt]
    return replace(side, nvt=kept)


def at_temperature(side: Side, temperature: float) -> list[np.ndarray]:
    """Potential energies of every run at another temperature, equilibration cut off."""
    result = []
    for frames in side.trajectory.segments(NVT, temperature):
        energies = side.trajectory.epot[frames].astype(np.float64)
        result.append(energies[equilibration(energies) :])
    return result


def check_belongs(path: Path, trajectory: Trajectory, molecule: PreparedMolecule) -> None:
    """Raise ArtifactError unless a trajectory is of this molecule, as it was prepared."""
    if not np.array_equal(trajectory.numbers, molecule.numbers):
        raise ArtifactError(
            f"{path} holds {len(trajectory.numbers)} atoms that are not those of "
            f"{molecule.name} ({molecule.n_atoms} atoms): delete it and run its stage again."
        )
    if trajectory.record.get("fingerprint") != molecule.fingerprint:
        raise ArtifactError(
            f"{path} was made from another preparation of {molecule.name}: "
            "delete it and run its stage again."
        )
    if trajectory.has_velocities and not np.isfinite(trajectory.etot).all():
        raise ArtifactError(
            f"{path} holds total energies that are not finite: delete it and run its stage again."
        )


def recorded(path: Path, trajectory: Trajectory, key: str) -> Any:
    """An entry of a trajectory's record; ArtifactError where it is not there."""
    value = trajectory.record.get(key)
    if value is None:
        raise ArtifactError(
            f"{path} does not say its {key}, so it is not of the stage whose folder it is in: "
            "delete it and run its stage again."
        )
    return value


def _check_same(
    files: Files, baseline: Trajectory, candidate: Trajectory, key: str, words: str, setting: str
) -> None:
    ours, theirs = candidate.record.get(key), baseline.record.get(key)
    if ours != theirs:
        raise ArtifactError(
            f"{files.candidate} was run with a {words} of {ours} and {files.baseline} with one of "
            f"{theirs}: run both with the same {setting}."
        )


def _check_length(side: Side) -> None:
    n_frames = sum(side.lengths)
    if n_frames < MIN_NVT_FRAMES or max(side.lengths) < 2:
        raise ArtifactError(
            f"{side.path} is too short to be scored: {n_frames} constant-temperature frames at "
            f"{side.temperature:g} K, {MIN_NVT_FRAMES} are needed; lengthen md.length_ns or "
            "hybrid.length_ps."
        )
    shortest = min(map(len, _windows(side)), default=MIN_WINDOW_FRAMES)
    if shortest < MIN_WINDOW_FRAMES:
        raise ArtifactError(
            f"{side.path} has an NVE window of {shortest} frames, {MIN_WINDOW_FRAMES} are needed: "
            "lengthen md.nve_window_ps or hybrid.nve_window_ps."
        )


def _windows(side: Side) -> Sequence[np.ndarray]:
    return [*side.nve, *side.rescaled]

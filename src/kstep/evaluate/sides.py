"""What is scored: the two trajectories of a molecule, checked against it and each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.evaluate.divergence import BLOCKS
from kstep.evaluate.metrics import Sampling
from kstep.molecule import Molecule
from kstep.trajectory import NVE, NVT, Trajectory, load_trajectory

MIN_NVT_FRAMES = 2 * BLOCKS
"""Two frames in each block of the noise floor."""

MIN_WINDOW_FRAMES = 3
"""A line through two points has no fluctuation about it."""


@dataclass(frozen=True)
class Files:
    """Where the files of one molecule lie."""

    baseline: Path
    hybrid: Path
    timing: Path
    basin_baseline: Path
    basin_hybrid: Path

    @property
    def present(self) -> list[Path]:
        """The files that exist."""
        paths = (self.baseline, self.hybrid, self.timing, self.basin_baseline, self.basin_hybrid)
        return [path for path in paths if path.is_file()]


def files_of(config: Config, name: str) -> Files:
    """The files that `md` and `run` leave for a molecule."""
    hybrid = config.paths.run / "hybrid"
    return Files(
        baseline=config.paths.data / "md" / f"{name}.npz",
        hybrid=hybrid / f"{name}.npz",
        timing=hybrid / f"{name}.timing.json",
        basin_baseline=hybrid / f"{name}.basin_baseline.npz",
        basin_hybrid=hybrid / f"{name}.basin_hybrid.npz",
    )


@dataclass(frozen=True, eq=False)
class Side:
    """One trajectory and the parts of it that are scored.

    Attributes:
        path: its file.
        trajectory: all of it.
        nvt: frame indices of the constant-temperature segments at the temperature judged.
        nve: frame indices of the NVE windows.
    """

    path: Path
    trajectory: Trajectory
    nvt: list[np.ndarray]
    nve: list[np.ndarray]

    @property
    def nvt_frames(self) -> np.ndarray:
        """All constant-temperature frames judged, in order."""
        return np.concatenate(self.nvt)

    @property
    def nvt_breaks(self) -> list[int]:
        """Where in `nvt_frames` a new segment begins, the first left out."""
        return [int(end) for end in np.cumsum([len(frames) for frames in self.nvt])[:-1]]

    @property
    def nvt_ps(self) -> float:
        """Simulated time of those frames, ps; the first frame ends the first interval."""
        return float(sum(self.trajectory.times[frames[-1]] for frames in self.nvt))

    @property
    def sampling(self) -> Sampling:
        """How much of it there is."""
        return Sampling(
            nvt_frames=len(self.nvt_frames), nvt_ps=self.nvt_ps, nve_windows=len(self.nve)
        )


def load_sides(files: Files, molecule: Molecule) -> tuple[Side, Side, float]:
    """Both sides of a molecule and the temperature they share, K.

    Raises ArtifactError when a file is broken, belongs to another molecule or preparation, the
    two do not share time step and temperature, or one is too short to be scored.
    """
    baseline, hybrid = load_trajectory(files.baseline), load_trajectory(files.hybrid)
    for path, trajectory in ((files.baseline, baseline), (files.hybrid, hybrid)):
        check_belongs(path, trajectory, molecule)
    steps = baseline.record.get("dt_ps"), hybrid.record.get("dt_ps")
    if steps[0] != steps[1]:
        raise ArtifactError(
            f"{files.hybrid} has a base step of {steps[1]} ps and {files.baseline} one of "
            f"{steps[0]} ps: run both with the same md.dt_fs."
        )
    cutoffs = baseline.record.get("nonbonded_cutoff_nm"), hybrid.record.get("nonbonded_cutoff_nm")
    if cutoffs[0] != cutoffs[1]:
        raise ArtifactError(
            f"{files.hybrid} was run with a cutoff of {cutoffs[1]} nm and {files.baseline} with "
            f"{cutoffs[0]} nm: run both with the same md.nonbonded_cutoff_nm."
        )
    temperature = float(_recorded(files.hybrid, hybrid, "temperature_K"))
    temperatures = [float(t) for t in _recorded(files.baseline, baseline, "temperatures_K")]
    if temperature not in temperatures:
        raise ArtifactError(
            f"{files.hybrid} was run at {temperature:g} K, which {files.baseline} does not hold: "
            "set hybrid.temperature_K to one of md.temperature_K."
        )
    # The baseline has one constant-temperature segment for each of its temperatures, and as
    # many windows at each.
    index = temperatures.index(temperature)
    chosen = [baseline.segments(NVT)[index]]
    windows = baseline.segments(NVE)
    share = len(windows) // len(temperatures)
    sides = (
        Side(files.baseline, baseline, chosen, windows[index * share : (index + 1) * share]),
        Side(files.hybrid, hybrid, hybrid.segments(NVT), hybrid.segments(NVE)),
    )
    for side in sides:
        _check_length(side)
    return *sides, temperature


def check_belongs(path: Path, trajectory: Trajectory, molecule: Molecule) -> None:
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
    if not np.isfinite(trajectory.etot).all():
        raise ArtifactError(
            f"{path} holds total energies that are not finite: delete it and run its stage again."
        )


def _recorded(path: Path, trajectory: Trajectory, key: str) -> Any:
    try:
        return trajectory.record[key]
    except KeyError:
        raise ArtifactError(
            f"{path} does not say its {key}, so it is not of the stage whose folder it is in: "
            "delete it and run its stage again."
        ) from None


def _check_length(side: Side) -> None:
    n_frames = sum(len(frames) for frames in side.nvt)
    if n_frames < MIN_NVT_FRAMES:
        raise ArtifactError(
            f"{side.path} is too short to be scored: {n_frames} constant-temperature frames, "
            f"{MIN_NVT_FRAMES} are needed; lengthen md.length_ns or hybrid.length_ps."
        )
    shortest = min((len(frames) for frames in side.nve), default=MIN_WINDOW_FRAMES)
    if shortest < MIN_WINDOW_FRAMES:
        raise ArtifactError(
            f"{side.path} has an NVE window of {shortest} frames, {MIN_WINDOW_FRAMES} are needed: "
            "lengthen md.nve_window_ps or hybrid.nve_window_ps."
        )

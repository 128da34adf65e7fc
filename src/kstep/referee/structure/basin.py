"""Time to basin: what a run from a randomised start spends until it finds the best minimum.

A frame is in the basin when the minimum under it is within an energy of the best known minimum,
or its heavy atoms superpose on it within an RMSD. Superposition is by proper rotation over every
relabelling of equivalent heavy atoms (at most `MAX_RELABELLINGS`). Mirror images need no
superposition of their own: a mirror-image conformer has the same energy and is caught by that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from kstep.artifacts import read_npz
from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.compared import Files, check_belongs
from kstep.referee.cost.savings import Timing
from kstep.referee.metrics import BasinMetrics, BasinSide, Pair
from kstep.system.prepared import PreparedMolecule
from kstep.system.symmetry import heavy_automorphisms
from kstep.system.trajectory import NVT, SCHEMA, SCHEMA_VERSION, Trajectory, load_trajectory
from kstep.units import KJ_PER_KCAL

MAX_RELABELLINGS = 200


def superposed_rmsd(
    structures: Float[np.ndarray, "T H 3"], reference: Float[np.ndarray, "H 3"]
) -> Float[np.ndarray, " T"]:
    """RMSD after the best translation and proper rotation, nm (Kabsch 1976)."""
    moved = structures - structures.mean(axis=1, keepdims=True)
    fixed = reference - reference.mean(axis=0)
    covariance = np.einsum("thi,hj->tij", moved, fixed)
    left, singular, right = np.linalg.svd(covariance)
    # A reflection would fit better where the determinant is negative; it is not allowed.
    singular[:, -1] *= np.sign(np.linalg.det(left @ right))
    squares = (moved**2).sum(axis=(1, 2)) + (fixed**2).sum() - 2.0 * singular.sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0) / len(reference)))


def superposed(
    structure: Float[np.ndarray, "N 3"],
    reference: Float[np.ndarray, "N 3"],
    atoms: Int[np.ndarray, " H"],
) -> Float[np.ndarray, "N 3"]:
    """A structure moved so that the given atoms lie best on those of the reference, nm."""
    centre, target = structure[atoms].mean(axis=0), reference[atoms].mean(axis=0)
    rotation, _ = Rotation.align_vectors(reference[atoms] - target, structure[atoms] - centre)
    return np.asarray(rotation.apply(structure - centre) + target)


def in_basin(
    config: EvalConfig,
    energies: Float[np.ndarray, " T"],
    structures: Float[np.ndarray, "T H 3"],
    best_energy: float,
    best_structure: Float[np.ndarray, "H 3"],
    relabellings: Int[np.ndarray, "P H"],
) -> Bool[np.ndarray, " T"]:
    """Whether each minimum is the best one by energy (kJ/mol) or by heavy-atom RMSD (nm).

    `relabellings` are orders of the heavy atoms that give an equivalent structure.
    """
    near = energies <= best_energy + config.basin_epsilon_kcal * KJ_PER_KCAL
    for order in relabellings:
        near = near | (superposed_rmsd(structures, best_structure[order]) <= config.basin_rmsd_nm)
    return near


def first_arrivals(
    reached: Bool[np.ndarray, " T"], trajectory: Trajectory, s_per_ps: float
) -> BasinSide:
    """First arrival of every start in the basin, with medians over all starts.

    Args:
        reached: whether each frame is in the basin.
        trajectory: one constant-temperature segment per start.
        s_per_ps: wall-clock seconds per simulated ps of this side.
    """
    calls: list[int | None] = []
    seconds: list[float | None] = []
    at_once = 0
    for frames in trajectory.segments(NVT):
        hits = frames[reached[frames]]
        arrived = len(hits) > 0
        calls.append(int(trajectory.force_calls[hits[0]]) if arrived else None)
        seconds.append(float(trajectory.times[hits[0]] * s_per_ps) if arrived else None)
        at_once += bool(arrived and hits[0] == frames[0])
    return BasinSide(
        force_calls=calls,
        wall_s=seconds,
        reached_share=sum(c is not None for c in calls) / len(calls),
        at_once_share=at_once / len(calls),
        median_force_calls=_median(calls),
        median_wall_s=_median(seconds),
    )


def _median(values: Sequence[int | float | None]) -> float | None:
    """Median with starts that never arrived counted as later than all others."""
    median = float(np.median([np.inf if value is None else value for value in values]))
    return median if np.isfinite(median) else None


def time_to_basin(
    config: EvalConfig, molecule: PreparedMolecule, files: Files, timing: Timing
) -> BasinMetrics | None:
    """Compare both sides' searches; null where the hybrid stage made no basin files."""
    paths = (files.basin_baseline, files.basin_candidate)
    if not any(path.is_file() for path in paths):
        return None
    searches = [_load(path, molecule) for path in paths]
    heavy = np.flatnonzero(molecule.numbers > 1)
    relabellings = heavy_automorphisms(molecule.numbers, molecule.bonds, MAX_RELABELLINGS)
    order = np.searchsorted(heavy, relabellings)
    lowest = min(searches, key=lambda search: float(search.energies.min()))
    best = int(lowest.energies.argmin())
    best_energy, best_structure = float(lowest.energies[best]), lowest.positions[best][heavy]
    rates = (timing.baseline_s_per_ps, timing.s_per_ps)
    sides = []
    for search, s_per_ps in zip(searches, rates, strict=True):
        structures = search.positions[:, heavy]
        reached = in_basin(config, search.energies, structures, best_energy, best_structure, order)
        sides.append(first_arrivals(reached, search.trajectory, s_per_ps))
    return BasinMetrics(
        best_energy=best_energy,
        sides=Pair[BasinSide](baseline=sides[0], candidate=sides[1]),
        trivial=all(side.at_once_share == 1.0 for side in sides),
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """Runs from randomised starts with the minimum under every frame (kJ/mol, nm)."""

    trajectory: Trajectory
    energies: Float[np.ndarray, " T"]
    positions: Float[np.ndarray, "T N 3"]


def _load(path: Path, molecule: PreparedMolecule) -> _Search:
    trajectory = load_trajectory(path)
    check_belongs(path, trajectory, molecule)
    if not trajectory.segments(NVT):
        raise ArtifactError(
            f"{path} holds no search for minima: delete it and run `kstep run` again."
        )
    keys = ("quenched_epot", "quenched_pos")
    arrays, _ = read_npz(path, SCHEMA, SCHEMA_VERSION, keys)
    energies, positions = (arrays[key].astype(np.float64) for key in keys)
    if len(energies) != trajectory.n_frames or positions.shape != trajectory.pos.shape:
        raise ArtifactError(
            f"{path} has not one minimum per frame: delete it and run `kstep run` again."
        )
    if not (np.isfinite(energies).all() and np.isfinite(positions).all()):
        raise ArtifactError(
            f"{path} holds minima that are not finite: delete it and run `kstep run` again."
        )
    return _Search(trajectory, energies, positions)

"""What training reads, and what it learns about the jump before it starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.config import OPENFF, Config
from kstep.errors import ArtifactError
from kstep.regressed.networks.physics import JumpPhysics, Scales
from kstep.regressed.networks.splitting import closing_weight
from kstep.regressed.training.objective import measure_caps, measure_scales
from kstep.regressed.training.windows import JumpWindows, jump_windows
from kstep.regressed.windows.splits import KINDS, PARTS, load_split, windows_of
from kstep.regressed.windows.windows import Dataset, load_dataset
from kstep.system.environments import environments


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Everything that training reads.

    Attributes:
        dataset: as it lies in the file.
        windows: starts and targets of all its windows.
        train: indices of the training windows.
        val, test: indices of the held-out windows by kind: `seen` molecules at other times,
            `unseen` molecules; kinds without windows are left out.
    """

    dataset: Dataset
    windows: JumpWindows
    train: Int[Tensor, " W"]
    val: Mapping[str, Int[Tensor, " V"]]
    test: Mapping[str, Int[Tensor, " V"]]


def read_data(config: Config, path: Path, splits: Path) -> TrainingData:
    """Read dataset and splits.

    Raises ArtifactError when they do not match each other or `train.k_steps`, or when nothing
    is there to train on or to validate with.
    """
    dataset = load_dataset(path)
    wanted = config.train.k_steps
    if dataset.k_steps != wanted:
        raise ArtifactError(
            f"{path} holds windows of {dataset.k_steps} base steps, not {wanted}: give "
            f"dataset_k{wanted}.npz or set train.k_steps={dataset.k_steps}."
        )
    parts: dict[str, dict[str, Tensor]] = {}
    for name in PARTS:
        split = load_split(splits / f"{name}.json")
        chosen = {kind: windows_of(dataset, split, kind) for kind in KINDS}
        parts[name] = {kind: torch.from_numpy(c) for kind, c in chosen.items() if len(c)}
        if name != "test" and not parts[name]:
            raise ArtifactError(
                f"{splits / name}.json holds no window: make more bursts (md.burst.count) or "
                "keep a larger share (dataset.val_segments)."
            )
    windows = jump_windows(dataset, config.train.landing, _closing_ps(config, dataset))
    return TrainingData(dataset, windows, parts["train"]["seen"], parts["val"], parts["test"])


def measure_physics(config: Config, data: TrainingData) -> JumpPhysics:
    """Stride, landing, scales, caps and chemistry of the jump, from the training windows alone."""
    dataset, windows = data.dataset, data.windows
    rows = windows.rows(data.train)
    molecules = [dataset.molecules[row] for row in rows]
    fingerprints, temperatures = dataset.record["fingerprints"], dataset.record["temperatures_K"]
    unscaled = JumpPhysics(
        k_steps=dataset.k_steps,
        dt_ps=dataset.dt_ps,
        landing=config.train.landing,
        closing_ps=_closing_ps(config, dataset),
        scales=Scales(velocity=1.0, force=1.0, position_residual=1.0, velocity_residual=1.0),
        caps_nm=measure_caps(windows, data.train, config.model),
        masses_Da=_masses(dataset.atom_types[rows], dataset.masses[rows]),
        fingerprints={name: fingerprints[name] for name in molecules},
        temperatures_K=tuple(sorted({t for name in molecules for t in temperatures[name]})),
        potential=dataset.record.get("potential", OPENFF),
        environments=tuple(sorted({e for row in rows for e in environments_of(dataset, row)})),
    )
    scales = measure_scales(windows, data.train, unscaled.duration, config.model.predict_delta)
    return unscaled.model_copy(update={"scales": scales})


def _closing_ps(config: Config, dataset: Dataset) -> float:
    if config.model.arch != "splitting":
        return 0.0
    return closing_weight(dataset.k_steps, dataset.dt_ps)


def environments_of(dataset: Dataset, row: int) -> list[str]:
    """Chemical environments of one molecule of a dataset, whose arrays are padded."""
    numbers, bonds = dataset.atom_types[row], dataset.bonds[row]
    return environments(numbers[numbers > 0], bonds[bonds[:, 0] != bonds[:, 1]])


def _masses(
    species: Int[np.ndarray, "M N"], masses: Float[np.ndarray, "M N"]
) -> dict[int, tuple[float, ...]]:
    """Atomic number → the masses its atoms have, Da."""
    numbers = np.unique(species[species > 0]).tolist()
    return {number: tuple(np.unique(masses[species == number]).tolist()) for number in numbers}

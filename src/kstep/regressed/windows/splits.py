"""Two kinds of hold-out: molecules never seen, and unseen stretches of seen molecules.

Molecules are dealt to train, validation and test by a seeded shuffle. Of every training
molecule the trajectory is divided in time,

    training ... | gap | validation | gap | test

once for each continuous piece of it. The unit is a frame with all bursts that started from it;
the gap is one frame, so that bursts on the two sides of a seam start from well-separated states.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Int

from kstep.artifacts import Record, hash_config, read_json, write_json
from kstep.config import DatasetConfig
from kstep.errors import ArtifactError, ConfigError
from kstep.regressed.windows.bursts import Source
from kstep.regressed.windows.windows import Dataset

SCHEMA = "kstep.split"
SCHEMA_VERSION = 1
PARTS: Final = ("train", "val", "test")
GAP: Final = 1
"""Frames left unused at a seam."""

Kind = Literal["seen", "unseen"]
KINDS: Final[tuple[Kind, ...]] = ("seen", "unseen")
Bursts = dict[str, list[int]]


@dataclass(frozen=True)
class Split:
    """The bursts that belong to one part of the data.

    Attributes:
        name: `train`, `val` or `test`.
        seen_molecules: bursts of training molecules, by molecule.
        unseen_molecules: bursts of molecules that no training window comes from.
        record: seed, hashes of the trajectories and of the settings but for the strides.
    """

    name: str
    seen_molecules: Bursts
    unseen_molecules: Bursts
    record: Record

    def save(self, path: Path) -> None:
        """Write as JSON."""
        content = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "seen_molecules": self.seen_molecules,
            "unseen_molecules": self.unseen_molecules,
        }
        write_json(path, {**self.record, **content})


def load_split(path: Path) -> Split:
    """Read a split; ArtifactError when the file is missing or is not one."""
    content = read_json(path)
    found = (content.pop("schema", None), content.pop("schema_version", None))
    try:
        if found != (SCHEMA, SCHEMA_VERSION):
            raise KeyError
        return Split(
            name=content.pop("name"),
            seen_molecules=content.pop("seen_molecules"),
            unseen_molecules=content.pop("unseen_molecules"),
            record=content,
        )
    except KeyError:
        raise ArtifactError(
            f"{path} is not a split of this kstep: run `kstep dataset` again."
        ) from None


def windows_of(dataset: Dataset, split: Split, kind: Kind) -> Int[np.ndarray, " V"]:
    """Indices of the windows of one part and kind, ascending.

    Raises ArtifactError when split and dataset were made from different trajectories.
    """
    if split.record.get("source_hashes") != dataset.record["source_hashes"]:
        raise ArtifactError(
            f"the split '{split.name}' and the dataset of k = {dataset.k_steps} were made from "
            "different trajectories: run `kstep dataset` again."
        )
    chosen = {"seen": split.seen_molecules, "unseen": split.unseen_molecules}[kind]
    wanted = np.zeros(dataset.n_windows, dtype=bool)
    for molecule, bursts in chosen.items():
        own = dataset.molecule_id == dataset.molecules.index(molecule)
        wanted |= own & np.isin(dataset.window_burst, bursts)
    return np.flatnonzero(wanted)


def make_splits(sources: Sequence[Source], config: DatasetConfig) -> list[Split]:
    """The three splits, which depend on the sources' names but not on their order.

    Raises ConfigError when the shares leave nothing to train on.
    """
    dealt = deal_molecules([source.molecule for source in sources], config)
    by_name = {source.molecule: source for source in sources}
    seen: dict[str, Bursts] = {part: {} for part in PARTS}
    for name in dealt["train"]:
        for part, bursts in divide_in_time(by_name[name], config).items():
            if bursts:
                seen[part][name] = bursts
    unseen = {
        part: {name: list(range(len(by_name[name].frame))) for name in dealt[part]}
        for part in ("val", "test")
    }
    record: Record = {
        "seed": config.seed,
        # Without the strides: one more of them changes no split, nor what was trained with it.
        "config_hash": hash_config(config.model_copy(update={"k_steps": []})),
        "source_hashes": {source.molecule: source.hash for source in sources},
    }
    return [Split(part, seen[part], unseen.get(part, {}), record) for part in PARTS]


def deal_molecules(names: Iterable[str], config: DatasetConfig) -> dict[str, list[str]]:
    """Molecules for training, validation and test; shares are rounded down.

    Raises ConfigError when none is left for training.
    """
    ordered = sorted(names)
    shuffled = [ordered[i] for i in np.random.default_rng(config.seed).permutation(len(ordered))]
    n_val = math.floor(config.val_molecules * len(ordered))
    n_test = math.floor(config.test_molecules * len(ordered))
    if n_val + n_test >= len(ordered):
        raise ConfigError(
            f"dataset.val_molecules and dataset.test_molecules take all {len(ordered)} molecules: "
            "lower them so that one is left to train on."
        )
    return {
        "val": sorted(shuffled[:n_val]),
        "test": sorted(shuffled[n_val : n_val + n_test]),
        "train": sorted(shuffled[n_val + n_test :]),
    }


def divide_in_time(source: Source, config: DatasetConfig) -> Bursts:
    """Bursts of a training molecule for each part; shares are rounded up, in frames.

    Raises ConfigError when a piece of the trajectory has too few frames with bursts.
    """
    parts: Bursts = {part: [] for part in PARTS}
    for stretch in np.unique(source.stretch):
        bursts = np.flatnonzero(source.stretch == stretch)
        frames = np.unique(source.frame[bursts])
        n_val = math.ceil(config.val_segments * len(frames))
        n_test = math.ceil(config.test_segments * len(frames))
        test = len(frames) - n_test
        val = test - n_val - (GAP if n_val and n_test else 0)
        train = val - (GAP if n_val or n_test else 0)
        if train < 1:
            raise ConfigError(
                f"{source.molecule} has bursts from {len(frames)} frames of a stretch of "
                "trajectory, too few to hold out validation and test segments: raise "
                "md.burst.count or lower dataset.val_segments and dataset.test_segments."
            )
        ranges = {"train": (0, train), "val": (val, val + n_val), "test": (test, len(frames))}
        for part, (first, last) in ranges.items():
            chosen = np.isin(source.frame[bursts], frames[first:last])
            parts[part] += bursts[chosen].tolist()
    return parts

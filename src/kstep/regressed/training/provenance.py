"""Which training a folder holds, so that none is repeated and none passes for another."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kstep.artifacts import Record, hash_config, hash_file, read_json
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.regressed.windows.splits import PARTS

CHECKPOINT_KEY = "kstep_provenance"
_NEUTRAL = {"logger": "csv", "device": "auto", "threads": 0, "start_from": None}
"""Settings of train that say where and how fast, not what; what it starts from goes by its hash."""
_LATER = frozenset({"max_steps"})
"""Settings that there were not always: trainings without them are known by all the others."""
_SHARING = frozenset({"devices", "nodes", "strategy"})
"""Settings of which only the number of processes matters: it decides which windows share a step."""


def provenance(config: Config, dataset: Path, splits: Path, processes: int) -> Record:
    """What identifies a training: the settings that shape its outcome, and its inputs.

    Args:
        config: all settings.
        dataset: file of windows.
        splits: folder of the splits.
        processes: that train together, on all nodes.
    """
    settings = config.train.model_copy(update=_NEUTRAL)
    start = config.train.start_from
    absent = {name for name in _LATER if getattr(settings, name) is None}
    return {
        "config_hash": hash_config(config.model, settings, exclude=_SHARING | absent),
        "processes": processes,
        "dataset_hash": hash_file(dataset),
        "start_hash": None if start is None else hash_file(start),
        "split_hashes": {name: hash_file(splits / f"{name}.json") for name in PARTS},
        "config": {
            "model": config.model.model_dump(mode="json"),
            "train": settings.model_dump(mode="json", exclude=set(_SHARING)),
        },
        "seed": config.train.seed,
        "versions": {name: version(name) for name in ("md-kstep", "torch", "pytorch-lightning")},
    }


def is_finished(folder: Path, wanted: Record) -> bool:
    """Whether `folder` holds this training, complete; ArtifactError if it holds another."""
    path = folder / "record.json"
    if not path.exists():
        return False
    record = read_json(path)
    _require_same(path, record, wanted)
    best = folder / "best.ckpt"
    return best.exists() and hash_file(best) == record.get("checkpoint_hash")


def read_last(folder: Path, wanted: Record) -> Mapping[str, Any] | None:
    """The checkpoint to continue from, if any; ArtifactError if it is of another training.

    None too where a training was finished and its best.ckpt has since been lost or damaged:
    its last.ckpt has nothing left to do, so the network can only be trained again.
    """
    path = folder / "last.ckpt"
    if not path.exists() or (folder / "record.json").exists():
        return None
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = checkpoint[CHECKPOINT_KEY]
    except Exception:  # whatever a damaged pickle can raise
        raise ArtifactError(
            f"{path} is truncated or not a checkpoint: delete {folder} to train again."
        ) from None
    _require_same(path, found, wanted)
    return checkpoint


def _require_same(path: Path, found: Mapping[str, Any], wanted: Record) -> None:
    found = {"processes": 1, **found}  # records say so since there can be several
    for key, what in (
        ("config_hash", "other settings of model or train"),
        ("processes", "another number of processes"),
        ("dataset_hash", "another dataset"),
        ("start_hash", "another network to start from"),
        ("split_hashes", "other splits"),
    ):
        if found.get(key) != wanted[key]:
            raise ArtifactError(
                f"{path} belongs to a training with {what}: choose another paths.run, or "
                f"delete {path.parent} to train again."
            )

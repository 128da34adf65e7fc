"""The training stage: dataset and splits in, the best checkpoint out."""

import math
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from kstep.artifacts import Record, exclusive, hash_file, write_json
from kstep.config import Config
from kstep.errors import ConfigError, SimulationError
from kstep.progress import progress
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.training.beginnings import first_model
from kstep.regressed.training.data import TrainingData, read_data
from kstep.regressed.training.device import guest
from kstep.regressed.training.history import write_rows
from kstep.regressed.training.keeper import Keeper, draw_windows
from kstep.regressed.training.module import JumpTraining
from kstep.regressed.training.objective import clipped_share
from kstep.regressed.training.provenance import is_finished, provenance, read_last
from kstep.regressed.training.scores import Score, displacement_histogram, rollout_rmsd, score
from kstep.regressed.training.stream import BatchStream
from kstep.regressed.training.trackers import make_tracker
from kstep.regressed.training.trainer import fit, make_trainer

SCHEMA = "kstep.training"
SCHEMA_VERSION = 1
JUDGED_WINDOWS = 16_384
"""The best model is judged on at most this many held-out windows of each kind."""


def run(config: Config, dataset: Path, splits: Path) -> Path:
    """Train the jump and return the path of its best checkpoint.

    Writes `<paths.run>/train/`: best.ckpt, last.ckpt, metrics.csv (one row per validation),
    displacements.csv (histograms of |Δx|), record.json and timing.json. A training that was
    killed continues from last.ckpt; a finished one is not repeated.

    Where several processes train together, all of them call this. It returns in the first one
    alone: the others end, with exit status 0, when the training has.

    Args:
        config: all settings; `model` and `train` are used.
        dataset: `dataset_k{K}.npz` with K = train.k_steps.
        splits: folder of train.json, val.json and test.json.

    Raises:
        ArtifactError: for files that are missing, foreign or do not match, and when the folder
            holds a training with other settings or data.
        DeviceError: when train.device is gpu and there is none.
        ConfigError: when the tracker asked for is not installed, or the processes started are
            not those configured.
        SimulationError: when the training diverged: no validation loss was finite.
    """
    folder = config.paths.run / "train"
    trainer = make_trainer(config.train, folder)
    identity = provenance(config, dataset, splits, trainer.world_size)
    with exclusive(folder) if trainer.is_global_zero else nullcontext():
        if not is_finished(folder, identity):
            last = read_last(folder, identity)
            trainer.logger = make_tracker(config.train, folder, config.model_dump(mode="json"))
            with guest(config.train, trainer.num_devices):
                data = read_data(config, dataset, splits)
                training = _train(config, data, identity, folder, last, trainer)
                if trainer.is_global_zero:
                    _conclude(folder, data, training)
    if not trainer.is_global_zero:
        sys.exit()  # what follows a training is the first process's to do
    return folder / "best.ckpt"


def _train(
    config: Config,
    data: TrainingData,
    identity: Record,
    folder: Path,
    last: Mapping[str, Any] | None,
    trainer: pl.Trainer,
) -> JumpTraining:
    pl.seed_everything(config.train.seed, verbose=False)
    model = first_model(config, data)
    done = last["kstep_progress"]["batches"] if last else 0
    rank, processes, leads = trainer.global_rank, trainer.world_size, trainer.is_global_zero
    stream = BatchStream(data.windows, data.train, config.train, done, rank, processes)
    if stream.total == 0:
        raise ConfigError(
            f"{processes} processes have fewer training batches to share: lower "
            f"train.batch_size={config.train.batch_size} or train.devices."
        )
    if last is None and leads:  # a killed training may have left a model before its first last.ckpt
        (folder / "best.ckpt").unlink(missing_ok=True)
    training = JumpTraining(model, config.train, stream.total)
    title = f"train {config.model.arch} k={config.train.k_steps}"
    with progress(title, 100.0, "%") if leads else tqdm(disable=True) as bar:
        if leads:
            bar.write(_opening(model, data, stream), file=sys.stderr)
        keeper = Keeper(folder, data, identity, bar)
        fit(trainer, keeper, training, stream, folder / "last.ckpt" if last else None)
    if not math.isfinite(keeper.best):
        raise SimulationError(
            f"training diverged, with no finite validation loss: delete {folder} and lower "
            f"train.lr={config.train.lr:g}."
        )
    return training


def _opening(model: JumpModel, data: TrainingData, stream: BatchStream) -> str:
    size = sum(parameter.numel() for parameter in model.parameters())
    clipped = clipped_share(data.windows, data.train, model.physics)
    return (
        f"{size:,} parameters, {len(data.train):,} training windows in "
        f"{stream.batches_per_epoch:,} batches; {clipped:.3%} of the displacements lie beyond "
        "the cap"
    )


def _conclude(folder: Path, data: TrainingData, training: JumpTraining) -> None:
    """Judge the best model on held-out windows and write the records."""
    minutes = training.clock.minutes()
    path = folder / "best.ckpt"
    jump = load_jump(path)
    scores, rollouts = {}, {}
    for split, parts in (("val", data.val), ("test", data.test)):
        for kind, held_out in parts.items():
            chosen = draw_windows(held_out, JUDGED_WINDOWS)
            result = score(jump.model, data.windows, chosen)
            scores[f"{split}_{kind}"] = _named(result, data.dataset.molecules)
            rollouts[f"{split}_{kind}"] = rollout_rmsd(jump.model, data.dataset, chosen)
    shown = draw_windows(next(iter(data.val.values())), JUDGED_WINDOWS)
    histogram = displacement_histogram(jump.model, data.windows, shown)
    write_rows(folder / "displacements.csv", histogram)
    rate = training.batches_done / (60.0 * minutes)
    write_json(folder / "timing.json", {"minutes": minutes, "batches_per_s": rate})
    write_json(
        folder / "record.json",
        {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            **jump.record,
            "checkpoint_hash": hash_file(path),
            "physics": jump.physics.model_dump(mode="json"),
            "n_parameters": sum(p.numel() for p in jump.model.parameters()),
            "batches": training.batches_done,
            "steps": training.steps_done,
            "clipped_share": clipped_share(data.windows, data.train, jump.physics),
            "scores": scores,
            "rollout_rmsd_nm": rollouts,
        },
    )


def _named(result: Score, molecules: list[str]) -> dict[str, Any]:
    return {
        **vars(result.all),
        "by_molecule": {molecules[row]: vars(e) for row, e in result.by_molecule.items()},
        "by_element": {symbol: vars(error) for symbol, error in result.by_element.items()},
    }

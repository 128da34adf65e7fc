"""The training stage: dataset and splits in, the best checkpoint out."""

import logging
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from kstep.artifacts import Record, exclusive, hash_file, write_json
from kstep.config import Config, TrainConfig
from kstep.errors import SimulationError
from kstep.model import JumpModel, JumpPhysics, build_model, load_jump
from kstep.progress import progress
from kstep.train.data import TrainingData, measure_physics, read_data
from kstep.train.device import accelerator, precision, set_threads
from kstep.train.history import write_rows
from kstep.train.keeper import Keeper
from kstep.train.module import JumpTraining
from kstep.train.objective import clipped_share
from kstep.train.provenance import is_finished, provenance, read_last
from kstep.train.scores import Score, displacement_histogram, rollout_rmsd, score
from kstep.train.stream import BatchStream
from kstep.train.trackers import make_tracker

SCHEMA = "kstep.training"
SCHEMA_VERSION = 1


def run(config: Config, dataset: Path, splits: Path) -> Path:
    """Train the jump and return the path of its best checkpoint.

    Writes `<paths.run>/train/`: best.ckpt, last.ckpt, metrics.csv (one row per validation),
    displacements.csv (histograms of |Δx|), record.json and timing.json. A training that was
    killed continues from last.ckpt; a finished one is not repeated.

    Args:
        config: all settings; `model` and `train` are used.
        dataset: `dataset_k{K}.npz` with K = train.k_steps.
        splits: folder of train.json, val.json and test.json.

    Raises:
        ArtifactError: for files that are missing, foreign or do not match, and when the folder
            holds a training with other settings or data.
        DeviceError: when train.device is gpu and there is none.
        ConfigError: when the tracker asked for is not installed.
        SimulationError: when the training diverged: no validation loss was finite.
    """
    device = accelerator(config.train)
    folder = config.paths.run / "train"
    identity = provenance(config, dataset, splits)
    with exclusive(folder):
        if not is_finished(folder, identity):
            last = read_last(folder, identity)
            tracker = make_tracker(config.train, folder, config.model_dump(mode="json"))
            set_threads(config.train)
            data = read_data(config, dataset, splits)
            physics = measure_physics(config, data)
            training = _train(config, data, physics, identity, folder, last, device, tracker)
            _conclude(folder, data, training)
    return folder / "best.ckpt"


def _train(
    config: Config,
    data: TrainingData,
    physics: JumpPhysics,
    identity: Record,
    folder: Path,
    last: Mapping[str, Any] | None,
    device: str,
    tracker: Any,
) -> JumpTraining:
    pl.seed_everything(config.train.seed, verbose=False)
    model = build_model(config.model, physics, config.train.grad_checkpointing)
    done = last["kstep_progress"]["batches"] if last else 0
    if last is None:  # a killed training may have left a model before its first last.ckpt
        (folder / "best.ckpt").unlink(missing_ok=True)
    stream = BatchStream(data.windows, data.train, config.train, done)
    training = JumpTraining(model, config.train, stream.total)
    with progress(f"train {config.model.arch} k={physics.k_steps}", 100.0, "%") as bar:
        bar.write(_opening(model, data, stream), file=sys.stderr)
        keeper = Keeper(folder, data, identity, bar)
        with _quiet_lightning():
            trainer = _trainer(config.train, folder, device, tracker, keeper)
            _fit(trainer, training, stream, folder / "last.ckpt" if last else None)
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


def _trainer(
    config: TrainConfig, folder: Path, device: str, tracker: Any, keeper: Keeper
) -> pl.Trainer:
    return pl.Trainer(
        accelerator=device,
        devices=1,
        precision=precision(config, device),
        max_epochs=1,  # the one stream of batches holds all passes over the data
        accumulate_grad_batches=config.grad_accum,
        gradient_clip_val=config.grad_clip,
        limit_val_batches=0,
        logger=False if tracker is None else tracker,
        callbacks=[keeper],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder),
    )


def _fit(
    trainer: pl.Trainer, training: JumpTraining, stream: BatchStream, last: Path | None
) -> None:
    loader = DataLoader(stream, batch_size=None)
    try:
        trainer.fit(training, loader, ckpt_path=last, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from None


def _conclude(folder: Path, data: TrainingData, training: JumpTraining) -> None:
    """Judge the best model on all held-out windows and write the records."""
    minutes = training.clock.minutes()
    path = folder / "best.ckpt"
    jump = load_jump(path)
    scores, rollouts = {}, {}
    for split, parts in (("val", data.val), ("test", data.test)):
        for kind, chosen in parts.items():
            result = score(jump.model, data.windows, chosen)
            scores[f"{split}_{kind}"] = _named(result, data.dataset.molecules)
            rollouts[f"{split}_{kind}"] = rollout_rmsd(jump.model, data.dataset, chosen)
    held_out = next(iter(data.val.values()))
    histogram = displacement_histogram(jump.model, data.windows, held_out)
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


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's remarks on hardware and advice; errors still show."""
    loggers = [logging.getLogger(f"{name}") for name in ("pytorch_lightning", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning)(\.|$)")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

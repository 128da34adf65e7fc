"""What happens between training steps: validate, keep the best, checkpoint, stop, report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from kstep.artifacts import Record
from kstep.errors import KstepError
from kstep.regressed.networks.checkpoint import save_jump
from kstep.regressed.training.data import TrainingData
from kstep.regressed.training.history import read_rows, write_rows
from kstep.regressed.training.module import JumpTraining
from kstep.regressed.training.provenance import CHECKPOINT_KEY
from kstep.regressed.training.scores import rollout_rmsd, score
from kstep.regressed.training.windows import WindowBatch

VALIDATION_WINDOWS = 4096
"""Validations during training use at most this many windows of each kind, drawn at random."""


class Keeper(pl.Callback):
    """Watches a training and keeps what is worth keeping.

    Every validation scores the averaged weights on the held-out windows of seen and of unseen
    molecules; the mean of the two losses decides what is best and when to stop. Where several
    processes train together, the first one validates and writes, and tells the others.

    Args:
        folder: where best.ckpt, last.ckpt and metrics.csv go.
        data: its validation windows judge the model.
        record: provenance, stored in both checkpoints.
        bar: progress in percent.
    """

    def __init__(
        self, folder: Path, data: TrainingData, record: Record, bar: "tqdm[Never]"
    ) -> None:
        self._folder = folder
        self._dataset, self._windows = data.dataset, data.windows
        self._held_out = {
            kind: draw_windows(chosen, VALIDATION_WINDOWS) for kind, chosen in data.val.items()
        }
        self._record = record
        self._bar = bar
        self._rows: list[Mapping[str, Any]] = []
        self._running: dict[str, Tensor] = {}
        self._since = 0
        self.best = float("inf")
        self.best_batch = 0
        self._stale = 0
        self._checkpoint_due = False

    def state_dict(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {
            "best": self.best,
            "best_batch": self.best_batch,
            "stale": self._stale,
            "running": self._running,
            "since": self._since,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up after a restart."""
        self.best, self.best_batch = state_dict["best"], state_dict["best_batch"]
        self._stale = state_dict["stale"]
        self._running, self._since = state_dict["running"], state_dict["since"]

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Say which training the checkpoint belongs to."""
        checkpoint[CHECKPOINT_KEY] = self._record

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the history."""
        training = _training(pl_module)
        self._rows = list(read_rows(self._folder / "metrics.csv", training.batches_done))
        self._show(training)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: WindowBatch,
        batch_idx: int,
    ) -> None:
        """Count, and do what is due."""
        training = _training(pl_module)
        training.advance()
        self._since += 1
        for name, value in outputs.items():
            self._running[name] = self._running.get(name, 0.0) + value.detach()
        settings = training.settings
        done, processes = training.batches_done, trainer.world_size
        finished = training.progress >= 1.0
        if done % settings.val_every_steps < processes or finished:
            self._validate(trainer, training)
            self._checkpoint_due = True
        self._checkpoint_due |= done % settings.checkpoint_every_steps < processes
        # Between optimiser steps only: half-accumulated gradients are not in a checkpoint.
        if self._checkpoint_due and done // processes % settings.grad_accum == 0:
            self._share_running(trainer)
            save_last(trainer, self._folder / "last.ckpt")
            self._checkpoint_due = False
        if finished or self._stale >= settings.patience:
            trainer.should_stop = True
        self._show(training)

    def _share_running(self, trainer: pl.Trainer) -> None:
        """Make the running sums of the losses means over the processes."""
        for name, value in self._running.items():
            self._running[name] = trainer.strategy.reduce(value, reduce_op="mean")

    def _validate(self, trainer: pl.Trainer, training: JumpTraining) -> None:
        self._share_running(trainer)
        if trainer.is_global_zero:
            self._judge(trainer, training)
        verdict = (self.best, self.best_batch, self._stale)
        self.best, self.best_batch, self._stale = trainer.strategy.broadcast(verdict)
        self._running, self._since = {}, 0

    def _judge(self, trainer: pl.Trainer, training: JumpTraining) -> None:
        model = training.average.eval()
        row: dict[str, Any] = {"batch": training.batches_done, "step": training.steps_done}
        row["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        row |= {f"train_{name}": float(v) / self._since for name, v in self._running.items()}
        losses = []
        for kind, chosen in self._held_out.items():
            relative = score(model, self._windows, chosen).all
            losses.append(relative.loss(training.settings.lambda_vel))
            row |= {f"{kind}_rel_dx": relative.rel_dx, f"{kind}_rel_dv": relative.rel_dv}
            for jumps, rmsd in enumerate(rollout_rmsd(model, self._dataset, chosen), start=1):
                row[f"{kind}_rollout_rmsd_nm_{jumps}"] = rmsd
        row["val_loss"] = sum(losses) / len(losses)
        self._rows.append(row)
        write_rows(self._folder / "metrics.csv", self._rows)
        for tracker in trainer.loggers:
            numbers = {name: value for name, value in row.items() if name != "batch"}
            tracker.log_metrics(numbers, step=training.batches_done)
        if row["val_loss"] < self.best:
            self.best, self.best_batch, self._stale = row["val_loss"], training.batches_done, 0
            record = {**self._record, "batch": self.best_batch, "val_loss": self.best}
            save_jump(self._folder / "best.ckpt", model, record)
        else:
            self._stale += 1
        self._bar.set_postfix_str(
            ", ".join(
                f"{kind} Δx {row[f'{kind}_rel_dx']:.3f} Δv {row[f'{kind}_rel_dv']:.3f}"
                for kind in self._held_out
            )
        )

    def _show(self, training: JumpTraining) -> None:
        self._bar.update(100.0 * training.progress - self._bar.n)


def draw_windows(chosen: Int[Tensor, " W"], most: int) -> Int[Tensor, " V"]:
    """At most `most` of the chosen windows, ascending: the same ones every time.

    Not evenly spaced: a spacing of a whole burst would see one window start only.
    """
    size = min(len(chosen), most)
    drawn = np.random.default_rng(0).choice(len(chosen), size, replace=False)
    return chosen[torch.from_numpy(np.sort(drawn))]


def save_last(trainer: pl.Trainer, path: Path) -> None:
    """Write Lightning's checkpoint so that it exists either whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(temporary)  # in all processes; returns when the first has written
        if trainer.is_global_zero:
            temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise KstepError(
            f"{path} could not be written ({error.strerror}): free some space or choose another "
            "folder with paths.run, then run the same command again."
        ) from error


def _training(module: pl.LightningModule) -> JumpTraining:
    assert isinstance(module, JumpTraining)
    return module

"""One training step: loss, optimiser, learning rate, running average of the weights."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from kstep.config import TrainConfig
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.training.objective import training_loss
from kstep.regressed.training.windows import WindowBatch
from kstep.surrogates.optimiser import learning_rate, make_optimiser, update_average


class Clock:
    """Wall-clock time of a training, over all its restarts."""

    def __init__(self) -> None:
        self._before = 0.0
        self._start: float | None = None

    def minutes(self) -> float:
        """Minutes trained so far."""
        running = 0.0 if self._start is None else time.monotonic() - self._start
        return self._before + running / 60.0

    def start(self) -> None:
        """Count from now on."""
        self._start = time.monotonic()

    def restore(self, minutes: float) -> None:
        """Take up from an earlier run."""
        self._before = minutes


class JumpTraining(pl.LightningModule):
    """Trains a jump model; validated and kept is `average`, not the weights of the last step.

    The average is exponential with a decay that starts at 0.1 and grows to `AVERAGE_DECAY`.
    Where several processes train together, weights, averages, counters and progress are the same
    in all of them.

    Args:
        model: the model, with fresh weights.
        config: optimiser, loss weights, schedule.
        total_batches: batches of the whole training, to which the decay is fitted unless
            `config.max_minutes` is set and comes first.
    """

    def __init__(self, model: JumpModel, config: TrainConfig, total_batches: int) -> None:
        super().__init__()
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.settings = config
        self.clock = Clock()
        self._minutes = 0.0
        self._total_batches = total_batches
        self.batches_done = 0
        self.steps_done = 0

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        done = self.batches_done / self._total_batches
        if self.settings.max_minutes is not None:
            done = max(done, self._minutes / self.settings.max_minutes)
        return min(done, 1.0)

    def advance(self) -> None:
        """Count a round, one batch in each process, and agree on the time it is."""
        self.batches_done += self.trainer.world_size
        if self.settings.max_minutes is not None:
            self._minutes = self.trainer.strategy.broadcast(self.clock.minutes())

    def on_train_start(self) -> None:
        """Start the clock: setting up is not training."""
        self.clock.start()

    def training_step(self, batch: WindowBatch, index: int) -> Mapping[str, Tensor]:
        """The loss of one batch."""
        loss = training_loss(self.model, batch, self.settings)
        return {"loss": loss.total, **loss.terms()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser of `train.optimiser`."""
        return make_optimiser(self.model, self.settings)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Set the learning rate, step, and update the average."""
        rate = learning_rate(self.progress, self.settings.lr, self.settings.lr_min)
        for group in optimizer.param_groups:
            group["lr"] = rate
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.steps_done += 1
        update_average(self.average, self.model, self.steps_done)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm; a gradient that is not finite is dropped instead of spreading."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not bool(torch.isfinite(norm)):
            torch._foreach_zero_(gradients)
            return
        torch._foreach_mul_(gradients, min(1.0, self.settings.grad_clip / max(float(norm), 1e-12)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the counters and the clock."""
        checkpoint["kstep_progress"] = {
            "batches": self.batches_done,
            "steps": self.steps_done,
            "minutes": self.clock.minutes(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the counters and the clock."""
        progress = checkpoint["kstep_progress"]
        self.batches_done = progress["batches"]
        self.steps_done = progress["steps"]
        self.clock.restore(progress["minutes"])
        self._minutes = progress["minutes"]

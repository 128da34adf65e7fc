"""The order of training batches: a function of the seed and the batch's number alone.

Because batch n can be made without the n − 1 before it, a training that was killed continues
with exactly the batches it would have had, and several processes can share the batches without
a word between them.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import IterableDataset

from kstep.config import TrainConfig
from kstep.regressed.training.windows import JumpWindows, WindowBatch

_ORDER, _AUGMENT = 0, 1


class BatchStream(IterableDataset[WindowBatch]):
    """Batches number `first` to `total`, each of windows of one molecule.

    One molecule per batch wastes nothing on padding. A molecule's last windows of an epoch that
    do not fill a batch are left out; the next epoch leaves out others. Several processes deal
    the batches out in turn, and the last few that do not go round are left out too.

    Args:
        windows: all windows.
        chosen: indices of the training windows.
        config: batch_size, epochs, max_steps, seed, time_reversal and input_noise.
        first: number of batches done already, by all processes together.
        rank: which of the processes this is.
        processes: that share the batches.
    """

    def __init__(
        self,
        windows: JumpWindows,
        chosen: Int[Tensor, " W"],
        config: TrainConfig,
        first: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        super().__init__()
        self._windows = windows
        self._config = config
        self._first = first + rank
        self._processes = processes
        molecules = windows.molecule[chosen]
        self._groups = [chosen[molecules == row].numpy() for row in windows.rows(chosen)]
        self.batches_per_epoch = sum(len(self._split(group)) for group in self._groups)
        every = config.epochs * self.batches_per_epoch
        wanted = every if config.max_steps is None else min(every, config.max_steps)
        self.total = wanted - wanted % processes

    def __iter__(self) -> Iterator[WindowBatch]:
        """This process's batches from `first` on."""
        number = self._first
        while number < self.total:
            epoch, offset = divmod(number, self.batches_per_epoch)
            for windows in self.epoch(epoch)[offset :: self._processes]:
                if number < self.total:
                    yield self._augmented(windows, number)
                number += self._processes

    def epoch(self, epoch: int) -> list[Int[np.ndarray, " B"]]:
        """Window indices of all batches of one epoch, in order."""
        rng = np.random.default_rng((self._config.seed, _ORDER, epoch))
        batches = [part for group in self._groups for part in self._split(rng.permutation(group))]
        return [batches[index] for index in rng.permutation(len(batches))]

    def _split(self, group: Int[np.ndarray, " W"]) -> list[Int[np.ndarray, " B"]]:
        size = min(self._config.batch_size, len(group))
        return [group[start : start + size] for start in range(0, len(group) - size + 1, size)]

    def _augmented(self, windows: Int[np.ndarray, " B"], number: int) -> WindowBatch:
        rng = np.random.default_rng((self._config.seed, _AUGMENT, number))
        backwards = rng.random(len(windows)) < (0.5 if self._config.time_reversal else 0.0)
        batch = self._windows.batch(torch.from_numpy(windows), torch.from_numpy(backwards))
        return with_noise(batch, self._config.input_noise, rng)


def with_noise(batch: WindowBatch, noise_nm: float, rng: np.random.Generator) -> WindowBatch:
    """Displace the starts at random; the targets lead back to the true landing."""
    if noise_nm == 0.0:
        return batch
    start = batch.start
    shift = torch.from_numpy(rng.normal(0.0, noise_nm, start.x.shape).astype(np.float32))
    shift = shift * start.mask[..., None]
    weights = start.masses[..., None] / start.masses.sum(1)[:, None, None]
    shift = (shift - (shift * weights).sum(1, keepdim=True)) * start.mask[..., None]
    moved = replace(start, x=start.x + shift)
    return WindowBatch(moved, batch.dx - shift, batch.dv, batch.force)

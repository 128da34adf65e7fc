"""Lightning's Trainer, for one process or several that train together.

Of several processes on one node Lightning starts all but the first itself, by running the same
command again; torchrun and Slurm start all of them. Either way every process runs the stage from
its beginning, and its Trainer knows which of them it is.
"""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch.distributed
from torch.utils.data import DataLoader

from kstep.config import TrainConfig
from kstep.errors import ConfigError
from kstep.parallel import environment_kept
from kstep.regressed.training.device import accelerator, devices, precision
from kstep.regressed.training.module import JumpTraining
from kstep.regressed.training.stream import BatchStream

_LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning")


def make_trainer(config: TrainConfig, folder: Path) -> pl.Trainer:
    """A Trainer without callbacks and trackers.

    Raises DeviceError when there are not the GPUs asked for, ConfigError when the processes that
    a launcher started are not those of `train.devices` and `train.nodes`.
    """
    device = accelerator(config)
    count = devices(config, device)
    with _quiet_lightning():
        try:
            return pl.Trainer(
                accelerator=device,
                devices=count,
                num_nodes=config.nodes,
                strategy=config.strategy,
                precision=precision(config, device),
                max_epochs=1,  # the one stream of batches holds all passes over the data
                accumulate_grad_batches=config.grad_accum,
                gradient_clip_val=config.grad_clip,
                limit_val_batches=0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,  # the stream deals the batches out itself
                default_root_dir=str(folder),
            )
        except (ValueError, RuntimeError) as error:  # Slurm's tasks are not ours
            raise ConfigError(
                f"Lightning cannot set up train.devices={count} on train.nodes={config.nodes}: "
                f"{str(error).splitlines()[0]}"
            ) from None


def fit(
    trainer: pl.Trainer,
    keeper: pl.Callback,
    training: JumpTraining,
    stream: BatchStream,
    last: Path | None,
) -> None:
    """Train under the eyes of `keeper`, from the checkpoint `last` on if there is one."""
    trainer.callbacks.append(keeper)  # type: ignore[attr-defined] # mypy overlooks where it is set
    loader = DataLoader(stream, batch_size=None)
    with _quiet_lightning(), _own_processes(trainer):
        try:
            trainer.fit(training, loader, ckpt_path=last, weights_only=True)
        except SystemExit:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from None


@contextmanager
def _own_processes(trainer: pl.Trainer) -> Iterator[None]:
    """End what was begun for several processes, so that another training can follow.

    Lightning describes the processes in environment variables, which the next Trainer would take
    for a launcher's. When this process fails, those that it started would wait for it.
    """
    with environment_kept():
        try:
            yield
        except BaseException:
            if trainer.strategy.launcher is not None:
                trainer.strategy.launcher.kill(signal.SIGKILL)
            raise
        finally:
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's remarks on hardware and advice; errors still show."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=rf"({'|'.join(_LOGGERS)})(\.|$)")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

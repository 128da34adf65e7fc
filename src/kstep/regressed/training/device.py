"""Where the training runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from pytorch_lightning.utilities.seed import isolate_rng

from kstep.config import TrainConfig
from kstep.errors import ConfigError, DeviceError
from kstep.parallel import available_cores, environment_kept

Precision = Literal["bf16-mixed", "32-true"]


def accelerator(config: TrainConfig) -> str:
    """Lightning's accelerator for `train.device`; DeviceError when there is no GPU to be used."""
    present = torch.cuda.is_available()
    if config.device == "gpu" and not present:
        raise DeviceError(
            "train.device=gpu, but torch sees no GPU: set train.device=auto or cpu, or install "
            "a torch built for this machine's GPU."
        )
    return "gpu" if present and config.device != "cpu" else "cpu"


def devices(config: TrainConfig, accelerator: str) -> int:
    """Processes on each node: `train.devices`, resolved.

    Raises DeviceError when there are fewer GPUs, ConfigError when a launcher (torchrun) started
    another number of processes.
    """
    present = torch.cuda.device_count() if accelerator == "gpu" else 1
    wanted = present if config.devices == "auto" else config.devices
    if accelerator == "gpu" and wanted > present:
        raise DeviceError(
            f"train.devices={wanted}, but torch sees {present} GPU(s): set train.devices=auto."
        )
    processes = wanted * config.nodes
    started = int(os.environ.get("WORLD_SIZE", processes))
    if started != processes:
        raise ConfigError(
            f"{started} processes were started, but train.devices={wanted} on "
            f"train.nodes={config.nodes} are {processes}: set both as the launcher has them."
        )
    return wanted


def precision(config: TrainConfig, accelerator: str) -> Precision:
    """bfloat16 mixed precision on a GPU if asked for; a CPU gains nothing from it."""
    return "bf16-mixed" if config.amp and accelerator == "gpu" else "32-true"


@contextmanager
def guest(config: TrainConfig, processes: int) -> Iterator[None]:
    """A training among other work: what it sets for all of the process is put back in the end.

    Torch gets `train.threads` threads, or its share of the cores among a node's processes; random
    states and environment variables, Lightning's seed among them, are those of before afterwards.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads or max(1, available_cores() // processes))
    try:
        with isolate_rng(include_cuda=False), environment_kept():
            yield
    finally:
        torch.set_num_threads(threads)

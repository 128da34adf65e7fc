"""Where the training runs."""

from typing import Literal

import torch

from kstep.config import TrainConfig
from kstep.errors import DeviceError
from kstep.parallel import available_cores

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


def precision(config: TrainConfig, accelerator: str) -> Precision:
    """bfloat16 mixed precision on a GPU if asked for; a CPU gains nothing from it."""
    return "bf16-mixed" if config.amp and accelerator == "gpu" else "32-true"


def set_threads(config: TrainConfig) -> None:
    """Give torch `train.threads` threads, or one per core."""
    torch.set_num_threads(config.threads or available_cores())

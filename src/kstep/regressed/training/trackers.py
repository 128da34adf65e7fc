"""Experiment trackers by option; the CSV history is always written."""

import importlib.util
from pathlib import Path
from typing import Any

from kstep.config import TrainConfig
from kstep.errors import ConfigError

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "wandb-offline": "wandb"}


def make_tracker(config: TrainConfig, folder: Path, settings: dict[str, Any]) -> Any:
    """The Lightning logger that `train.logger` names, or None for CSV only.

    Args:
        config: which tracker.
        folder: where it keeps its files.
        settings: the configuration to show in it.

    Raises ConfigError when its package is not installed.
    """
    package = _PACKAGES.get(config.logger)
    if package is None:
        return None
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"train.logger={config.logger} needs the package {package}: install it with "
            f"`pip install 'md-kstep[{package}]'` or set train.logger=csv."
        )
    from pytorch_lightning import loggers

    folder.mkdir(parents=True, exist_ok=True)
    if package == "tensorboard":
        return loggers.TensorBoardLogger(str(folder), name=None, version="tensorboard")
    offline = config.logger == "wandb-offline"
    return loggers.WandbLogger(
        project="md-kstep", save_dir=str(folder), offline=offline, config=settings
    )

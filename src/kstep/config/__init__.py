"""Configuration: the settings, how they are read, how they are described."""

from kstep.config.loading import load_config
from kstep.config.reference import describe
from kstep.config.sections import (
    BasinConfig,
    BurstConfig,
    Config,
    DatasetConfig,
    EvalConfig,
    GridConfig,
    GuardConfig,
    HybridConfig,
    Landing,
    MdConfig,
    ModelConfig,
    PathsConfig,
    PrepConfig,
    Stride,
    TrainConfig,
)

__all__ = [
    "BasinConfig",
    "BurstConfig",
    "Config",
    "DatasetConfig",
    "EvalConfig",
    "GridConfig",
    "GuardConfig",
    "HybridConfig",
    "Landing",
    "MdConfig",
    "ModelConfig",
    "PathsConfig",
    "PrepConfig",
    "Stride",
    "TrainConfig",
    "describe",
    "load_config",
]

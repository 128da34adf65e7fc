"""Configuration: the settings, how they are read, how they are described."""

from kstep.config.base import Landing
from kstep.config.judging import EvalConfig, GridConfig
from kstep.config.jumping import GUARDED_ATOMS, BasinConfig, GuardConfig, HybridConfig
from kstep.config.learning import AdaptConfig, DatasetConfig, ModelConfig, TrainConfig
from kstep.config.loading import load_config
from kstep.config.potential import OPENFF, PotentialConfig
from kstep.config.reference import describe
from kstep.config.sections import Config, PathsConfig
from kstep.config.simulating import (
    BurstConfig,
    ControlsConfig,
    MdConfig,
    MotionConfig,
    PrepConfig,
)

__all__ = [
    "GUARDED_ATOMS",
    "OPENFF",
    "AdaptConfig",
    "BasinConfig",
    "BurstConfig",
    "Config",
    "ControlsConfig",
    "DatasetConfig",
    "EvalConfig",
    "GridConfig",
    "GuardConfig",
    "HybridConfig",
    "Landing",
    "MdConfig",
    "ModelConfig",
    "MotionConfig",
    "PathsConfig",
    "PotentialConfig",
    "PrepConfig",
    "TrainConfig",
    "describe",
    "load_config",
]

"""A trained jump as one file: weights, architecture, physics and provenance."""

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from kstep.artifacts import Record, write_bytes
from kstep.config import ModelConfig
from kstep.errors import ArtifactError
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics

SCHEMA = "kstep.jump"
SCHEMA_VERSION = 4


@dataclass(frozen=True, eq=False)
class LoadedJump:
    """A model as it comes out of a checkpoint.

    Attributes:
        model: with its weights, in evaluation mode, on the CPU.
        physics: stride, landing, scales, caps, masses, molecules (also `model.physics`).
        record: provenance: hashes of configuration, dataset and splits, seeds, versions, scores.
    """

    model: JumpModel
    physics: JumpPhysics
    record: Record


def save_jump(path: Path, model: JumpModel, record: Record) -> None:
    """Write a model with its architecture, physics and `record`, atomically."""
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "model_config": model.config.model_dump(mode="json"),
        "physics": model.physics.model_dump(mode="json"),
        "record": record,
        "weights": {name: value.detach().cpu() for name, value in model.state_dict().items()},
    }
    stream = io.BytesIO()  # torch.save makes a RuntimeError of a full disk
    torch.save(content, stream)
    write_bytes(path, stream.getvalue())


def load_jump(path: Path) -> LoadedJump:
    """Read a trained jump; nothing in the file is executed.

    Raises ArtifactError when it is missing, truncated, foreign or of another version.
    """
    content = _read(path)
    found = (content.get("schema"), content.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise ArtifactError(
            f"{path} is not a trained jump of this version of kstep: give the best.ckpt that "
            "`kstep train` wrote, or train again."
        )
    try:
        config = ModelConfig.model_validate(content["model_config"])
        physics = JumpPhysics.model_validate(content["physics"])
        model = build_model(config, physics)
        model.load_state_dict(content["weights"])
    except (KeyError, ValidationError, RuntimeError):
        raise ArtifactError(
            f"{path} does not fit the model it describes: delete it and train again."
        ) from None
    model.eval().requires_grad_(False)
    return LoadedJump(model, physics, content["record"])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: run `kstep train` first.") from None
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, KeyError,
            ValueError):  # fmt: skip
        raise ArtifactError(
            f"{path} is truncated or not a checkpoint: delete it and run `kstep train` again."
        ) from None
    return content if isinstance(content, dict) else {}

"""What a training starts from: fresh weights, or those of another network."""

from pathlib import Path

from kstep.config import Config
from kstep.errors import ConfigError
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.checkpoint import LoadedJump, load_jump
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics
from kstep.regressed.training.data import TrainingData, measure_physics


def first_model(config: Config, data: TrainingData) -> JumpModel:
    """The model before its first step (seed torch first).

    With `train.start_from` it has that network's weights, whatever stride they were trained for.

    Raises ArtifactError when that file is not a trained jump, ConfigError when `model` describes
    another network than it holds.
    """
    start = config.train.start_from
    if start is None:
        physics = measure_physics(config, data)
        return build_model(config.model, physics, config.train.grad_checkpointing)
    loaded = load_jump(start)
    require_same_network(config, loaded, start)
    physics = inherited_physics(measure_physics(config, data), loaded.physics)
    model = build_model(config.model, physics, config.train.grad_checkpointing)
    model.load_state_dict(loaded.model.state_dict())
    return model


def inherited_physics(own: JumpPhysics, start: JumpPhysics) -> JumpPhysics:
    """The physics of a training that goes on from another.

    Units stay those the weights know where the length of the jump is the same, and displacements
    are bounded no more narrowly. What the network saw before it goes on knowing: elements,
    masses and environments add up. Molecules and temperatures are its own: they say what it is
    made for.
    """
    same_length = own.duration == start.duration
    caps = {z: max(own.caps_nm.get(z, 0.0), start.caps_nm.get(z, 0.0))
            for z in sorted(own.elements | start.elements)}  # fmt: skip
    masses = {z: tuple(sorted({*own.masses_Da.get(z, ()), *start.masses_Da.get(z, ())}))
              for z in caps}  # fmt: skip
    return own.model_copy(
        update={
            "scales": start.scales if same_length else own.scales,
            "caps_nm": caps,
            "masses_Da": masses,
            "environments": tuple(sorted({*own.environments, *start.environments})),
        }
    )


def require_same_network(config: Config, loaded: LoadedJump, start: Path) -> None:
    """Raise ConfigError when `model` describes another network than the one to start from."""
    theirs, ours = loaded.model.config, config.model
    different = [
        name for name in type(ours).model_fields
        if name != "max_disp_nm" and getattr(ours, name) != getattr(theirs, name)
    ]  # fmt: skip
    if different:
        settings = " ".join(f"model.{name}={getattr(theirs, name)}" for name in different)
        raise ConfigError(
            f"train.start_from={start} holds another network than the one configured: set "
            f"{settings}, or leave train.start_from out."
        )

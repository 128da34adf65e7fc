"""What an adaptation starts from, and what its networks say they are for."""

from pathlib import Path

import torch

from kstep.artifacts import hash_config, hash_file
from kstep.config import Config
from kstep.errors import ConfigError
from kstep.integrators.correctors import CORRECTORS
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics, Scales, require_match
from kstep.regressed.networks.splitting import SplittingJump, closing_weight
from kstep.surrogates.force_field_like.layers import silence
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.shipped import shipped_checkpoint
from kstep.system.environments import environments
from kstep.system.prepared import PreparedMolecule


def start_checkpoint(config: Config) -> Path | None:
    """The file of the network to start from (`adapt.start_from`); None for fresh weights.

    Raises ArtifactError where none is shipped for the configuration.
    """
    start = config.adapt.start_from
    if start == "fresh":
        return None
    return shipped_checkpoint(config) if start == "shipped" else Path(start)


def start_hash(config: Config) -> str:
    """What identifies the start: the file, or the settings of fresh weights."""
    path = start_checkpoint(config)
    return hash_config(config.model) if path is None else hash_file(path)


def learns_forces(model: JumpModel) -> bool:
    """Whether labelled states are enough to adapt a network: it has a learned potential."""
    return isinstance(model, SplittingJump) and isinstance(model.learned, LearnedPotential)


def start_model(config: Config, molecule: PreparedMolecule) -> JumpModel:
    """The network to start from, as one for this molecule and its potential.

    Its file says one base step: a force serves every stride, and which one is a run's to say.

    Raises ArtifactError when it has not seen an element or was trained for another base step,
    ConfigError for fresh weights of a network that does not learn from forces.
    """
    path = start_checkpoint(config)
    model = _fresh(config, molecule) if path is None else _grown(load_jump(path).model, config)
    model = model.composed(1, config.md.dt_ps, drifts_per_step=1, impulse=0.0)
    require_match(
        model.physics,
        str(path),
        k_steps=1,
        dt_ps=config.md.dt_ps,
        landing=CORRECTORS[config.hybrid.corrector].landing,
        elements=molecule.numbers.tolist(),
        masses=molecule.masses.tolist(),
        molecule=molecule.name,
    )
    model.physics = _own_physics(model.physics, config, molecule)
    return model


def _grown(model: JumpModel, config: Config) -> JumpModel:
    """The network, with atoms that feel strains if `model.strains` says so and they did not yet.

    It gives the forces it gave before: what is new is silent until it has learned.
    """
    if not learns_forces(model) or model.config.strains or not config.model.strains:
        return model
    torch.manual_seed(config.train.seed)
    grown = build_model(model.config.model_copy(update={"strains": True}), model.physics)
    assert isinstance(grown, SplittingJump) and isinstance(grown.learned, LearnedPotential)
    assert grown.learned.nonbonded.strain is not None
    grown.load_state_dict(model.state_dict(), strict=False)
    silence(grown.learned.nonbonded.strain)
    return grown.eval()


def _fresh(config: Config, molecule: PreparedMolecule) -> JumpModel:
    """Untrained weights: of forces it knows what the molecule's force field says of bonds."""
    numbers, dt_ps = molecule.numbers, config.md.dt_ps
    physics = JumpPhysics(
        k_steps=1,
        dt_ps=dt_ps,
        landing="closing_kick",
        closing_ps=closing_weight(1, dt_ps),
        scales=Scales(velocity=1.0, force=1.0, position_residual=1.0, velocity_residual=1.0),
        caps_nm=dict.fromkeys(numbers.tolist(), 0.0),  # a splitting bounds no displacement
        masses_Da={
            number: tuple(sorted(set(molecule.masses[numbers == number].tolist())))
            for number in numbers.tolist()
        },
        fingerprints={},
        temperatures_K=(),
    )
    torch.manual_seed(config.train.seed)
    model = build_model(config.model, physics)
    if not learns_forces(model):
        raise ConfigError(
            "adapt.start_from=fresh is for model.arch splitting with conservative kicks, which "
            "learns from forces alone: give a trained checkpoint, or choose that architecture."
        )
    return model.eval()


def _own_physics(start: JumpPhysics, config: Config, molecule: PreparedMolecule) -> JumpPhysics:
    """The start's physics, made for one molecule: what it knew of chemistry it goes on knowing."""
    known = {*start.environments, *environments(molecule.numbers, molecule.bonds)}
    return start.model_copy(
        update={
            "fingerprints": {molecule.name: molecule.fingerprint},
            "temperatures_K": tuple(sorted(config.hybrid.temperatures)),
            "environments": tuple(sorted(known)),
            "potential": molecule.potential_title,
        }
    )

"""A trained network as a jump."""

from dataclasses import dataclass
from pathlib import Path

from kstep.artifacts import Record
from kstep.config import Config, Landing
from kstep.errors import ConfigError
from kstep.integrators.state import Replicas
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import require_match
from kstep.regressed.networks.predictor import JumpPredictor, make_predictor, one_thread
from kstep.system.prepared import PreparedMolecule


@dataclass(frozen=True)
class Network:
    """A trained jump, and what it cost.

    Attributes:
        checkpoint: its file.
        training_calls: true-force calls that were spent on training it for the molecule it is
            used on; None: those of the bursts beside the molecule's baseline.
        training_minutes: wall-clock time that an adaptation took, its force calls included.
        training_rounds: what it erred by on states it had not learned from, label by label: the
            `rounds` of `kstep.adapt`'s record.
    """

    checkpoint: Path
    training_calls: int | None = None
    training_minutes: float | None = None
    training_rounds: tuple[Record, ...] = ()


@dataclass(frozen=True)
class LearnedJump:
    """A network's prediction behind the `Jump` interface."""

    predictor: JumpPredictor
    k_steps: int
    landing: Landing
    closing_ps: float
    n_atoms: int

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """One network call for all replicas."""
        if x.shape[1] != self.n_atoms:  # compiled code would write beyond its arrays
            raise ConfigError(
                f"a jump of a molecule of {self.n_atoms} atoms was given {x.shape[1]}: load it for "
                "the molecule that it is to move."
            )
        return self.predictor(x, v, forces)


def as_configured(model: JumpModel, config: Config) -> JumpModel:
    """The jump that a configuration asks of a network: its stride, base step, drifts, impulse."""
    hybrid = config.hybrid
    return model.composed(config.stride, config.md.dt_ps, hybrid.drifts_per_step, hybrid.impulse)


def load_learned_jump(
    checkpoint: Path,
    molecule: PreparedMolecule,
    k_steps: int,
    dt_ps: float,
    landing: Landing,
    drifts_per_step: int = 1,
    impulse: float = 0.0,
) -> LearnedJump:
    """Load a checkpoint for one molecule.

    A splitting is composed as asked for (`SplittingJump.composed`): any number and length of base
    steps, drifts, impulse and masses suit its learned force. Other jumps leave no such choice.

    Raises ArtifactError when the checkpoint is missing or was trained for another stride, base
    step, landing, set of elements or masses, or on another preparation of this molecule.
    """
    model = load_jump(checkpoint).model.composed(k_steps, dt_ps, drifts_per_step, impulse)
    require_match(
        model.physics,
        str(checkpoint),
        k_steps=k_steps,
        dt_ps=dt_ps,
        landing=landing,
        elements=molecule.numbers.tolist(),
        masses=molecule.masses.tolist(),
        fingerprint=molecule.fingerprint,
        molecule=molecule.name,
        potential=molecule.potential_title,
    )
    with one_thread():  # sums over several might end in other digits
        predictor = make_predictor(model, molecule.numbers, molecule.masses, molecule.terms)
    physics = model.physics
    ends = (physics.k_steps, physics.landing, physics.closing_ps)
    return LearnedJump(predictor, *ends, molecule.n_atoms)

"""What a trained jump is a jump of: stride, landing, units of its targets, chemistry seen."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from kstep.config import Landing
from kstep.errors import ArtifactError
from kstep.molecule import SYMBOLS


class Scales(BaseModel):
    """Root mean squares over the training data that bring inputs and targets to order one.

    All are mass-weighted, so that they share the unit √(kJ/mol), and per component. With
    `model.predict_delta: false` the residuals are those of a network that has no free flight
    to lean on: √m Δx/τ and √m v'.

    Attributes:
        velocity: √m v.
        force: τ F/√m.
        position_residual: √m (Δx − τ v)/τ.
        velocity_residual: √m Δv.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    velocity: float
    force: float
    position_residual: float
    velocity_residual: float


class JumpPhysics(BaseModel):
    """The facts about a jump that are not weights.

    Attributes:
        k_steps: base steps per jump.
        dt_ps: base step, ps.
        landing: `step` lands on (x, v) at t + k·dt; `half_step` on the leapfrog state half a
            base step later.
        scales: units of the network's inputs and outputs.
        caps_nm: atomic number → largest |Δx| relative to the centre of mass, nm; its keys are
            the elements the model knows.
        molecules: names of the training molecules.
        temperatures_K: temperatures of the training data, K.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k_steps: int
    dt_ps: float
    landing: Landing
    scales: Scales
    caps_nm: dict[int, float]
    molecules: tuple[str, ...]
    temperatures_K: tuple[float, ...]

    @property
    def duration(self) -> float:
        """Time τ from the start to the landing, ps."""
        steps = self.k_steps + (0.5 if self.landing == "half_step" else 0.0)
        return steps * self.dt_ps

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers the model was trained on."""
        return frozenset(self.caps_nm)


def require_match(
    physics: JumpPhysics,
    source: str,
    *,
    k_steps: int,
    dt_ps: float,
    landing: Landing,
    elements: Iterable[int] = (),
    molecule: str = "the molecule",
) -> None:
    """Refuse a model that was trained for something else.

    Args:
        physics: what the model was trained for.
        source: the checkpoint's name, for the message.
        k_steps: base steps per jump wanted.
        dt_ps: base step wanted, ps.
        landing: landing wanted.
        elements: atomic numbers it shall be used on.
        molecule: the molecule they belong to, for the message.

    Raises ArtifactError naming the first difference.
    """
    if physics.k_steps != k_steps:
        raise ArtifactError(
            f"{source} jumps {physics.k_steps} base steps, not {k_steps}: train again with "
            f"train.k_steps={k_steps} or set it to {physics.k_steps}."
        )
    if abs(physics.dt_ps - dt_ps) > 1e-9:
        raise ArtifactError(
            f"{source} was trained with a base step of {physics.dt_ps * 1e3:g} fs, not "
            f"{dt_ps * 1e3:g} fs: set md.dt_fs={physics.dt_ps * 1e3:g} or make the data and "
            "the model again."
        )
    if physics.landing != landing:
        raise ArtifactError(
            f"{source} lands on '{physics.landing}', but the corrector needs '{landing}': "
            f"train again with train.landing={landing} or choose another hybrid.corrector."
        )
    unknown = sorted(set(elements) - physics.elements)
    if unknown:
        names = ", ".join(SYMBOLS.get(number, str(number)) for number in unknown)
        raise ArtifactError(
            f"{molecule} holds {names}, which {source} was not trained on: add a molecule with "
            "these elements to the training set and train again."
        )

"""What a trained jump is a jump of: stride, landing, units of its targets, chemistry seen."""

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from kstep.config import OPENFF, Landing
from kstep.errors import ArtifactError
from kstep.system.molecule import symbol

_GIVEN = re.compile(r"system [0-9a-f]+")
"""The title of a System that was given and has a force field's terms alone."""

MASS_TOLERANCE = 1e-3
"""Masses this close are the same, Da: far below any isotope or repartitioned mass."""


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
            base step later; `closing_kick` at t + k·dt but for the last kick.
        closing_ps: weight of the true force in the kicks that open and close the jump, ps; 0
            for the other landings.
        scales: units of the network's inputs and outputs.
        caps_nm: atomic number → largest |Δx| relative to the centre of mass, nm; its keys are
            the elements the model knows.
        masses_Da: atomic number → masses its atoms had in the training molecules, Da; without an
            element any mass of its atoms will do.
        fingerprints: names of the training molecules → their fingerprints.
        temperatures_K: temperatures of the training data, K.
        environments: chemical environments (`kstep.system.environments`) of the training molecules.
        potential: whose forces the model learned (`PreparedMolecule.potential_title`).
        units: of the states the model maps, and of all numbers here without a unit in their name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k_steps: int
    dt_ps: float
    landing: Landing
    closing_ps: float = 0.0
    scales: Scales
    caps_nm: dict[int, float]
    masses_Da: dict[int, tuple[float, ...]]
    fingerprints: dict[str, str]
    temperatures_K: tuple[float, ...]
    environments: tuple[str, ...] = ()
    potential: str = OPENFF
    units: Literal["nm, ps, Da, kJ/mol"] = "nm, ps, Da, kJ/mol"

    @field_validator("potential")
    @classmethod
    def _with_solvent(cls, value: str) -> str:
        """Older files say openff, which was in OBC2."""
        return OPENFF if value == "openff" else value

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
    elements: Sequence[int] = (),
    masses: Sequence[float] = (),
    fingerprint: str | None = None,
    molecule: str = "the molecule",
    potential: str | None = None,
) -> None:
    """Refuse a model that was trained for something else.

    Args:
        physics: what the model was trained for.
        source: the checkpoint's name, for the message.
        k_steps: base steps per jump wanted.
        dt_ps: base step wanted, ps.
        landing: landing wanted.
        elements: atomic numbers it shall be used on.
        masses: Da, one for each of `elements`; none: not compared.
        fingerprint: of the molecule they belong to, compared if it was trained on.
        molecule: name of that molecule.
        potential: whose forces move it; None: not compared.

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
    _require_atoms(physics, source, elements, masses, molecule)
    if potential not in (None, physics.potential) and not resembles(physics, potential):
        raise ArtifactError(
            f"{source} learned the forces of {physics.potential}, but {molecule} was prepared for "
            f"{potential}: run `kstep adapt` for this potential and set hybrid.network=adapted."
        )
    trained = physics.fingerprints.get(molecule)
    if None not in (fingerprint, trained) and fingerprint != trained:
        raise ArtifactError(
            f"{source} was trained on another {molecule}, of other parameters or another solvent: "
            "prepare it as for the training, or make the data and the model again."
        )


def resembles(physics: JumpPhysics, potential: str | None) -> bool:
    """Whether a potential is a given System whose terms a model of a force field may know."""
    given = potential is not None and _GIVEN.fullmatch(potential) is not None
    return given and physics.potential.startswith("openff")


def _require_atoms(
    physics: JumpPhysics,
    source: str,
    elements: Sequence[int],
    masses: Sequence[float],
    molecule: str,
) -> None:
    """Refuse elements, and masses of elements, that a model has not seen."""
    unknown = sorted(set(elements) - physics.elements)
    if unknown:
        names = ", ".join(symbol(number) for number in unknown)
        raise ArtifactError(
            f"{molecule} holds {names}, which {source} was not trained on: add a molecule with "
            "these elements to the training set and train again."
        )
    for number, mass in zip(elements, masses, strict=bool(masses)):
        known = physics.masses_Da.get(number, (mass,))
        if all(abs(mass - other) > MASS_TOLERANCE for other in known):
            trained = " or ".join(f"{other:g}" for other in known)
            raise ArtifactError(
                f"{molecule} has {symbol(number)} atoms of {mass:g} Da, but {source} was trained "
                f"with {trained} Da: prepare it with these masses, or make the data and the "
                "model again."
            )

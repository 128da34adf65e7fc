"""The true potential that a configuration names, and which names there are."""

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from kstep.config.base import Positive, Section

GROUP: Final = "kstep.potentials"
"""Entry points of this group name callables that take settings and return a `Method`."""

_OWN: Final = {
    name: EntryPoint(name, f"kstep.potentials.{place}", GROUP)
    for name, place in {
        "gfn2-xtb": "xtb:gfn2",
        "gfn1-xtb": "xtb:gfn1",
        "ase": "calculators:Ase",
        "so3lr": "so3lr:So3lr",
        "pyscf": "pyscf:Pyscf",
    }.items()
}
_IN_OPENMM: Final = ("openff", "system")
OPENFF: Final = "openff-2.2.1 in OBC2"
"""The title of openff as `prep` has it by default; what "openff" alone meant in older files."""

XTB_NAMES: Final = ("gfn2-xtb", "gfn1-xtb")
CALCULATOR_PATH: Final = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")
_USED: Final = {"ase": ("calculator",), **dict.fromkeys(XTB_NAMES, ("solvent", "accuracy"))}
"""Settings by potential; those not named here or in OpenMM take `settings`."""


def registered(name: str) -> EntryPoint | None:
    """Where the method of that name is: kstep's own, or one that an installed package registers."""
    if name in _OWN:
        return _OWN[name]
    return next(iter(entry_points(group=GROUP, name=name)), None)


def names() -> list[str]:
    """All names that `potential.name` can have here."""
    return sorted({*_IN_OPENMM, *_OWN, *entry_points(group=GROUP).names})


class PotentialConfig(Section):
    """The true potential: whose forces are simulated, learned and judged by."""

    name: str = Field(
        "openff",
        description="openff: prep's force field; gfn2-xtb, gfn1-xtb: tight binding (extra xtb); "
        "so3lr: a machine-learned potential (extra so3lr); pyscf: density functional theory (extra "
        "pyscf); ase: a calculator (extra ase); system: the one given with --system; or the name "
        "of one that another package registers",
    )
    solvent: Literal["none", "water"] = Field(
        "none", description="xTB: implicit solvent (ALPB); prep.implicit_solvent is openff's"
    )
    accuracy: Positive = Field(
        0.1, description="xTB: numerical accuracy, smaller is finer; energy drifts with more"
    )
    calculator: str | None = Field(
        None,
        description="ase: package.module:callable that takes nothing and returns a calculator",
    )
    settings: dict[str, JsonValue] = Field(
        {}, description="the other potentials: theirs, as in {functional: pbe, basis: def2-svp}"
    )

    @property
    def is_python(self) -> bool:
        """Whether a program outside OpenMM computes it."""
        return self.name not in _IN_OPENMM

    @property
    def arguments(self) -> dict[str, Any]:
        """What the callable behind the name is called with."""
        used: dict[str, Any] = {key: getattr(self, key) for key in _USED.get(self.name, ())}
        if used.get("solvent") == "none":
            used["solvent"] = None
        return used or dict(self.settings)

    def title(self, force_field: str, implicit_solvent: str) -> str:
        """What it is, in few words: what a network must have learned to be of use with it.

        Args:
            force_field: `prep.force_field`, which is openff's.
            implicit_solvent: `prep.implicit_solvent`, likewise.
        """
        if self.name == "openff":
            solvent = "vacuum" if implicit_solvent == "None" else implicit_solvent
            return f"{force_field.removesuffix('.offxml')} in {solvent}"
        if self.name == "ase":
            return f"ase {self.calculator}"
        chosen = [f"{key}={value}" for key, value in sorted(self.settings.items())]
        return " ".join([self.name if self.solvent == "none" else f"{self.name} in {self.solvent}",
                         *chosen])  # fmt: skip

    @property
    def identity(self) -> dict[str, JsonValue]:
        """The settings that decide its energies: name, and what the name makes use of."""
        own = {key: getattr(self, key) for key in _USED.get(self.name, ())}
        return {"name": self.name, **own, **({"settings": self.settings} if self.settings else {})}

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in _IN_OPENMM and registered(value) is None:
            raise ValueError(f"{value} is none of {', '.join(names())}")
        return value

    @model_validator(mode="after")
    def _settings_in_use(self) -> "PotentialConfig":
        if self.solvent != "none" and self.name not in XTB_NAMES:
            raise ValueError(f"solvent is for {' and '.join(XTB_NAMES)}: leave it out")
        if self.settings and self.name in (*_IN_OPENMM, *_USED):
            raise ValueError(f"settings says nothing to {self.name}: leave it out")
        if (self.calculator is None) == (self.name == "ase"):
            raise ValueError(
                "calculator (package.module:callable) goes with name ase, and with no other"
            )
        if self.calculator is not None and not CALCULATOR_PATH.fullmatch(self.calculator):
            raise ValueError(
                f"calculator {self.calculator} is not of the form package.module:callable"
            )
        return self

"""The trials of the ablation, in the order in which they are tried."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kstep.config import Config

FIXED_CAP_NM_PER_STEP = 0.0025
"""Displacement cap of the original plan for each base step; `auto` takes it from the data."""
FORCE_WEIGHT = 0.1


@dataclass(frozen=True)
class Trial:
    """One training with its hybrid run and verdict.

    Attributes:
        k_steps: base steps per jump.
        cap: largest displacement per jump, nm, or "auto" for the data's.
        force_head: whether forces are predicted and matched too.
    """

    k_steps: int
    cap: float | Literal["auto"]
    force_head: bool = False

    @property
    def name(self) -> str:
        """Identifier, also the name of its folder."""
        cap = self.cap if self.cap == "auto" else f"cap{self.cap:g}"
        return f"k{self.k_steps}-{cap}" + ("-force" if self.force_head else "")

    def configure(self, config: Config) -> Config:
        """The configuration of this trial, with a run folder of its own.

        At k = 4 there are no momentum and centre-of-mass terms; the force head brings its
        weight.
        """
        train = {
            "k_steps": self.k_steps,
            "lambda_com": 0.0 if self.k_steps == 4 else config.train.lambda_com,
            "lambda_force": FORCE_WEIGHT if self.force_head else 0.0,
        }
        model = {"max_disp_nm": self.cap, "use_force_head": self.force_head}
        return config.model_copy(
            update={
                "paths": config.paths.model_copy(update={"run": folder(config) / self.name}),
                "train": config.train.model_copy(update=train),
                "hybrid": config.hybrid.model_copy(update={"k_steps": self.k_steps}),
                "model": config.model.model_copy(update=model),
            }
        )


def trials_of(k_steps: int, config: Config) -> list[Trial]:
    """The trials at one k without force head: fixed cap first, then the data's.

    A splitting has no caps, and a single trial.
    """
    if config.model.arch == "splitting":
        return [Trial(k_steps, "auto")]
    fixed = FIXED_CAP_NM_PER_STEP * k_steps
    caps: dict[str, float | Literal["auto"]] = {"fixed": fixed, "auto": "auto"}
    return [Trial(k_steps, caps[kind]) for kind in config.grid.caps]


def folder(config: Config) -> Path:
    """Where the grid's runs and its table lie."""
    return config.paths.run / "grid"

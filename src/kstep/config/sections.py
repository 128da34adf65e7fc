"""Every setting of kstep, with its meaning, unit, default and range.

One frozen class per section; a section is one YAML file in `configs/`. The descriptions here
are what `kstep <stage> --help` prints, so they are the reference documentation too.
"""

from pathlib import Path

from pydantic import Field, model_validator

from kstep.config.base import Section
from kstep.config.judging import EvalConfig, GridConfig
from kstep.config.jumping import HybridConfig
from kstep.config.learning import AdaptConfig, DatasetConfig, ModelConfig, TrainConfig
from kstep.config.potential import PotentialConfig
from kstep.config.simulating import ControlsConfig, MdConfig, PrepConfig


class PathsConfig(Section):
    """Where files lie."""

    data: Path = Field(
        Path("data"), description="folder of molecules.smi, raw, md, datasets, splits"
    )
    run: Path = Field(Path("runs/default"), description="folder of one trained model and its runs")


_LANDINGS = {"drift_kick_drift": "half_step", "closing_kick": "closing_kick"}
"""Where a jump must end for a corrector, if not on a step."""


class Config(Section):
    """All sections together."""

    paths: PathsConfig = PathsConfig()
    potential: PotentialConfig = PotentialConfig()
    prep: PrepConfig = PrepConfig()
    md: MdConfig = MdConfig()
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    adapt: AdaptConfig = AdaptConfig()
    hybrid: HybridConfig = HybridConfig()
    controls: ControlsConfig = ControlsConfig()
    eval: EvalConfig = EvalConfig()
    grid: GridConfig = GridConfig()

    @property
    def stride(self) -> int:
        """Base steps of a jump in the hybrid run."""
        return self.hybrid.k_steps or self.train.k_steps

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if self.prep.constraints != self.md.constraints:
            raise ValueError("md.constraints must equal prep.constraints")
        if self.prep.implicit_solvent != self.md.implicit_solvent:
            raise ValueError("md.implicit_solvent must equal prep.implicit_solvent")
        if (self.train.lambda_force > 0) != self.model.use_force_head:
            raise ValueError(
                "train.lambda_force must be above 0 with model.use_force_head (0.1 is usual), "
                "and 0 without"
            )
        if self.train.k_steps not in self.dataset.k_steps:
            raise ValueError(
                f"train.k_steps {self.train.k_steps} is not among dataset.k_steps: add it there"
            )
        if self.model.arch != "splitting" and self.stride != self.train.k_steps:
            raise ValueError(
                f"hybrid.k_steps {self.stride} is not what model.arch {self.model.arch} jumps, "
                f"train.k_steps {self.train.k_steps}: leave it out, or train for that stride"
            )
        landing = _LANDINGS.get(self.hybrid.corrector, "step")
        if self.train.landing != landing:
            raise ValueError(
                f"train.landing must be {landing} with hybrid.corrector {self.hybrid.corrector}"
            )
        if (self.model.arch == "splitting") != (landing == "closing_kick"):
            raise ValueError(
                "model.arch splitting goes with train.landing closing_kick and hybrid.corrector "
                "closing_kick, and these with no other: configs/propagator has all three for the "
                "propagator"
            )
        return self

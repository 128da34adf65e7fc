"""What decides the trajectory of one control, and how much of it there is."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from kstep.config import Config
from kstep.errors import ConfigError
from kstep.integrators.reference.variants import Variant
from kstep.units import PS_PER_FS, PS_PER_NS

_RELATIVE_ROUNDING = 1e-9


class Plan(BaseModel):
    """Every setting that a control's trajectory depends on; its hash is the control's.

    Settings of other controls and of stages that it does not share are left out, so that adding
    a control leaves the finished ones as they are.
    """

    model_config = ConfigDict(frozen=True)

    control: str
    dt_ps: float
    temperature_K: float
    friction_per_ps: float
    save_interval_ps: float
    equilibration_ps: float
    replicas: int
    length_ps: float
    nve_windows: int
    nve_window_ps: float
    nonbonded_cutoff_nm: float | None
    constraints: Literal["HBonds", "None"]
    implicit_solvent: Literal["OBC2", "None"]
    seed: int
    platform: str

    @property
    def interval_steps(self) -> int:
        """Steps between saved frames."""
        return round(self.save_interval_ps / self.dt_ps)

    @property
    def equilibration_steps(self) -> int:
        """Steps before the first interval: whole intervals, for GHMC tests at their ends."""
        intervals = math.ceil(self.equilibration_ps / self.save_interval_ps - _RELATIVE_ROUNDING)
        return intervals * self.interval_steps

    @property
    def n_frames(self) -> int:
        """Frames of one replica."""
        return max(1, round(self.length_ps / self.save_interval_ps))

    @property
    def window_frames(self) -> int:
        """Frames of one NVE window."""
        return max(1, round(self.nve_window_ps / self.save_interval_ps))

    def windows_of(self, replica: int) -> int:
        """NVE windows that start from this replica: they are dealt out in turn."""
        return len(range(replica, self.nve_windows, self.replicas))

    def picoseconds(self, replica: int) -> float:
        """Simulated time of a replica with its windows, as the progress bar counts it."""
        frames = self.n_frames + self.windows_of(replica) * self.window_frames
        return self.equilibration_ps + frames * self.save_interval_ps


def plan_of(config: Config, variant: Variant) -> Plan:
    """The plan of one control.

    Raises ConfigError when the baseline's frames do not fall on the control's steps.
    """
    md, controls = config.md, config.controls
    interval = md.save_interval_steps * md.dt_ps
    steps = interval / variant.dt_ps
    if round(steps) < 1 or abs(steps - round(steps)) > _RELATIVE_ROUNDING * steps:
        raise ConfigError(
            f"frames every {interval / PS_PER_FS:g} fs (md.save_interval_steps x md.dt_fs) do not "
            f"fall on the steps of {variant.dt_ps / PS_PER_FS:g} fs of the control {variant.name}: "
            "change md.save_interval_steps, or leave it out of controls.integrators."
        )
    return Plan(
        control=variant.name,
        dt_ps=variant.dt_ps,
        temperature_K=md.temperatures[0],
        friction_per_ps=md.friction_per_ps,
        save_interval_ps=interval,
        equilibration_ps=md.equilibration_ps,
        replicas=controls.replicas,
        length_ps=controls.length_ns * PS_PER_NS,
        nve_windows=controls.nve_windows,
        nve_window_ps=controls.nve_window_ps,
        nonbonded_cutoff_nm=md.nonbonded_cutoff_nm,
        constraints=md.constraints,
        implicit_solvent=md.implicit_solvent,
        seed=controls.seed,
        platform=controls.platform,
    )

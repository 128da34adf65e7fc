"""Plain molecular dynamics: preparation, baseline, controls."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kstep.config.base import (
    Count,
    NonNegative,
    Positive,
    Section,
    Seed,
    Temperatures,
    as_tuple,
    check_temperatures,
)
from kstep.units import PS_PER_FS, PS_PER_NS


class PrepConfig(Section):
    """SMILES → conformer → force field → OpenMM System."""

    molecules: Path | None = Field(
        None,
        description="SMILES list, one 'SMILES name' a line; default: <paths.data>/molecules.smi",
    )
    force_field: str = Field("openff-2.2.1.offxml", description="OpenFF force field file")
    charge_model: str = Field(
        "openff-gnn-am1bcc-1.0.0.pt", description="NAGL model of the AM1-BCC charges"
    )
    max_heavy_atoms: Count = Field(100, description="largest molecule accepted, heavy atoms")
    constraints: Literal["HBonds", "None"] = Field(
        "HBonds", description="HBonds: all bonds to hydrogen at fixed length"
    )
    implicit_solvent: Literal["OBC2", "None"] = Field("OBC2", description="implicit water model")
    hydrogen_mass: Positive | None = Field(
        None,
        description="Da, taken from their heavy atoms: 3 allows md.dt_fs=4; null: natural masses",
    )
    seed: Seed = Field(42, description="seed of the conformer embedding (ETKDGv3)")


class BurstConfig(Section):
    """Short NVE runs from sampled frames: the source of training windows."""

    count: int = Field(1000, ge=0, description="bursts per molecule and temperature")
    stride_steps: Count = Field(4, description="base steps between stored burst states")
    length_steps: Count = Field(48, description="base steps per burst (3 x the largest k)")

    @model_validator(mode="after")
    def _whole_strides(self) -> "BurstConfig":
        if self.length_steps % self.stride_steps:
            raise ValueError("length_steps must be a multiple of stride_steps")
        return self


class MotionConfig(Section):
    """NVE windows saved as densely as the integrator steps: what spectra are made of."""

    windows: int = Field(96, ge=0, description="windows per molecule; 0: none")
    window_ps: Positive = Field(20.0, description="length of each, ps")


class MdConfig(Section):
    """Baseline molecular dynamics."""

    temperature_K: Temperatures = Field(
        [300.0, 350.0],
        description="temperature, K; a list gives the sampling runs at each, the first is the one "
        "judged, the others show whether the ensemble is right",
    )
    friction_per_ps: Positive = Field(1.0, description="Langevin friction, 1/ps")
    dt_fs: Annotated[float, Field(gt=0, le=4)] = Field(2.0, description="base time step, fs")
    replicas: Count = Field(
        8, description="independent sampling runs per molecule and temperature, each equilibrated"
    )
    length_ns: Positive = Field(1.0, description="sampling length of each, ns")
    equilibration_ps: NonNegative = Field(20.0, description="discarded before sampling, ps")
    save_interval_steps: Count = Field(50, description="base steps between saved frames")
    constraints: Literal["HBonds", "None"] = Field(
        "HBonds", description="must be what prep.constraints made"
    )
    implicit_solvent: Literal["OBC2", "None"] = Field(
        "OBC2", description="must be what prep.implicit_solvent made"
    )
    nonbonded_cutoff_nm: Positive | None = Field(
        1.0, description="cutoff, nm; not applied to a molecule that fits inside it; null: none"
    )
    nve_window_ps: NonNegative = Field(100.0, description="length of an NVE window, ps; 0: none")
    nve_every_ps: Positive = Field(500.0, description="sampling time between NVE windows, ps")
    motion: MotionConfig = MotionConfig()
    burst: BurstConfig = BurstConfig()
    seed: Seed = Field(42, description="seed of thermostat and velocities")
    platform: str = Field("auto", description="OpenMM platform; auto: the fastest, by timing it")
    workers: int = Field(0, ge=0, description="parallel processes; 0: one per CPU core")

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures to sample, K."""
        return as_tuple(self.temperature_K)

    @property
    def dt_ps(self) -> float:
        """The base time step, ps."""
        return self.dt_fs * PS_PER_FS

    @model_validator(mode="after")
    def _something_to_do(self) -> "MdConfig":
        check_temperatures(self.temperatures)
        if self.save_interval_steps * self.dt_ps > self.length_ns * PS_PER_NS:
            raise ValueError("length_ns is shorter than one interval of save_interval_steps")
        return self


Control = Literal["half_fs", "ghmc", "langevin_middle", "hmr_3", "hmr_1.5", "respa"]


class ControlsConfig(Section):
    """Other ways to run plain MD, scored by the same referee."""

    integrators: list[Control] = Field(
        ["half_fs", "ghmc", "langevin_middle", "hmr_3", "hmr_1.5", "respa"],
        description="half_fs: 0.5 fs, the limit of small steps; ghmc: md.dt_fs with a Metropolis "
        "test for every frame, which has the averages of that limit; langevin_middle: md.dt_fs; "
        "hmr_3, hmr_1.5: 4 fs with hydrogens of 3 and 1.5 Da; respa: 4 fs with bonded forces "
        "every 1 fs",
    )
    replicas: Count = Field(8, description="independent runs of each")
    length_ns: Positive = Field(1.0, description="sampling length of each run, ns")
    nve_windows: int = Field(8, ge=0, description="NVE windows of each integrator")
    nve_window_ps: Positive = Field(100.0, description="length of an NVE window, ps")
    seed: Seed = Field(43, description="seed of thermostat and velocities")
    platform: str = Field("auto", description="OpenMM platform; auto: the fastest, by timing it")
    workers: int = Field(0, ge=0, description="parallel processes; 0: one per CPU core")

"""The hybrid run."""

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
from kstep.config.simulating import MotionConfig

GUARDED_ATOMS = 20
"""Up to which the guard's bounds on energies hold as they stand."""


class GuardConfig(Section):
    """When a jump is discarded and its steps are done by true MD.

    The bounds on energies are those of a molecule of up to 20 atoms, and grow with the square root
    of the number of atoms beyond.
    """

    enabled: bool = Field(True, description="false: nothing but non-finite numbers is caught")
    max_energy_error: Positive = Field(
        10.0,
        description="largest change of the total energy in a macro-step, kJ/mol; times √(N/20) for "
        "more than 20 atoms",
    )
    max_energy_debt: Positive = Field(
        10.0,
        description="largest energy that all jumps together may have added or lost and the "
        "thermostat not yet taken back, kJ/mol; times √(N/20) for more than 20 atoms",
    )
    max_displacement_nm: Positive = Field(
        0.6,
        description="largest displacement of an atom from free flight, nm; and 10 nm/ps for what "
        "a jump takes longer than 0.08 ps",
    )


class BasinConfig(Section):
    """Time to basin: how soon a run from a randomised start reaches the best minimum."""

    starts: int = Field(8, ge=0, description="randomised starts per molecule; 0: leave out")
    randomise_K: Positive = Field(1000.0, description="temperature that randomises the starts, K")
    randomise_ps: Positive = Field(2.0, description="time at that temperature, ps")
    length_ps: Positive = Field(20.0, description="longest search from one start, ps")
    quench_every_ps: Annotated[float, Field(ge=0.02)] = Field(
        0.5, description="time between quenches, ps"
    )

    @model_validator(mode="after")
    def _some_quench(self) -> "BasinConfig":
        if self.quench_every_ps > self.length_ps:
            raise ValueError("quench_every_ps is longer than length_ps")
        return self


class HybridConfig(Section):
    """The hybrid run: jump, conservation, constraints, corrector, guard, thermostat."""

    network: Literal["trained", "adapted", "shipped"] | Path = Field(
        "trained",
        description="who jumps: trained: paths.run's network; adapted: `kstep adapt`'s for each "
        "molecule; shipped: the one that comes with kstep; or a checkpoint file",
    )
    k_steps: Count | None = Field(
        None,
        description="base steps per jump: any number of them for a splitting; null: train.k_steps, "
        "which is all that a network of whole jumps leaves",
    )
    corrector: Literal["closing_kick", "drift_kick_drift", "velocity_verlet", "none"] = Field(
        "closing_kick",
        description="true-force calls per macro-step: 1, 1, 2 and 1; closing_kick: of a splitting",
    )
    drifts_per_step: Count = Field(
        1, description="drifts of a splitting, with kicks between, for each base step of its jump"
    )
    impulse: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="weight of the true force at the ends of a splitting's jump: 0: as in the step "
        "of one drift; 1: as over the whole jump, the learned force correcting in between",
    )
    ensemble: Literal["nvt", "ghmc"] = Field(
        "nvt",
        description="how the run samples: nvt: thermostat; ghmc: every jump accepted or refused by "
        "its true energy, exact for any weights (splitting only)",
    )
    extra_chances: int = Field(
        0,
        ge=0,
        description="ghmc: how many jumps farther a refused one is followed, and tested again, "
        "before the velocities are turned round (a true-force call each)",
    )
    temperature_K: Temperatures = Field(
        [300.0, 350.0],
        description="temperature, K, or a list: as md.temperature_K, or the first of it",
    )
    friction_per_ps: Positive = Field(1.0, description="thermostat friction in NVT, 1/ps")
    length_ps: NonNegative = Field(1000.0, description="NVT sampling per replica, ps")
    nve_windows: int = Field(16, ge=0, description="NVE windows per molecule")
    nve_rescaled_windows: int = Field(
        0, ge=0, description="NVE windows with velocities rescaled to the energy after each jump"
    )
    nve_window_ps: Positive = Field(100.0, description="length of an NVE window, ps")
    motion: MotionConfig = MotionConfig()
    replicas: Count = Field(
        8, description="independent copies per temperature, one network call for all"
    )
    save_interval_steps: Count = Field(50, description="base steps between saved frames, at least")
    energy_rescale: bool = Field(
        True,
        description="in NVT: rescale velocities after a jump to the energy before it (never with "
        "closing_kick, where it would break the structure)",
    )
    projection_iterations: int = Field(
        0, ge=0, description="minimiser iterations after the jump (each a true-force call)"
    )
    guard: GuardConfig = GuardConfig()
    basin: BasinConfig = BasinConfig()
    map_samples: int = Field(
        8, ge=0, description="states at which the map's reversibility and volume are measured"
    )
    checkpoint_every_ps: Positive = Field(10.0, description="simulated time between restart files")
    molecules: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="names to run; null: all prepared"
    )
    seed: Seed = Field(42, description="seed of thermostat and velocities")
    platform: str = Field("auto", description="OpenMM platform; auto: the fastest, by timing it")
    workers: int = Field(0, ge=0, description="parallel processes; 0: one per CPU core")

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures to sample, K; the first is the one of NVE windows and the verdict."""
        return as_tuple(self.temperature_K)

    @model_validator(mode="after")
    def _something_to_do(self) -> "HybridConfig":
        check_temperatures(self.temperatures)
        if self.ensemble == "ghmc" and self.corrector != "closing_kick":
            raise ValueError(
                "ensemble ghmc is exact only for jumps that are reversible and keep volume: it "
                "needs model.arch splitting, with corrector closing_kick"
            )
        if self.length_ps == 0 and self.nve_windows == 0:
            raise ValueError("length_ps 0 and nve_windows 0 leave nothing to run")
        return self

"""Scoring, and the ablation that uses it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kstep.config.base import Count, Positive, Section, Seed


class EvalConfig(Section):
    """Scoring the hybrid against the baseline."""

    bin_nm: Positive = Field(0.02, description="bin width of radial distributions, nm")
    rdf_max_nm: Positive = Field(1.2, description="range of radial distributions, nm")
    bond_bin_nm: Positive = Field(0.002, description="bin width of bond lengths, nm")
    angle_bin_deg: Positive = Field(2.0, description="bin width of bond angles, degrees")
    dihedral_bin_deg: Annotated[float, Field(gt=0, le=90)] = Field(
        5.0, description="bin width of dihedrals, degrees; rounded to divide the circle"
    )
    basin_epsilon_kcal: Positive = Field(
        1.0, description="a basin is reached within this of the best minimum, kcal/mol"
    )
    basin_rmsd_nm: Positive = Field(0.075, description="or within this heavy-atom RMSD of it, nm")
    bootstrap: Count = Field(500, description="bootstrap samples of an error")
    max_drift: Positive = Field(
        0.001,
        description="accepted typical size of the NVE drift, kJ/mol/ps per atom (0.001 "
        "heats by about 4 K in 100 ps)",
    )
    max_mean_drift: Positive = Field(
        0.0005,
        description="accepted mean of the NVE drift with its sign, which adds up where scatter "
        "does not, kJ/mol/ps per atom",
    )
    max_kinetic_slope: Positive = Field(
        0.004, description="accepted change of the total energy per change of the kinetic, in NVE"
    )
    max_constraint_error: Positive = Field(
        1e-4, description="accepted relative error of a constrained bond length in any frame"
    )
    max_momentum_error: Positive = Field(
        1e-3, description="accepted change of momenta in NVE, in units of the thermal ones"
    )
    max_temperature_error: Positive = Field(
        0.015, description="accepted relative error of the temperature in NVT"
    )
    max_energy_width_error: Positive = Field(
        0.05, description="accepted relative error of the width of the kinetic energy in NVT"
    )
    max_share_error: Positive = Field(
        0.05,
        description="accepted relative error of the kinetic energy of an element, a bonded role "
        "or a mode in NVT",
    )
    max_nve_share_error: Positive = Field(
        0.15, description="the same of its share in NVE windows, where it can only condemn"
    )
    max_ensemble_error: Positive = Field(
        0.15, description="accepted relative error of d ln(P2/P1) / dU between two temperatures"
    )
    max_mean_shift: Positive = Field(
        0.1, description="accepted shift of the mean of a bond or angle, in its own widths"
    )
    max_width_error: Positive = Field(
        0.04, description="accepted relative error of the width of a bond or angle"
    )
    max_stiffness_error: Positive = Field(
        0.04, description="accepted relative error of a bond's or angle's effective frequency"
    )
    max_divergence: Positive = Field(
        0.02, description="accepted Jensen-Shannon divergence beyond the baseline's noise, nats"
    )
    max_population_error: Positive = Field(
        0.1, description="accepted error of the population of a torsional well"
    )
    max_rate_error: Positive = Field(
        0.5, description="accepted logarithm of the ratio of torsional transition rates, e-folds"
    )
    max_peak_shift: Positive = Field(
        3.0, description="accepted shift of a band of the vibrational spectrum, 1/cm"
    )
    force_call_ms: Positive | None = Field(
        None, description="cost of a force call of your own potential, ms: marked in the cost plot"
    )
    count_training: bool = Field(
        False, description="count the training data's force calls into the savings shown first"
    )
    workers: int = Field(0, ge=0, description="parallel processes; 0: one per CPU core")
    seed: Seed = Field(42, description="seed of the bootstrap")

    @model_validator(mode="after")
    def _some_bins(self) -> "EvalConfig":
        if self.bin_nm > self.rdf_max_nm:
            raise ValueError("bin_nm must not exceed rdf_max_nm")
        return self


class GridConfig(Section):
    """The ablation over k."""

    k_steps: list[Count] = Field(
        [4, 8, 12, 16], min_length=1, description="base steps per jump to try, in this order"
    )
    caps: list[Literal["fixed", "auto"]] = Field(
        ["fixed", "auto"], min_length=1, description="displacement caps to try at each k"
    )
    stop_when_rejected: bool = Field(
        True, description="go on to a larger k only when a smaller one is accepted"
    )
    max_rollout_growth: Positive = Field(
        3.0, description="add the force head at k=8 when 3 jumps err more than this times one"
    )

"""Every setting of kstep, with its meaning, unit, default and range.

One frozen class per section; a section is one YAML file in `configs/`. The descriptions here
are what `kstep <stage> --help` prints, so they are the reference documentation too.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kstep.units import PS_PER_FS, PS_PER_NS

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Stride = Literal[4, 8, 12, 16]
Landing = Literal["step", "half_step"]
"""Where a jump ends: at t + k·dt, or on the leapfrog state half a base step later."""


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, defaults checked too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


class PathsConfig(Section):
    """Where files lie."""

    data: Path = Field(
        Path("data"), description="folder of molecules.smi, raw, md, datasets, splits"
    )
    run: Path = Field(Path("runs/default"), description="folder of one trained model and its runs")


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
    max_heavy_atoms: Count = Field(30, description="largest molecule accepted, heavy atoms")
    constraints: Literal["HBonds", "None"] = Field(
        "HBonds", description="HBonds: all bonds to hydrogen at fixed length"
    )
    implicit_solvent: Literal["OBC2", "None"] = Field("OBC2", description="implicit water model")
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


class MdConfig(Section):
    """Baseline molecular dynamics."""

    temperature_K: Positive | list[Positive] = Field(
        300.0, description="temperature, K; a list gives one sampling run for each"
    )
    friction_per_ps: Positive = Field(1.0, description="Langevin friction, 1/ps")
    dt_fs: Annotated[float, Field(gt=0, le=4)] = Field(2.0, description="base time step, fs")
    length_ns: Positive = Field(1.0, description="sampling length per molecule and temperature, ns")
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
    nve_every_ps: Positive = Field(200.0, description="sampling time between NVE windows, ps")
    burst: BurstConfig = BurstConfig()
    seed: Seed = Field(42, description="seed of thermostat and velocities")
    platform: str = Field("auto", description="OpenMM platform; auto: the fastest, by timing it")
    workers: int = Field(0, ge=0, description="parallel processes; 0: one per CPU core")

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures to sample, K."""
        value = self.temperature_K
        return tuple(value) if isinstance(value, list) else (value,)

    @property
    def dt_ps(self) -> float:
        """The base time step, ps."""
        return self.dt_fs * PS_PER_FS

    @model_validator(mode="after")
    def _something_to_do(self) -> "MdConfig":
        if not self.temperatures:
            raise ValueError("temperature_K is an empty list")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError("temperature_K names a temperature twice")
        if self.save_interval_steps * self.dt_ps > self.length_ns * PS_PER_NS:
            raise ValueError("length_ns is shorter than one interval of save_interval_steps")
        return self


class DatasetConfig(Section):
    """k-step windows and their split."""

    k_steps: list[Stride] = Field([4, 8, 12, 16], min_length=1, description="strides to build")
    val_molecules: Fraction = Field(0.17, description="share of molecules kept for validation")
    test_molecules: Fraction = Field(0.17, description="share of molecules kept for the test")
    val_segments: Fraction = Field(
        0.1, description="share of each training molecule's trajectory kept for validation"
    )
    test_segments: Fraction = Field(
        0.1, description="share of each training molecule's trajectory kept for the test"
    )
    seed: Seed = Field(42, description="seed of the choice of molecules")


class ModelConfig(Section):
    """The jump network."""

    arch: Literal["torchmdnet_et", "propagator"] = Field(
        "torchmdnet_et", description="torchmdnet_et: TorchMD-Net's ET; propagator: operator network"
    )
    hidden_channels: Count = Field(128, description="scalar features per atom")
    num_layers: Count = Field(4, description="attention layers, or operator layers")
    num_heads: Count = Field(4, description="attention heads (torchmdnet_et)")
    num_operators: Count = Field(8, description="learned operators, shared by layers (propagator)")
    cutoff_nm: Positive = Field(0.7, description="range of the interactions seen, nm")
    rbf_size: Count = Field(16, description="radial basis functions")
    vec_channels: Count = Field(16, description="vector features per atom")
    predict_delta: bool = Field(
        True, description="learn the change beyond free flight; false: learn the state itself"
    )
    max_disp_nm: Positive | Literal["auto"] = Field(
        "auto", description="largest displacement per jump, nm; auto: per element from the data"
    )
    tanh_head: bool = Field(True, description="bend displacements smoothly into max_disp_nm")
    use_force_head: bool = Field(False, description="also predict the forces after the jump")


class TrainConfig(Section):
    """Training of the jump network."""

    seed: Seed = Field(42, description="seed of weights, batches and noise")
    k_steps: Stride = Field(8, description="base steps per jump")
    landing: Landing = Field(
        "half_step",
        description="where a jump ends: half_step for drift_kick_drift, step for the others",
    )
    batch_size: Count = Field(32, description="windows per batch")
    grad_accum: Count = Field(4, description="batches per optimiser step")
    lr: Positive = Field(2e-4, description="first learning rate")
    lr_min: NonNegative = Field(2e-5, description="last learning rate (cosine decay)")
    weight_decay: NonNegative = Field(1e-2, description="AdamW weight decay")
    epochs: Count = Field(50, description="passes over the training windows")
    max_minutes: Positive | None = Field(
        None, description="stop after this wall-clock time, minutes; the decay is fitted to it"
    )
    amp: bool = Field(True, description="mixed precision on a GPU; float32 on a CPU")
    grad_clip: Positive = Field(1.0, description="largest gradient norm")
    lambda_vel: NonNegative = Field(0.5, description="weight of the velocity loss")
    lambda_com: NonNegative = Field(1e-2, description="weight of COM shift and net momentum")
    lambda_force: NonNegative = Field(
        0.0, description="weight of force matching (0.1 with the head)"
    )
    time_reversal: bool = Field(True, description="train on the time-reversed windows too")
    input_noise: NonNegative = Field(0.0, description="noise on input positions, nm")
    val_every_steps: Count = Field(1000, description="batches between validations")
    checkpoint_every_steps: Count = Field(2000, description="batches between checkpoints")
    patience: Count = Field(20, description="validations without improvement before stopping")
    grad_checkpointing: bool = Field(False, description="recompute activations to save memory (ET)")
    logger: Literal["csv", "tensorboard", "wandb", "wandb-offline"] = Field(
        "csv", description="where metrics go"
    )
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="gpu must exist if asked for")
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of torch; 0: one per core (1 is fastest for small batches)",
    )

    @model_validator(mode="after")
    def _decay(self) -> "TrainConfig":
        if self.lr_min > self.lr:
            raise ValueError("lr_min must not exceed lr")
        return self


class GuardConfig(Section):
    """When a jump is discarded and its steps are done by true MD."""

    enabled: bool = Field(True, description="false: nothing but non-finite numbers is caught")
    max_energy_error: Positive = Field(
        10.0, description="largest change of the total energy in a macro-step, kJ/mol"
    )
    max_energy_debt: Positive = Field(
        10.0,
        description="largest energy that all jumps together may have added or lost and the "
        "thermostat not yet taken back, kJ/mol",
    )
    max_displacement_nm: Positive = Field(
        0.2, description="largest displacement of an atom from free flight, nm"
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

    corrector: Literal["velocity_verlet", "drift_kick_drift", "none"] = Field(
        "drift_kick_drift", description="true-force calls per macro-step: 2, 1 and 1"
    )
    temperature_K: Positive = Field(300.0, description="temperature, K")
    friction_per_ps: Positive = Field(1.0, description="thermostat friction in NVT, 1/ps")
    length_ps: NonNegative = Field(1000.0, description="NVT sampling per replica, ps")
    nve_windows: int = Field(4, ge=0, description="NVE windows per molecule")
    nve_window_ps: Positive = Field(100.0, description="length of an NVE window, ps")
    replicas: Count = Field(1, description="independent copies, one network call for all")
    save_interval_steps: Count = Field(50, description="base steps between saved frames, at least")
    energy_rescale: bool = Field(
        True, description="in NVT: rescale velocities after a jump to the energy before it"
    )
    nve_energy_rescale: bool = Field(
        False, description="the same in NVE windows, whose drift then says nothing"
    )
    projection_iterations: int = Field(
        0, ge=0, description="minimiser iterations after the jump (each a true-force call)"
    )
    guard: GuardConfig = GuardConfig()
    basin: BasinConfig = BasinConfig()
    checkpoint_every_ps: Positive = Field(10.0, description="simulated time between restart files")
    molecules: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="names to run; null: all prepared"
    )
    seed: Seed = Field(42, description="seed of thermostat and velocities")
    platform: str = Field("auto", description="OpenMM platform; auto: the fastest, by timing it")
    workers: int = Field(0, ge=0, description="parallel processes; 0: one per CPU core")

    @model_validator(mode="after")
    def _something_to_do(self) -> "HybridConfig":
        if self.length_ps == 0 and self.nve_windows == 0:
            raise ValueError("length_ps 0 and nve_windows 0 leave nothing to run")
        return self


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
    bootstrap: Count = Field(1000, description="bootstrap samples of a confidence interval")
    max_drift: Positive = Field(
        0.001,
        description="accepted size of the median NVE drift, kJ/mol/ps per atom (0.001 "
        "heats by about 4 K in 100 ps)",
    )
    max_divergence: Positive = Field(
        0.05, description="accepted Jensen-Shannon divergence beyond the baseline's noise, nats"
    )
    max_temperature_error: Positive = Field(
        0.05, description="accepted relative error of the temperature in NVT"
    )
    max_element_error: Positive = Field(
        0.1, description="accepted relative error of an element's kinetic energy in NVT"
    )
    max_share_error: Positive = Field(
        0.15,
        description="accepted relative error of an element's share of the kinetic energy in "
        "NVE windows",
    )
    seed: Seed = Field(42, description="seed of the bootstrap")

    @model_validator(mode="after")
    def _some_bins(self) -> "EvalConfig":
        if self.bin_nm > self.rdf_max_nm:
            raise ValueError("bin_nm must not exceed rdf_max_nm")
        return self


class GridConfig(Section):
    """The ablation over k."""

    caps: list[Literal["fixed", "auto"]] = Field(
        ["fixed", "auto"], min_length=1, description="displacement caps to try at each k"
    )
    stop_when_rejected: bool = Field(
        True, description="go on to a larger k only when a smaller one is accepted"
    )
    max_rollout_growth: Positive = Field(
        3.0, description="add the force head at k=8 when 3 jumps err more than this times one"
    )


class Config(Section):
    """All sections together."""

    paths: PathsConfig = PathsConfig()
    prep: PrepConfig = PrepConfig()
    md: MdConfig = MdConfig()
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    hybrid: HybridConfig = HybridConfig()
    eval: EvalConfig = EvalConfig()
    grid: GridConfig = GridConfig()

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
        if (self.train.landing == "half_step") != (self.hybrid.corrector == "drift_kick_drift"):
            raise ValueError(
                "train.landing must be half_step with hybrid.corrector drift_kick_drift, "
                "and step with the others"
            )
        return self

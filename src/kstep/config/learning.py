"""Windows, network and training."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from kstep.config.base import Count, Fraction, Landing, NonNegative, Positive, Section, Seed


class DatasetConfig(Section):
    """k-step windows and their split."""

    k_steps: list[Count] = Field([4, 8, 12, 16], min_length=1, description="strides to build")
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

    arch: Literal["splitting", "propagator", "torchmdnet_et"] = Field(
        "splitting",
        description="splitting: drifts and learned kicks, reversible and volume-preserving by "
        "construction; propagator: operator network; torchmdnet_et: TorchMD-Net's ET",
    )
    kicks: Literal["conservative", "direct"] = Field(
        "conservative",
        description="learned kicks: gradient of an energy, or vectors of their own (splitting)",
    )
    strains: bool = Field(
        False,
        description="whether an atom feels the bonds, angles and torsions around it, which couples "
        "them to any order: for forces that are no force field's; half as fast (splitting)",
    )
    hidden_channels: Count = Field(48, description="scalar features per atom")
    num_layers: Count = Field(8, description="operator layers, or attention layers")
    num_heads: Count = Field(4, description="attention heads (torchmdnet_et)")
    num_operators: Count = Field(8, description="learned operators at each geometry (propagator)")
    num_geometries: Count = Field(
        3, description="points along the path at which operators are made (propagator)"
    )
    cutoff_nm: Positive = Field(0.7, description="range of the interactions seen, nm")
    rbf_size: Count = Field(12, description="radial basis functions")
    vec_channels: Count = Field(32, description="vector features per atom")
    predict_delta: bool = Field(
        True, description="learn the change beyond free flight; false: learn the state itself"
    )
    max_disp_nm: Positive | Literal["auto"] = Field(
        "auto", description="largest displacement per jump, nm; auto: per element from the data"
    )
    tanh_head: bool = Field(True, description="bend displacements smoothly into max_disp_nm")
    use_force_head: bool = Field(False, description="also predict the forces after the jump")


class AdaptConfig(Section):
    """Further training of a network for one molecule, on states that it leads to itself.

    `labels`, `earlier_runs` and `candidates` are for a splitting with a learned potential;
    length_ps, equilibration_ps, bursts and val_every_steps for all other networks. The decay of the
    learning rate is fitted to `steps`, or to `max_minutes` where that comes first.
    """

    start_from: Literal["shipped", "fresh"] | Path = Field(
        "shipped",
        description="the network to adapt: the shipped one, one with fresh weights (splitting "
        "only), or a checkpoint file",
    )
    labels: list[Count] = Field(
        [200, 400, 800],
        min_length=1,
        description="true-force calls of every round of labels and training",
    )
    earlier_runs: list[Path] = Field(
        [],
        description="paths.run of earlier adaptations to the same molecules and potential, whose "
        "labels, their trials' among them, are learned from too",
    )
    candidates: Count = Field(
        1,
        description="geometries for each label, of which those in most doubt are labelled; 1: all "
        "that are found, which serves as well (docs/expensive_results.md)",
    )
    replicas: Count = Field(8, description="copies of the run that finds the states")
    length_ps: Positive = Field(20.0, description="length of its hybrid run, ps")
    equilibration_ps: NonNegative = Field(1.0, description="true dynamics before that, ps")
    bursts: Count = Field(200, description="true bursts from the states it visited")
    steps: Count = Field(
        20_000, description="training steps in all, shared among the rounds of labels"
    )
    max_minutes: Positive | None = Field(
        None,
        description="stop training after this wall-clock time, minutes, if it comes first: then "
        "equal seeds give other weights",
    )
    batch_size: Count = Field(16, description="states or windows per batch")
    lr: Positive = Field(4e-3, description="first learning rate")
    val_every_steps: Count = Field(500, description="batches between validations")


class TrainConfig(Section):
    """Training of the jump network.

    It ends after `epochs`, `max_steps` or `max_minutes`, whichever comes first, to which the decay
    of the learning rate is fitted, or after `patience`.
    """

    seed: Seed = Field(42, description="seed of weights, batches and noise")
    k_steps: Count = Field(
        8,
        description="base steps of a training window: the jump of a network that returns whole "
        "jumps; a splitting's force serves every stride (hybrid.k_steps)",
    )
    start_from: Path | None = Field(
        None, description="trained jump whose weights the training starts from; null: fresh ones"
    )
    landing: Landing = Field(
        "closing_kick",
        description="where a jump ends: closing_kick for the corrector of that name, half_step for "
        "drift_kick_drift, step for the others",
    )
    batch_size: Count = Field(16, description="windows per batch")
    grad_accum: Count = Field(1, description="batches per optimiser step")
    optimiser: Literal["muon", "adamw"] = Field(
        "muon", description="muon: orthogonal updates of matrices, AdamW for the rest"
    )
    lr: Positive = Field(4e-3, description="first learning rate")
    lr_min: NonNegative = Field(1e-5, description="last learning rate (cosine decay)")
    weight_decay: NonNegative = Field(1e-4, description="weight decay")
    epochs: Count = Field(50, description="passes over the training windows")
    max_steps: Count | None = Field(
        None, description="stop after so many batches, if they are fewer than the epochs'"
    )
    max_minutes: Positive | None = Field(
        None,
        description="stop after this wall-clock time, minutes, if it comes first: then equal seeds "
        "give other weights",
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
    devices: Count | Literal["auto"] = Field(
        1, description="processes on each node, one GPU each; auto: all GPUs (one process on a CPU)"
    )
    nodes: Count = Field(1, description="computers that train together")
    strategy: Literal["auto", "ddp"] = Field(
        "auto", description="how Lightning joins several processes; auto: ddp where there are some"
    )
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

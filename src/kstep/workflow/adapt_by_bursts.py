"""Any network adapted by true bursts: its own hybrid run says which states matter."""

from contextlib import nullcontext
from pathlib import Path

from kstep.adaptation.record import conclude, on_the_clock
from kstep.artifacts import read_json
from kstep.config import BasinConfig, Config, MotionConfig
from kstep.regressed import training as train
from kstep.regressed import windows as dataset
from kstep.regressed.learned import Network
from kstep.regressed.networks.checkpoint import load_jump
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import load_trajectory
from kstep.workflow import hybrid
from kstep.workflow.md.labelling import label


def adapt(config: Config, molecule: PreparedMolecule, start: Path, folder: Path) -> Path:
    """Hybrid run of the start network → bursts from its states → further training.

    Below `folder` lie the start network's run (`hybrid`), the bursts (`data`), the training
    (`train`) and `record.json`.

    Raises ArtifactError when the start network does not fit the molecule or the folder holds an
    adaptation with other settings.
    """
    finished = (folder / "record.json").exists()
    with nullcontext() if finished else on_the_clock(folder):
        return _adapt(_own_settings(config, start, folder), molecule, start, folder)


def _adapt(own: Config, molecule: PreparedMolecule, start: Path, folder: Path) -> Path:
    """All stages; what is finished each of them finds out."""
    visited = hybrid.run(own, [molecule], {molecule.name: Network(start)})[0]
    bursts = label(own.md, molecule, visited, own.paths.data / "md" / f"{molecule.name}.npz")
    windows = dataset.run(own, [bursts])[0]
    best = train.run(own, windows, own.paths.data / "splits")
    training = read_json(own.paths.run / "train" / "record.json")
    scores = {key: training[key] for key in ("checkpoint_hash", "start_hash", "scores")}
    conclude(folder, force_calls(own, visited, bursts), scores)
    return best


def _own_settings(config: Config, start: Path, folder: Path) -> Config:
    """The settings of the stages that an adaptation is made of."""
    adapt, k_steps = config.adapt, config.train.k_steps
    temperature = config.hybrid.temperatures[0]
    hybrid_settings = {
        "temperature_K": temperature,
        "length_ps": adapt.length_ps,
        "replicas": adapt.replicas,
        "nve_windows": 0,
        "nve_rescaled_windows": 0,
        "motion": MotionConfig(windows=0),
        "basin": BasinConfig(starts=0),
        "map_samples": 0,
        "k_steps": None,  # the windows' stride: whatever a run's is, the network is the same
        "molecules": None,
    }
    burst = config.md.burst.model_copy(update={"count": adapt.bursts})
    md_settings = {
        "temperature_K": temperature,
        "equilibration_ps": adapt.equilibration_ps,
        "burst": burst,
    }
    training = {
        "start_from": start,
        "batch_size": adapt.batch_size,
        "grad_accum": 1,
        "lr": adapt.lr,
        "lr_min": min(config.train.lr_min, adapt.lr),
        "epochs": 1_000_000,
        "max_steps": adapt.steps,
        "max_minutes": adapt.max_minutes,
        "val_every_steps": adapt.val_every_steps,
        "threads": 1,
    }
    splits = {"k_steps": [k_steps], "val_molecules": 0.0, "test_molecules": 0.0}
    paths = config.paths.model_copy(update={"data": folder / "data", "run": folder})
    return config.model_copy(
        update={
            "paths": paths,
            "hybrid": config.hybrid.model_copy(update=hybrid_settings),
            "md": config.md.model_copy(update=md_settings),
            "dataset": config.dataset.model_copy(update=splits),
            "model": load_jump(start).model.config,
            "train": config.train.model_copy(update=training),
        }
    )


def force_calls(own: Config, visited: Path, bursts: Path) -> dict[str, int]:
    """True-force calls by purpose; those of the minimiser before the start are not counted."""
    equilibration = round(own.md.equilibration_ps / own.md.dt_ps) * own.hybrid.replicas
    return {
        "equilibration": equilibration,
        "hybrid": int(load_trajectory(visited).record["force_calls"]),
        "bursts": int(load_trajectory(bursts).record["burst_calls"]),
    }

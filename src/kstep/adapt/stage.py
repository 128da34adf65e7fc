"""The stage: hybrid run of the start network → bursts from its states → further training."""

import time
from collections.abc import Sequence
from pathlib import Path

from kstep import dataset, hybrid, train
from kstep.artifacts import Record, exclusive, read_json, write_json
from kstep.config import BasinConfig, Config, MotionConfig
from kstep.hybrid import Network
from kstep.md.labelling import label
from kstep.model import load_jump
from kstep.molecule import Molecule
from kstep.networks import adaptation_folder, shipped_checkpoint
from kstep.trajectory import load_trajectory

SCHEMA = "kstep.adaptation"
SCHEMA_VERSION = 1


def run(config: Config, molecules: Sequence[Molecule]) -> list[Path]:
    """Adapt the start network to every molecule; returns the checkpoints.

    Below `<paths.run>/adapt/<name>/` lie the start network's run (`hybrid`), the bursts from its
    states (`data`), the training (`train`) and `record.json` with the true-force calls all this
    took. What is finished is not done again; `kstep run hybrid.network=adapted` uses it.

    Raises ArtifactError when the start network does not fit a molecule or a folder holds an
    adaptation with other settings.
    """
    return [_adapt(config, molecule) for molecule in molecules]


def _adapt(config: Config, molecule: Molecule) -> Path:
    folder = adaptation_folder(config, molecule)
    with exclusive(folder):
        start = _start(config)
        own = _own_settings(config, start, folder)
        began = time.monotonic()
        visited = hybrid.run(own, [molecule], {molecule.name: Network(start)})[0]
        bursts = label(own.md, molecule, visited, own.paths.data / "md" / f"{molecule.name}.npz")
        windows = dataset.run(own, [bursts])[0]
        best = train.run(own, windows, own.paths.data / "splits")
        minutes = (time.monotonic() - began) / 60.0
        _conclude(own, folder, visited, bursts, minutes)
    return best


def _start(config: Config) -> Path:
    start = config.adapt.start_from
    return shipped_checkpoint(config) if start == "shipped" else Path(start)


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


def _conclude(own: Config, folder: Path, visited: Path, bursts: Path, minutes: float) -> None:
    """Write what the adaptation cost, and how well it went, once."""
    path = folder / "record.json"
    training = read_json(own.paths.run / "train" / "record.json")
    calls = force_calls(own, visited, bursts)
    record: Record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "force_calls": sum(calls.values()),
        "calls": calls,
        "checkpoint_hash": training["checkpoint_hash"],
        "start_hash": training["start_hash"],
        "scores": training["scores"],
    }
    if path.exists() and read_json(path) == record:
        return
    write_json(path, record)
    write_json(folder / "timing.json", {"minutes": minutes})


def force_calls(own: Config, visited: Path, bursts: Path) -> dict[str, int]:
    """True-force calls by purpose; those of the minimiser before the start are not counted."""
    equilibration = round(own.md.equilibration_ps / own.md.dt_ps) * own.hybrid.replicas
    return {
        "equilibration": equilibration,
        "hybrid": int(load_trajectory(visited).record["force_calls"]),
        "bursts": int(load_trajectory(bursts).record["burst_calls"]),
    }

"""What each subcommand calls. No logic of a stage lives here.

Stages are imported when they are called, so that each runs where only its own dependencies are.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kstep.config import Config
from kstep.molecule import load_molecules


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        name: as typed.
        summary: one line for `--help`.
        sections: the configuration it reads.
        extra: the installation extra that brings its dependencies.
        run: config → exit status.
    """

    name: str
    summary: str
    sections: tuple[str, ...]
    extra: str
    run: Callable[[Config], int]


def prep(config: Config) -> int:
    """SMILES → conformers, force field, OpenMM Systems."""
    from kstep import prep as stage

    smiles_list = config.prep.molecules or config.paths.data / "molecules.smi"
    prepared = stage.run(config, smiles_list)
    folder = config.paths.data / "raw"
    print(f"prep: {len(prepared.molecules)} molecules in {folder}", flush=True)
    if prepared.failures:
        print(f"prep: {len(prepared.failures)} failed, see above", file=sys.stderr)
    return 1 if prepared.failures else 0


def md(config: Config) -> int:
    """Baseline trajectories, NVE windows and bursts."""
    from kstep import md as stage

    paths = stage.run(config, load_molecules(config.paths.data / "raw"))
    print(f"md: {len(paths)} trajectories in {config.paths.data / 'md'}", flush=True)
    return 0


def dataset(config: Config) -> int:
    """k-step windows and splits."""
    from kstep import dataset as stage

    molecules = load_molecules(config.paths.data / "raw")
    files = [config.paths.data / "md" / f"{molecule.name}.npz" for molecule in molecules]
    paths = stage.run(config, files)
    print(f"dataset: {', '.join(map(str, paths))}", flush=True)
    return 0


def model(config: Config) -> int:
    """The network's layers and parameter counts."""
    from kstep.model import summarise

    print(summarise(config.model))
    return 0


def train(config: Config) -> int:
    """The jump network, from the windows."""
    from kstep import train as stage

    best = stage.run(config, dataset_file(config), config.paths.data / "splits")
    print(f"train: {best}", flush=True)
    return 0


def run(config: Config) -> int:
    """The hybrid, from the trained network."""
    from kstep import hybrid as stage

    molecules = load_molecules(config.paths.data / "raw")
    paths = stage.run(config, molecules, checkpoint_file(config))
    print(f"run: {len(paths)} trajectories in {config.paths.run / 'hybrid'}", flush=True)
    return 0


def evaluate(config: Config) -> int:
    """The hybrid scored against the baseline."""
    from kstep import evaluate as stage

    path = stage.run(config, load_molecules(config.paths.data / "raw"))
    metrics = stage.load_metrics(path)
    print(stage.summary_table(metrics))
    print(f"eval: {path}", flush=True)
    chosen = config.hybrid.molecules
    lacking = [name for name in metrics.missing if chosen is None or name in chosen]
    return 1 if lacking else 0


def report(config: Config) -> int:
    """Figures and one HTML file."""
    from kstep import report as stage

    html = stage.run(config, metrics_file(config))
    print(f"report: {html.resolve()}", flush=True)
    return 0


def grid(config: Config) -> int:
    """Training, hybrid and verdict for every k in turn."""
    from kstep import grid as stage

    table = stage.run(config, load_molecules(config.paths.data / "raw"))
    print(table.read_text())
    print(f"grid: {table}", flush=True)
    return 0


def chain(config: Config) -> int:
    """All stages in order; a molecule that fails in prep does not stop the others."""
    return max(stage(config) for stage in (prep, md, dataset, train, run, evaluate, report))


def dataset_file(config: Config) -> Path:
    """Where the windows of the configured stride lie."""
    return config.paths.data / "datasets" / f"dataset_k{config.train.k_steps}.npz"


def checkpoint_file(config: Config) -> Path:
    """Where training leaves its best network."""
    return config.paths.run / "train" / "best.ckpt"


def metrics_file(config: Config) -> Path:
    """Where the evaluation leaves its numbers."""
    return config.paths.run / "eval" / "metrics.json"


_CHAIN = ("paths", "prep", "md", "dataset", "model", "train", "hybrid", "eval")
COMMANDS = (
    Command("prep", "SMILES to OpenMM Systems", ("paths", "prep"), "prep", prep),
    Command("md", "baseline molecular dynamics and bursts", ("paths", "md"), "md", md),
    Command("dataset", "k-step windows and splits", ("paths", "dataset"), "train", dataset),
    Command("model", "print the network's summary", ("model",), "train", model),
    Command("train", "train the jump", ("paths", "model", "train"), "train", train),
    Command("run", "run the hybrid", ("paths", "hybrid", "md", "train"), "md,train", run),
    Command("eval", "score the hybrid against the baseline", ("paths", "eval"), "eval", evaluate),
    Command("report", "figures and one HTML file", ("paths",), "eval", report),
    Command("grid", "the ablation over k", (*_CHAIN, "grid"), "all", grid),
    Command("all", "the whole chain, prep to report", _CHAIN, "all", chain),
)

"""What each subcommand calls. No logic of a stage lives here.

Stages are imported when they are called, so that each runs where only its own dependencies are.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kstep.cli.smiles import add_smiles_options, of_one_molecule
from kstep.config import Config
from kstep.errors import ConfigError
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
        add_options: adds options of its own to the parser, for what is not a setting.
        trigger: the option that, when it is given, runs `instead`.
        instead: config and parsed options → exit status.
    """

    name: str
    summary: str
    sections: tuple[str, ...]
    extra: str
    run: Callable[[Config], int]
    add_options: Callable[[argparse.ArgumentParser], None] | None = None
    trigger: str = ""
    instead: Callable[[Config, argparse.Namespace], int] | None = None


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


def controls(config: Config) -> int:
    """Plain MD in other ways, for the same referee."""
    from kstep import controls as stage

    paths = stage.run(config, load_molecules(config.paths.data / "raw"))
    print(f"controls: {len(paths)} trajectories in {config.paths.data / 'controls'}", flush=True)
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
    from kstep.networks import networks_for

    molecules = load_molecules(config.paths.data / "raw")
    paths = stage.run(config, molecules, networks_for(config, molecules))
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


def adapt(config: Config) -> int:
    """A network for each molecule, from one that knows many."""
    from kstep import adapt as stage

    paths = stage.run(config, load_molecules(config.paths.data / "raw"))
    print(f"adapt: {len(paths)} networks in {config.paths.run / 'adapt'}", flush=True)
    return 0


def add_external_options(parser: argparse.ArgumentParser) -> None:
    """The options with which `kstep eval` judges somebody else's integrator."""
    group = parser.add_argument_group("judging a trajectory of another program")
    group.add_argument(
        "--trajectory", type=Path, action="append", metavar="FILE",
        help="run at constant temperature: DCD, XTC, TRR, H5MD or NPZ; may be repeated: each file "
        "an independent run",
    )  # fmt: skip
    group.add_argument(
        "--nve", type=Path, action="append", metavar="FILE",
        help="run at constant energy with the same integrator, with velocities: TRR, H5MD or NPZ; "
        "may be repeated; default: none, and no verdict on energy and momenta",
    )  # fmt: skip
    group.add_argument("--topology", type=Path, metavar="FILE", help="PDB file of the molecule")
    group.add_argument("--system", type=Path, metavar="XML", help="OpenMM System it was run with")
    group.add_argument(
        "--temperature", type=float, metavar="K",
        help="of its thermostat, the only one the baseline is run at; default: the first of "
        "hybrid.temperature_K",
    )  # fmt: skip
    for name, of in (("--frame-ps", "--trajectory"), ("--nve-frame-ps", "--nve")):
        group.add_argument(
            name, type=float, metavar="PS",
            help=f"time between frames of {of}; default: as its files say",
        )  # fmt: skip


def judge(config: Config, options: argparse.Namespace) -> int:
    """Somebody else's trajectory: its baseline is run, and the referee's report written."""
    from kstep import evaluate as referee
    from kstep import external, report
    from kstep import md as baseline

    for name in ("topology", "system"):
        if getattr(options, name) is None:
            raise ConfigError(
                f"--trajectory needs --{name} too: without it nobody knows what was simulated."
            )
    request = external.Request(
        trajectories=tuple(options.trajectory),
        topology=options.topology,
        system=options.system,
        nve=tuple(options.nve or ()),
        temperature=options.temperature,
        frame_ps=options.frame_ps,
        nve_frame_ps=options.nve_frame_ps,
    )
    own, molecule = external.run(config, request)
    baseline.run(own, [molecule])
    path = referee.run(own, [molecule])
    print(referee.summary_table(referee.load_metrics(path)))
    print(f"eval: {path}", flush=True)
    print(f"report: {report.run(own, path).resolve()}", flush=True)
    return 0


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
    return max(stage(config) for stage in _STAGES)


_STAGES = (prep, md, controls, dataset, train, run, evaluate, report)


def run_smiles(config: Config, options: argparse.Namespace) -> int:
    """One molecule from SMILES to report, with a network that is there already."""
    own = of_one_molecule(config, options, "shipped")
    return _in_turn(own, prep, md, run, evaluate, report)


def adapt_smiles(config: Config, options: argparse.Namespace) -> int:
    """One molecule from SMILES to report, with a network that is adapted to it first."""
    own = of_one_molecule(config, options, "adapted")
    return _in_turn(own, prep, adapt, md, run, evaluate, report)


def _in_turn(config: Config, *stages: Callable[[Config], int]) -> int:
    """Run stages until one fails."""
    return next((status for stage in stages if (status := stage(config))), 0)


def dataset_file(config: Config) -> Path:
    """Where the windows of the configured stride lie."""
    return config.paths.data / "datasets" / f"dataset_k{config.train.k_steps}.npz"


def metrics_file(config: Config) -> Path:
    """Where the evaluation leaves its numbers."""
    return config.paths.run / "eval" / "metrics.json"


_CHAIN = ("paths", "prep", "md", "controls", "dataset", "model", "train", "hybrid", "eval")
COMMANDS = (
    Command("prep", "SMILES to OpenMM Systems", ("paths", "prep"), "prep", prep),
    Command("md", "baseline molecular dynamics and bursts", ("paths", "md"), "md", md),
    Command(
        "controls",
        "plain MD in other ways, to compare",
        ("paths", "controls", "md"),
        "md",
        controls,
    ),
    Command("dataset", "k-step windows and splits", ("paths", "dataset"), "train", dataset),
    Command("model", "print the network's summary", ("model",), "train", model),
    Command("train", "train the jump", ("paths", "model", "train"), "train", train),
    Command(
        "adapt",
        "train a network further for each molecule",
        ("paths", "adapt", "train", "hybrid", "md"),
        "md,train",
        adapt,
        add_smiles_options,
        "smiles",
        adapt_smiles,
    ),
    Command(
        "run",
        "run the hybrid",
        ("paths", "hybrid", "md", "train"),
        "md,train",
        run,
        add_smiles_options,
        "smiles",
        run_smiles,
    ),
    Command(
        "eval",
        "score the hybrid, or any trajectory, against the baseline",
        ("paths", "eval", "md", "hybrid"),
        "eval",
        evaluate,
        add_external_options,
        "trajectory",
        judge,
    ),
    Command("report", "figures and one HTML file", ("paths",), "eval", report),
    Command("grid", "the ablation over k", (*_CHAIN, "grid"), "all", grid),
    Command("all", "the whole chain, prep to report", _CHAIN, "all", chain),
)

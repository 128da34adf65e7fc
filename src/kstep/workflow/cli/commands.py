"""What each subcommand calls. No logic of a stage lives here.

Stages are imported when they are called, so that each runs where only its own dependencies are.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kstep.config import Config
from kstep.errors import ConfigError
from kstep.system.prepared import prepared_molecules
from kstep.workflow.cli.one_molecule import of_smiles, of_system
from kstep.workflow.cli.options import add_external_options, add_smiles_options, add_system_options


@dataclass(frozen=True)
class Alternative:
    """What a command does instead when an option of its own is given.

    Attributes:
        trigger: the option.
        add_options: adds it to the parser, with those that say nothing without it.
        run: config and parsed options → exit status.
        extra: the installation extra that brings its dependencies.
    """

    trigger: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Config, argparse.Namespace], int]
    extra: str


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        name: as typed.
        summary: one line for `--help`.
        sections: the configuration it reads.
        extra: the installation extra that brings its dependencies.
        run: config → exit status.
        alternatives: what it does instead, by option.
    """

    name: str
    summary: str
    sections: tuple[str, ...]
    extra: str
    run: Callable[[Config], int]
    alternatives: tuple[Alternative, ...] = ()


def prep(config: Config) -> int:
    """SMILES → conformers, force field, OpenMM Systems."""
    from kstep.workflow import prep as stage

    smiles_list = config.prep.molecules or config.paths.data / "molecules.smi"
    prepared = stage.run(config, smiles_list)
    folder = config.paths.data / "raw"
    print(f"prep: {len(prepared.molecules)} molecules in {folder}", flush=True)
    if prepared.failures:
        print(f"prep: {len(prepared.failures)} failed, see above", file=sys.stderr)
    return 1 if prepared.failures else 0


def md(config: Config) -> int:
    """Baseline trajectories, NVE windows and bursts."""
    from kstep.workflow import md as stage

    paths = stage.run(config, prepared_molecules(config))
    print(f"md: {len(paths)} trajectories in {config.paths.data / 'md'}", flush=True)
    return 0


def controls(config: Config) -> int:
    """Plain MD in other ways, for the same referee."""
    from kstep.workflow import controls as stage

    paths = stage.run(config, prepared_molecules(config))
    print(f"controls: {len(paths)} trajectories in {config.paths.data / 'controls'}", flush=True)
    return 0


def dataset(config: Config) -> int:
    """k-step windows and splits."""
    from kstep.regressed import windows as stage

    molecules = prepared_molecules(config)
    files = [config.paths.data / "md" / f"{molecule.name}.npz" for molecule in molecules]
    paths = stage.run(config, files)
    print(f"dataset: {', '.join(map(str, paths))}", flush=True)
    return 0


def model(config: Config) -> int:
    """The network's layers and parameter counts."""
    from kstep.regressed.networks.summary import summarise

    print(summarise(config.model))
    return 0


def train(config: Config) -> int:
    """The jump network, from the windows."""
    from kstep.regressed import training as stage

    best = stage.run(config, dataset_file(config), config.paths.data / "splits")
    print(f"train: {best}", flush=True)
    return 0


def run(config: Config) -> int:
    """The hybrid, from the trained network."""
    from kstep.workflow import hybrid as stage
    from kstep.workflow.networks import networks_for

    molecules = prepared_molecules(config)
    paths = stage.run(config, molecules, networks_for(config, molecules))
    print(f"run: {len(paths)} trajectories in {config.paths.run / 'hybrid'}", flush=True)
    return 0


def evaluate(config: Config) -> int:
    """The hybrid scored against the baseline."""
    from kstep.referee.claims.summary import summary_table
    from kstep.referee.metrics import load_metrics
    from kstep.workflow import evaluate as stage

    path = stage.run(config, prepared_molecules(config))
    metrics = load_metrics(path)
    print(summary_table(metrics))
    print(f"eval: {path}", flush=True)
    chosen = config.hybrid.molecules
    lacking = [name for name in metrics.missing if chosen is None or name in chosen]
    return 1 if lacking else 0


def adapt(config: Config) -> int:
    """A network for each molecule, from one that knows many."""
    from kstep.workflow import adapt as stage

    paths = stage.run(config, prepared_molecules(config))
    print(f"adapt: {len(paths)} networks in {config.paths.run / 'adapt'}", flush=True)
    return 0


def judge(config: Config, options: argparse.Namespace) -> int:
    """Somebody else's trajectory: its baseline is run, and the referee's report written."""
    from kstep.referee.claims.summary import summary_table
    from kstep.referee.metrics import load_metrics
    from kstep.workflow import evaluate as referee
    from kstep.workflow import external, report
    from kstep.workflow import md as baseline

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
    html = report.run(own, path)
    print(summary_table(load_metrics(path)))
    print(f"eval: {path}", flush=True)
    print(f"report: {html.resolve()}", flush=True)
    return 0


def report(config: Config) -> int:
    """Figures and one HTML file."""
    from kstep.workflow import report as stage

    html = stage.run(config, metrics_file(config))
    print(f"report: {html.resolve()}", flush=True)
    return 0


def grid(config: Config) -> int:
    """Training, hybrid and verdict for every k in turn."""
    from kstep.workflow import grid as stage

    table = stage.run(config, prepared_molecules(config))
    print(table.read_text(encoding="utf-8"))
    print(f"grid: {table}", flush=True)
    return 0


def chain(config: Config) -> int:
    """All stages in order; a molecule that fails in prep does not stop the others."""
    return max(stage(config) for stage in _STAGES)


_STAGES = (prep, md, controls, dataset, train, run, evaluate, report)


def run_smiles(config: Config, options: argparse.Namespace) -> int:
    """One molecule from SMILES to report, with a network that is there already."""
    own = of_smiles(config, options, "shipped")
    return _in_turn(own, prep, check_network, md, *_limit(own), run, evaluate, report)


def run_system(config: Config, options: argparse.Namespace) -> int:
    """One molecule from its System to a report, with a network that is there already."""
    own = of_system(config, options, "shipped")
    return _in_turn(own, check_network, md, *_limit(own), run, evaluate, report)


def adapt_smiles(config: Config, options: argparse.Namespace) -> int:
    """One molecule from SMILES to report, with a network that is adapted to it first."""
    own = of_smiles(config, options, "adapted")
    return _in_turn(own, prep, adapt, md, *_limit(own), run, evaluate, report)


def adapt_system(config: Config, options: argparse.Namespace) -> int:
    """One molecule from its System to a report, with a network that is adapted to it first."""
    own = of_system(config, options, "adapted")
    return _in_turn(own, adapt, md, *_limit(own), run, evaluate, report)


def _limit(config: Config) -> tuple[Callable[[Config], int], ...]:
    """The stage that makes what an exact sampler is held against; others need only the baseline."""
    return (controls,) if config.hybrid.ensemble == "ghmc" else ()


def check_network(config: Config) -> int:
    """Refuse molecules that the network does not know before a baseline is run of them."""
    from kstep.workflow.networks import check_networks

    check_networks(config, prepared_molecules(config))
    return 0


def _in_turn(config: Config, *stages: Callable[[Config], int]) -> int:
    """Run stages until one fails; before the first, refuse a network that cannot serve."""
    from kstep.workflow.networks import check_potential

    check_potential(config)
    return next((status for stage in stages if (status := stage(config))), 0)


def dataset_file(config: Config) -> Path:
    """Where the windows of the configured stride lie."""
    return config.paths.data / "datasets" / f"dataset_k{config.train.k_steps}.npz"


def metrics_file(config: Config) -> Path:
    """Where the evaluation leaves its numbers."""
    return config.paths.run / "eval" / "metrics.json"


_MD = ("paths", "potential", "md")
_CHAIN = (
    "paths", "potential", "prep", "md", "controls", "dataset", "model", "train", "hybrid", "eval",
)  # fmt: skip
COMMANDS = (
    Command("prep", "SMILES to OpenMM Systems", ("paths", "potential", "prep"), "prep", prep),
    Command("md", "baseline molecular dynamics and bursts", _MD, "md", md),
    Command("controls", "plain MD in other ways, to compare", (*_MD, "controls"), "md", controls),
    Command(
        "dataset",
        "k-step windows and splits",
        ("paths", "potential", "dataset"),
        "train",
        dataset,
    ),
    Command("model", "print the network's summary", ("model",), "train", model),
    Command("train", "train the jump", ("paths", "model", "train"), "train", train),
    Command(
        "adapt",
        "train a network further for each molecule",
        (*_MD, "controls", "adapt", "train", "hybrid"),
        "md,train",
        adapt,
        (
            Alternative("smiles", add_smiles_options, adapt_smiles, "all"),
            Alternative("system", add_system_options, adapt_system, "all"),
        ),
    ),
    Command(
        "run",
        "run the hybrid",
        (*_MD, "controls", "hybrid", "train"),
        "md,train",
        run,
        (
            Alternative("smiles", add_smiles_options, run_smiles, "all"),
            Alternative("system", add_system_options, run_system, "all"),
        ),
    ),
    Command(
        "eval",
        "score the hybrid, or any trajectory, against the baseline",
        (*_MD, "eval", "hybrid"),
        "eval",
        evaluate,
        (Alternative("trajectory", add_external_options, judge, "external"),),
    ),
    Command("report", "figures and one HTML file", ("paths",), "eval", report),
    Command("grid", "the ablation over k", (*_CHAIN, "grid"), "all", grid),
    Command("all", "the whole chain, prep to report", _CHAIN, "all", chain),
)

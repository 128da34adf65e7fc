"""The grid: for every k a training, a hybrid run and a verdict; larger k only after success."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kstep.artifacts import read_json
from kstep.config import Config
from kstep.errors import ConfigError
from kstep.referee.metrics import Metrics, Outcome, load_metrics
from kstep.regressed import training as train
from kstep.regressed.learned import Network
from kstep.system.prepared import PreparedMolecule
from kstep.workflow import evaluate, hybrid
from kstep.workflow.grid.table import Result, save_table
from kstep.workflow.grid.trials import Trial, folder, trials_of
from kstep.workflow.networks import networks_for


def run(config: Config, molecules: Sequence[PreparedMolecule]) -> Path:
    """Run the ablation; returns `<paths.run>/grid/table.md` (beside it `table.json`).

    Every k of `grid.k_steps` in this order, each with the caps of `grid.caps`; at k = 8 once more
    with the force head if chained jumps drift. With `grid.stop_when_rejected` a larger k is tried
    only when one of the trials before was accepted. A network is trained for every trial, or once
    for all where it serves every k, or not at all where `hybrid.network` names one. Stages that
    are finished are not run again, so an interrupted grid goes on where it was. The table is
    rewritten after each trial.
    """
    _require_windows(config)
    results: list[Result] = []
    for k_steps in config.grid.k_steps:
        trials = trials_of(k_steps, config)
        outcomes = [_try(trial, config, molecules, results) for trial in trials]
        if k_steps == 8 and any(_drifts(trial, config) for trial in trials):
            with_forces = replace(trials[-1], force_head=True)
            outcomes.append(_try(with_forces, config, molecules, results))
        if config.grid.stop_when_rejected and Outcome.ACCEPTED not in outcomes:
            break
    return folder(config) / "table.md"


def _require_windows(config: Config) -> None:
    lacking = [str(k) for k in config.grid.k_steps if k not in config.dataset.k_steps]
    if lacking and _trains_each(config):
        raise ConfigError(
            f"the grid needs windows of k = {', '.join(lacking)} too: run `kstep dataset` with "
            f"dataset.k_steps={config.grid.k_steps}, and the grid likewise."
        )


def _trains_each(config: Config) -> bool:
    """Whether every trial has a network of its own."""
    return config.hybrid.network == "trained" and config.model.arch != "splitting"


def _try(
    trial: Trial, config: Config, molecules: Sequence[PreparedMolecule], results: list[Result]
) -> Outcome:
    print(f"grid: {trial.name}", flush=True)
    own = trial.configure(config)
    if config.hybrid.network == "trained":
        trained = own if _trains_each(config) else _once(config)
        dataset = config.paths.data / "datasets" / f"dataset_k{trained.train.k_steps}.npz"
        network = Network(train.run(trained, dataset, config.paths.data / "splits"))
        networks = {molecule.name: network for molecule in molecules}
        scores = read_json(trained.paths.run / "train" / "record.json")["scores"]
    else:
        networks, scores = networks_for(_where_it_lies(own, config), molecules), {}
    hybrid.run(own, molecules, networks)
    metrics: Metrics = load_metrics(evaluate.run(own, molecules))
    results.append(Result(trial, scores, metrics))
    save_table(folder(config), results)
    return metrics.outcome


def _once(config: Config) -> Config:
    """The training that all trials share."""
    paths = config.paths.model_copy(update={"run": folder(config)})
    return config.model_copy(update={"paths": paths})


def _where_it_lies(own: Config, config: Config) -> Config:
    """A trial's settings with the grid's own run folder, below which adapted networks lie."""
    return own.model_copy(update={"paths": config.paths})


def _drifts(trial: Trial, config: Config) -> bool:
    """Whether three chained jumps err much more than one (root-mean-square deviation).

    Without rollouts, when bursts are shorter than 3 k, nothing is known to drift; nor where the
    trial trained no network.
    """
    if not _trains_each(config):
        return False
    record = read_json(trial.configure(config).paths.run / "train" / "record.json")
    chained = [deviations for deviations in record["rollout_rmsd_nm"].values() if deviations]
    bound = config.grid.max_rollout_growth
    return any(deviations[-1] > bound * deviations[0] for deviations in chained)

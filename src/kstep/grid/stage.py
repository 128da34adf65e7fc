"""The grid: for every k a training, a hybrid run and a verdict; larger k only after success."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kstep import evaluate, hybrid, train
from kstep.artifacts import read_json
from kstep.config import Config
from kstep.errors import ConfigError
from kstep.evaluate import Metrics, Outcome, load_metrics
from kstep.grid.table import Result, save_table
from kstep.grid.trials import STRIDES, Trial, folder, trials_of
from kstep.molecule import Molecule


def run(config: Config, molecules: Sequence[Molecule]) -> Path:
    """Run the ablation; returns `<paths.run>/grid/table.md` (beside it `table.json`).

    k = 4, 8, 12, 16 in this order, each with the caps of `grid.caps`; at k = 8 once more with
    the force head if chained jumps drift. With `grid.stop_when_rejected` a larger k is tried
    only when one of the trials before was accepted. Stages that are finished are not run
    again, so an interrupted grid goes on where it was. The table is rewritten after each trial.
    """
    lacking = [str(k) for k in STRIDES if k not in config.dataset.k_steps]
    if lacking:
        raise ConfigError(
            f"the grid needs windows of k = {', '.join(lacking)} too: run `kstep dataset` with "
            "dataset.k_steps=[4,8,12,16], and the grid likewise."
        )
    results: list[Result] = []
    for k_steps in STRIDES:
        trials = trials_of(k_steps, config)
        outcomes = [_try(trial, config, molecules, results) for trial in trials]
        regressed = config.model.arch != "splitting"
        if regressed and k_steps == 8 and any(_drifts(trial, config) for trial in trials):
            with_forces = replace(trials[-1], force_head=True)
            outcomes.append(_try(with_forces, config, molecules, results))
        if config.grid.stop_when_rejected and Outcome.ACCEPTED not in outcomes:
            break
    return folder(config) / "table.md"


def _try(
    trial: Trial, config: Config, molecules: Sequence[Molecule], results: list[Result]
) -> Outcome:
    print(f"grid: {trial.name}", flush=True)
    own = trial.configure(config)
    dataset = config.paths.data / "datasets" / f"dataset_k{trial.k_steps}.npz"
    checkpoint = train.run(own, dataset, config.paths.data / "splits")
    network = hybrid.Network(checkpoint)
    hybrid.run(own, molecules, {molecule.name: network for molecule in molecules})
    metrics: Metrics = load_metrics(evaluate.run(own, molecules))
    results.append(Result(trial, read_json(own.paths.run / "train" / "record.json"), metrics))
    save_table(folder(config), results)
    return metrics.outcome


def _drifts(trial: Trial, config: Config) -> bool:
    """Whether three chained jumps err much more than one (root-mean-square deviation).

    Without rollouts, when bursts are shorter than 3 k, nothing is known to drift.
    """
    record = read_json(trial.configure(config).paths.run / "train" / "record.json")
    chained = [deviations for deviations in record["rollout_rmsd_nm"].values() if deviations]
    bound = config.grid.max_rollout_growth
    return any(deviations[-1] > bound * deviations[0] for deviations in chained)

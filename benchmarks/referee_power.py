"""How often the referee rejects: faultless integrators, and known faults of known size.

True dynamics with each fault are run in independent sets of the default length of `kstep run`
(eight runs of 1 ns, sixteen NVE windows, twenty-four densely saved ones) and kept, so that an
interrupted benchmark goes on. Every set of a fault is judged against two sets of a faultless
baseline. Prints a Markdown table: shares of the trials, how many independent sets are behind them,
and the check that tells most, with its mean distance beyond the margin in standard errors, which
says how sure a rejection is where a few sets cannot.

    .venv/bin/python benchmarks/referee_power.py paths.data=demo/data paths.run=runs/power
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kstep.config import Config, load_config
from kstep.parallel import available_cores
from kstep.referee.claims.acceptance import verdict
from kstep.referee.compared import Side, make_side
from kstep.referee.metrics import Outcome
from kstep.referee.scoring import compare
from kstep.system.molecule import Molecule
from kstep.system.motion import load_motion, motion_of
from kstep.system.prepared import load_molecule
from kstep.system.trajectory import load_trajectory
from kstep.testing.faults import (
    exact_hybrid,
    faultless,
    hot_thermostat,
    noisy_positions,
    scaled_bond,
    scaled_velocities,
    shifted_velocities,
)
from kstep.testing.runs import Run, Setup

BASELINE = "baseline"
BASELINE_SEEDS, CANDIDATE_SEEDS = 1000, 2000


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        key: names its files.
        name: what is wrong, and by how much.
        make: runs it; with the faultless run of the same seed for faults in what is saved.
    """

    key: str
    name: str
    make: Callable[[Setup, Callable[[], Run]], Run]


def faults(bond: tuple[int, int]) -> Iterator[Fault]:
    """All rows: nothing wrong, and the faults at the sizes asked for and at smaller ones."""
    atoms = f"{bond[0] + 1}–{bond[1] + 1}"
    yield Fault("none", "none: independent baseline", lambda setup, run: run())
    yield Fault("exact", "none: hybrid with the exact jump", lambda setup, run: exact_hybrid(setup))
    for factor in (1.0025, 1.005):
        yield Fault(
            f"velocities_{factor}", f"velocities times {factor:g}",
            lambda setup, run, by=factor: scaled_velocities(run(), setup, by),
        )  # fmt: skip
    yield Fault(
        "bond", f"constant of bond {atoms} times 1.05",
        lambda setup, run: scaled_bond(setup, bond, 1.05),
    )  # fmt: skip
    yield Fault("hot", "thermostat 10 K too warm", lambda setup, run: hot_thermostat(setup, 310.0))
    for steps in (0.1, 0.5):
        yield Fault(
            f"early_{steps}", f"velocities {steps:g} steps early",
            lambda setup, run, by=steps: shifted_velocities(run(), setup, by),
        )  # fmt: skip
    for width in (3e-4, 1e-3):
        yield Fault(
            f"noise_{width}", f"noise of {width:g} nm in x, constraints kept",
            lambda setup, run, by=width: noisy_positions(run(), setup, by),
        )  # fmt: skip


def folder_of(config: Config) -> Path:
    """Where the sets lie."""
    return config.paths.run / "referee_power"


def make_sets(config: Config, molecule: Molecule, bond: tuple[int, int], index: int) -> None:
    """One set of the baseline and of every fault, those that are not there yet."""
    folder = folder_of(config)
    baseline = folder / f"{BASELINE}_{index}.npz"
    if not baseline.is_file():
        setup = Setup(molecule, config.md, seed=BASELINE_SEEDS + index, motion_windows=24)
        save(faultless(setup), baseline)
    setup = Setup(molecule, config.md, seed=CANDIDATE_SEEDS + index, motion_windows=24)
    kept: list[Run] = []

    def fault_free() -> Run:
        if not kept:
            kept.append(faultless(setup))
        return kept[0]

    for fault in faults(bond):
        path = folder / f"{fault.key}_{index}.npz"
        if not path.is_file():
            save(fault.make(setup, fault_free), path)


def save(run: Run, path: Path) -> None:
    """Both files of a set, the trajectory last: where it is, the set is whole."""
    run.motion.save(motion_of(path))
    run.trajectory.save(path)


def side(config: Config, key: str, index: int) -> Side:
    """A set as the referee sees it."""
    path = folder_of(config) / f"{key}_{index}.npz"
    return make_side(path, load_trajectory(path), 300.0, load_motion(motion_of(path)))


@dataclass(frozen=True)
class Trial:
    """A verdict, and the distance of every check beyond its margin, in standard errors."""

    outcome: Outcome
    distances: dict[str, float]


def judge(config: Config, molecule: Molecule, pair: tuple[str, int, int]) -> Trial:
    """One set of a fault against one of the baseline."""
    key, candidate, baseline = pair
    found = compare(
        config.eval, molecule, side(config, BASELINE, baseline), side(config, key, candidate)
    )
    distances = {one.label: one.deviation.distance(one.margin) for one in found.measured}
    return Trial(verdict(found.measured).outcome, distances)


def row(fault: Fault, trials: list[Trial], sets: int) -> str:
    """One line of the table."""
    outcomes = Counter(trial.outcome for trial in trials)
    shares = " | ".join(
        f"{outcomes[outcome] / len(trials):.0%}"
        for outcome in (Outcome.REJECTED, Outcome.ACCEPTED, Outcome.UNDECIDED)
    )
    distances: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        for label, found in trial.distances.items():
            distances[label].append(found)
    label = max(distances, key=lambda one: float(np.mean(distances[one])))
    mean = float(np.mean(distances[label]))
    shown = f"{mean:+.1f}" if np.isfinite(mean) else "exact"
    return f"| {fault.name} | {shares} | {len(trials)} | {sets} | {label} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--molecule", default="phenol")
    parser.add_argument("--bond", type=int, nargs=2, default=(0, 1), help="atom indices")
    parser.add_argument("--sets", type=int, default=4, help="independent sets of each row")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_args()
    config = load_config([], options.overrides)
    molecule = load_molecule(config.paths.data / "raw" / options.molecule)
    bond, sets = tuple(options.bond), range(options.sets)
    with ProcessPoolExecutor(available_cores()) as workers:
        list(workers.map(partial(make_sets, config, molecule, bond), sets))
        print("| fault | rejected | accepted | not enough data | trials | sets | check | σ |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for fault in faults(bond):
            pairs = [(fault.key, i, j % len(sets)) for i in sets for j in (i, i + 1)]
            trials = list(workers.map(partial(judge, config, molecule), pairs))
            print(row(fault, trials, len(sets)), flush=True)


if __name__ == "__main__":
    main()

"""How often the referee rejects: faultless integrators, and known faults of known size.

For every fault a pool of independent runs of true dynamics is made once; a trial draws eight
runs, sixteen NVE windows and twenty-four densely saved ones from it (the default length of `kstep
run`), and as many of another draw of faultless dynamics for the baseline, and judges. Prints a
Markdown table of the shares of trials rejected, accepted and left open, with the claim that
rejects most often.

    .venv/bin/python benchmarks/referee_power.py paths.data=demo/data --molecule phenol
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from kstep.config import Config, load_config
from kstep.evaluate.acceptance import verdict
from kstep.evaluate.metrics import Outcome, Verdict
from kstep.evaluate.scoring import compare
from kstep.evaluate.sides import Side, make_side
from kstep.molecule import Molecule, load_molecule
from kstep.parallel import available_cores
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
from kstep.trajectory import NVE, NVT, Trajectory

REPLICAS, WINDOWS, MOTION_WINDOWS = 8, 16, 24
"""What one trial draws: the defaults of hybrid.replicas, nve_windows and motion.windows."""

Make = Callable[[Setup], Run]


@dataclass(frozen=True)
class Fault:
    """A row of the table: what is wrong, by how much, and how to make it."""

    name: str
    size: str
    make: Make


def faults(bond: tuple[int, int]) -> Iterator[Fault]:
    """All rows; the faults of the issue at their nominal size, and smaller ones."""
    yield Fault("none: independent baseline", "–", pool_of)
    yield Fault("none: hybrid with the exact jump", "–", exact_hybrid)
    for factor in (1.0025, 1.005):
        yield Fault(
            "velocities scaled", f"{factor - 1:+.2%}", _on_faultless(scaled_velocities, factor)
        )
    for scale in (1.025, 1.05):
        yield Fault(
            f"constant of bond {bond[0] + 1}–{bond[1] + 1} scaled", f"{scale - 1:+.1%}",
            partial(scaled_bond, bond=bond, factor=scale),
        )  # fmt: skip
    for kelvin in (305.0, 310.0):
        yield Fault(
            "thermostat too warm",
            f"{kelvin - 300:+.0f} K",
            partial(hot_thermostat, temperature=kelvin),
        )
    for steps in (0.25, 0.5):
        yield Fault(
            "velocities early", f"{steps:g} steps", _on_faultless(shifted_velocities, steps)
        )
    for width in (3e-4, 1e-3):
        yield Fault("noise in x", f"{width:g} nm", _on_faultless(noisy_positions, width))


@dataclass(frozen=True)
class _OnFaultless:
    """A fault in what is saved of faultless dynamics."""

    change: Callable[[Run, Setup, float], Run]
    size: float

    def __call__(self, setup: Setup) -> Run:
        return self.change(pool_of(setup), setup, self.size)


def _on_faultless(change: Callable[[Run, Setup, float], Run], size: float) -> Make:
    return _OnFaultless(change, size)


POOLS: dict[tuple[int, int], Run] = {}


def pool_of(setup: Setup) -> Run:
    """Faultless dynamics of a setup, run once in every worker: many rows share it."""
    key = (setup.seed, setup.replicas)
    if key not in POOLS:
        POOLS[key] = faultless(setup)
    return POOLS[key]


def draw(run: Run, rng: np.random.Generator) -> Run:
    """A run of the default length out of a pool."""
    trajectory = run.trajectory
    chosen = [
        *_some(np.flatnonzero(trajectory.segment_kind == NVT), REPLICAS, rng),
        *_some(np.flatnonzero(trajectory.segment_kind == NVE), WINDOWS, rng),
    ]
    dense = _some(np.arange(len(run.motion.vel)), MOTION_WINDOWS, rng)
    motion = replace(
        run.motion, vel=run.motion.vel[dense], epot=run.motion.epot[dense],
        ekin=run.motion.ekin[dense],
    )  # fmt: skip
    return Run(subset(trajectory, chosen), motion, run.motion_pos[:0])


def _some(indices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.choice(indices, count, replace=False))


def subset(trajectory: Trajectory, segments: list[int]) -> Trajectory:
    """Some segments of a trajectory."""
    frames = np.concatenate([np.flatnonzero(trajectory.segment == s) for s in segments])
    per_frame = ("pos", "vel", "box", "epot", "ekin", "etot", "times", "force_calls")
    return replace(
        trajectory,
        **{name: getattr(trajectory, name)[frames] for name in per_frame},
        segment=np.searchsorted(segments, trajectory.segment[frames]),
        segment_kind=trajectory.segment_kind[segments],
        segment_temperature=trajectory.segment_temperature[segments],
    )


def side_of(run: Run) -> Side:
    """A run as the referee sees it."""
    return make_side(Path("run.npz"), run.trajectory, 300.0, run.motion)


def judge(config: Config, molecule: Molecule, baseline: Run, candidate: Run) -> Verdict:
    """The referee's verdict on one draw."""
    found = compare(config.eval, molecule, side_of(baseline), side_of(candidate))
    return verdict(found.measured)


def row(config: Config, molecule: Molecule, pool: int, trials: int, fault: Fault) -> str:
    """One line of the table."""
    many = {"replicas": pool, "nve_windows": 2 * pool, "motion_windows": 3 * pool}
    reference = pool_of(Setup(molecule, config.md, seed=1, **many))
    candidates = fault.make(Setup(molecule, config.md, seed=2, **many))
    rng = np.random.default_rng(3)
    outcomes: Counter[Outcome] = Counter()
    culprits: Counter[str] = Counter()
    for _ in range(trials):
        found = judge(config, molecule, draw(reference, rng), draw(candidates, rng))
        outcomes[found.outcome] += 1
        culprits.update(
            claim.checks[0].label for claim in found.claims if claim.outcome is found.outcome
            and found.outcome is not Outcome.ACCEPTED
        )  # fmt: skip
    shares = " | ".join(
        f"{outcomes[outcome] / trials:.0%}"
        for outcome in (Outcome.REJECTED, Outcome.ACCEPTED, Outcome.UNDECIDED)
    )
    first = culprits.most_common(1)[0][0] if culprits else "–"
    return f"| {fault.name} | {fault.size} | {shares} | {first} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--molecule", default="phenol")
    parser.add_argument("--bond", type=int, nargs=2, default=(0, 1), help="atom indices")
    parser.add_argument("--pool", type=int, default=16, help="independent runs behind each row")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_args()
    config = load_config([], options.overrides)
    molecule = load_molecule(config.paths.data / "raw" / options.molecule)
    print("| fault | size | rejected | accepted | not enough data | most telling check |")
    print("|---|---|---|---|---|---|", flush=True)
    task = partial(row, config, molecule, options.pool, options.trials)
    with ProcessPoolExecutor(available_cores()) as workers:
        for line in workers.map(task, list(faults(tuple(options.bond)))):
            print(line, flush=True)


if __name__ == "__main__":
    main()

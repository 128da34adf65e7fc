"""What a true call buys: adaptation, nested chains of every spacing, tempering, reweighting.

    python benchmarks/reach.py data/raw/aspirin --potential GFN2-xTB

For every prepared molecule: a class-II surrogate is adapted; then the true potential is sampled by
proposals of growing length, and what they cost is held against plain MD. The baseline is the true
forces of velocity Verlet alone at 2 fs and 4 fs, timed in turns with every row, nothing of its
integrator counted against it. CPU seconds of one thread; ps are those of the surrogate's jumps at
the temperature that is sampled, of accepted proposals only. Prints Markdown.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import kstep
from kstep.adaptation.rounds import AdaptSettings, Round, adapt_in_rounds
from kstep.protocols import Potential
from kstep.sampling.samples import Samples
from kstep.system.molecule import Molecule
from kstep.system.prepared import load_molecule

CHAINS = 4
TIMED_FORCES = 20
"""True forces in each turn of the baseline."""


@dataclass(frozen=True)
class Row:
    """One way to sample, and the baseline timed around it.

    Attributes:
        name: of the way.
        samples: what came of it.
        force_seconds: CPU seconds of a true force, in the turns before and after it.
    """

    name: str
    samples: Samples
    force_seconds: tuple[float, float]

    def cells(self) -> list[str]:
        """The row of the table."""
        bill, samples = self.samples.bill, self.samples
        accepted_ps = samples.acceptance * bill.simulated_ps
        if samples.is_weighted:
            accepted_ps = samples.effective_fraction * bill.simulated_ps
        gains = [accepted_ps / bill.cpu_seconds * seconds * 500.0 for seconds in self.force_seconds]
        mixing = samples.convergence.observables
        slowest = min(mixing, key=lambda name: mixing[name].ess_bulk)
        ess = mixing[slowest].ess_bulk
        worth = samples.acceptance if not samples.is_weighted else samples.effective_fraction
        return [
            self.name,
            f"{worth:.0%}",
            f"{samples.surrogate_quality.spread:.2f}",
            f"{min(gains):.0f} to {max(gains):.0f}",
            f"{0.5 * min(gains):.0f} to {0.5 * max(gains):.0f}",
            f"{bill.cpu_seconds:.0f}",
            f"{bill.true_seconds:.0f}",
            f"{samples.true_calls}",
            f"{ess:.0f} ({slowest})",
            f"{1000.0 * ess / samples.true_calls:.0f}",
        ]


HEADER = [
    "way", "accepted, or effective", "s, kT", "gain on 2 fs", "on 4 fs", "CPU, s", "of it true, s",
    "true calls", "effective samples of the slowest observable", "of them per 1,000 calls",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("molecules", type=Path, nargs="+", help="folders of `kstep prep`")
    parser.add_argument("--potential", default="GFN2-xTB", help="GFN2-xTB or GFN1-xTB")
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 300, 500, 500])
    parser.add_argument("--target", type=float, default=0.9, help="predicted acceptance aimed at")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.032, 0.256, 2.048, 8.192])
    parser.add_argument("--samples", type=int, default=100, help="of each of four chains")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in options.molecules:
        molecule = load_molecule(folder)
        true = kstep.potentials.Xtb(options.potential).of(molecule)
        print(f"\n## {molecule.name}, {molecule.n_atoms} atoms, {options.potential}\n", flush=True)
        fast = _adapted(molecule, true, options)
        rows = list(_rows(molecule, true, fast, options))
        print("| " + " | ".join(HEADER) + " |")
        print("|" + "---|" * len(HEADER))
        for row in rows:
            print("| " + " | ".join(row.cells()) + " |", flush=True)


def _adapted(molecule: Molecule, true: Potential, options: argparse.Namespace) -> Round:
    settings = AdaptSettings(
        labels=tuple(options.labels), target_acceptance=options.target, seed=options.seed
    )
    kstep.ClassTwo.of(molecule).evaluate(molecule.positions[None])  # compiles
    began = time.process_time()
    for last in adapt_in_rounds(
        molecule, true, kstep.ClassTwo.of(molecule), settings=settings, show_progress=False
    ):
        print(f"- {time.process_time() - began:.0f} CPU s: {last}", flush=True)
    print()
    return last


def _rows(
    molecule: Molecule, true: Potential, last: Round, options: argparse.Namespace
) -> Iterator[Row]:
    forces = _clock(true, last.labels.x)
    plain = kstep.SampleSettings(
        chains=CHAINS, per_chain=options.samples, rungs=1, settling_ps=10.0, seed=options.seed
    )
    tempered = replace(plain, rungs=8, hottest_K=700.0)
    ways: list[tuple[str, Callable[..., Samples], kstep.SampleSettings]] = [
        (f"nested, {ps * 1000:.0f} fs", kstep.sample, replace(plain, spacing_ps=ps))
        for ps in options.spacings
    ]
    longest = max(options.spacings)
    ways += [
        (f"nested, tempered, {ps:g} ps", kstep.sample, replace(tempered, spacing_ps=ps))
        for ps in (longest, 4 * longest)
    ]
    name = f"reweighted, tempered, {longest:g} ps"
    ways.append((name, kstep.reweight, replace(tempered, spacing_ps=longest)))
    before = forces()
    for name, way, settings in ways:
        starts = last.labels.x[-CHAINS * 8 :]
        found = way(
            molecule, true, last.surrogate, settings=settings, starts=starts, show_progress=False
        )
        after = forces()
        print(f"{name}: {kstep.evidence(found)}", file=sys.stderr, flush=True)
        yield Row(name, found, (before, after))
        before = after


def _clock(true: Potential, x: np.ndarray) -> Callable[[], float]:
    """Gives the CPU seconds of a true force, over geometries that differ as steps of MD do."""
    rng = np.random.default_rng(0)

    def measure() -> float:
        start = x[int(rng.integers(len(x)))]
        walk = start + np.cumsum(rng.normal(0.0, 2e-4, (TIMED_FORCES, *start.shape)), axis=0)
        true.evaluate(walk[:2])
        began = time.process_time()
        true.evaluate(walk[2:])
        return (time.process_time() - began) / (TIMED_FORCES - 2)

    return measure


if __name__ == "__main__":
    main()

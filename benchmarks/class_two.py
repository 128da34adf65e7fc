"""How good a class-II force field gets by how many labels, under GFN2-xTB, and how fast it is.

    python benchmarks/class_two.py data/raw/phenol data/raw/aspirin --rounds 200 300 500

For every folder of a prepared molecule: rounds of exploring by the force field itself, from 300 K
to the hottest temperature, from the conformer (springs before there are labels), labelling and
fitting. Then the nested chain at 300 K with the last force field: acceptance and the spread s of
D = U_true − U_learned over its own ensemble, in kT, on states that it never saw. `predicted` is
what the posterior said of these states without their energies. Force errors are relative, along
the constraints. Seconds are CPU seconds of one thread; µs are those of one step of velocity Verlet
for eight replicas together.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from kstep.adaptation.rounds import AdaptSettings, adapt_in_rounds
from kstep.potentials import Xtb
from kstep.referee.statistics.reweighting import weigh
from kstep.sampling.ladder import Moves
from kstep.sampling.run import SampleSettings, sample
from kstep.surrogates.class_two import ClassTwo
from kstep.system.molecule import Molecule
from kstep.system.prepared import load_molecule
from kstep.units import BOLTZMANN

TEMPERATURE_K = 300.0
STEPS = 3000
"""Of velocity Verlet that are timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecules", nargs="+", type=Path)
    parser.add_argument("--rounds", nargs="+", type=int, default=[200, 300, 500])
    parser.add_argument("--hottest-K", type=float, default=600.0, help="that is explored")
    parser.add_argument("--samples", type=int, default=60, help="of each of four chains")
    parser.add_argument("--spacing-ps", type=float, default=2.0)
    parser.add_argument("--rungs", type=int, default=4)
    options = parser.parse_args()
    for folder in options.molecules:
        molecule = load_molecule(folder)
        learned = adapted(molecule, tuple(options.rounds), options.hottest_K)
        settings = SampleSettings(
            per_chain=options.samples,
            spacing_ps=options.spacing_ps,
            rungs=options.rungs,
            hottest_K=500.0,
            moves=Moves(dt_ps=0.002, jump_steps=16),
        )
        judge(molecule, learned, settings)


def adapted(molecule: Molecule, rounds: tuple[int, ...], hottest_K: float) -> ClassTwo:
    """The force field of the last round; every round is printed."""
    print(f"{molecule.name}: {molecule.n_atoms} atoms")
    rungs = 4 if hottest_K > TEMPERATURE_K else 1
    settings = AdaptSettings(labels=rounds, target_acceptance=2.0, hottest_K=hottest_K, rungs=rungs)
    surrogate = ClassTwo.of(molecule)
    for found in adapt_in_rounds(
        molecule, Xtb("GFN2-xTB").of(molecule), surrogate, settings=settings, show_progress=False
    ):
        print(f"  {found}", flush=True)
        surrogate, labels = found.surrogate, found.labels
    began = time.process_time()
    learned = surrogate.fit(labels)
    print(f"  fit of {len(labels)} labels in {time.process_time() - began:.1f} s", flush=True)
    return learned


def judge(molecule: Molecule, learned: ClassTwo, settings: SampleSettings) -> None:
    """Acceptance and D over a nested chain."""
    samples = sample(
        molecule,
        Xtb("GFN2-xTB"),
        learned,
        temperature_K=TEMPERATURE_K,
        settings=settings,
        show_progress=False,
    )
    difference = samples.proposed_difference[np.isfinite(samples.proposed_difference)]
    states = samples.x[::4].reshape(-1, molecule.n_atoms, 3)
    predicted = learned.uncertainty(states)
    print(
        f"  {learned.form.n_parameters} parameters; over its own ensemble s = "
        f"{difference.std() / (BOLTZMANN * TEMPERATURE_K):.2f} kT "
        f"(predicted {predicted.spread(TEMPERATURE_K):.2f}); accepted "
        f"{samples.accepted.mean():.1%} of {samples.accepted.size} (erfc(s/2) "
        f"{weigh(difference[None], TEMPERATURE_K).predicted_acceptance:.1%}, predicted "
        f"{predicted.acceptance(TEMPERATURE_K):.1%}); {microseconds(molecule, learned):.1f} µs",
        flush=True,
    )


def microseconds(molecule: Molecule, learned: ClassTwo) -> float:
    """Of one step of velocity Verlet of eight replicas together."""
    x = np.repeat(molecule.positions[None], 8, axis=0)
    learned.verlet(x, np.zeros_like(x), 100, 0.001)
    began = time.process_time()
    learned.verlet(x, np.zeros_like(x), STEPS, 0.001)
    return 1e6 * (time.process_time() - began) / STEPS


if __name__ == "__main__":
    main()

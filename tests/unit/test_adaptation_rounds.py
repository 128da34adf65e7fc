"""An adaptation in rounds: judged before it learns, kept out of holes, ended for a reason."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from test_public_face import PAIR, Spring

import kstep
from kstep.adaptation.rounds import adapt_in_rounds
from kstep.errors import SimulationError
from kstep.protocols import Evaluation
from kstep.units import BOLTZMANN

QUICK = kstep.AdaptSettings(
    labels=(60, 90), rungs=2, hottest_K=400.0, settling_ps=0.3, spacing_ps=0.1
)


@dataclass
class Counted:
    """A potential that counts what is asked of it, and has no energy where it is told."""

    potential: kstep.Potential
    calls: int = 0
    nowhere: bool = False

    @property
    def identity(self) -> dict[str, object]:
        return dict(self.potential.identity)

    def evaluate(self, x: np.ndarray) -> Evaluation:
        self.calls += len(x)
        found = self.potential.evaluate(x)
        return replace(found, energies=np.full(len(x), np.nan)) if self.nowhere else found


def test_every_round_is_judged_before_it_is_learned_from(phenol: kstep.Molecule) -> None:
    true = Counted(kstep.potentials.OpenMM().of(phenol))
    settings = replace(QUICK, target_acceptance=1.1)
    rounds = list(
        adapt_in_rounds(
            phenol, true, kstep.ClassTwo.of(phenol), settings=settings, show_progress=False
        )
    )
    assert [one.calls for one in rounds] == [61, 151, 171]
    assert true.calls == rounds[-1].calls  # the conformer, the labels, and a last look
    errors = [one.force_error for one in rounds]
    assert errors[0] > 0.3 > 0.15 > errors[-1]
    assert rounds[-1].spread < 1.0 < rounds[0].spread
    assert "the calls are spent" in rounds[-1].reason
    assert rounds[-1].surrogate is rounds[-2].surrogate  # the last round only judges
    assert len(rounds[-1].labels) > 120
    # What was judged is what D says at the labels of the lowest temperature.
    lowest = rounds[-1].labels
    assert np.ptp(lowest.energies) < 60 * BOLTZMANN * 400.0


def test_it_ends_as_soon_as_the_surrogate_is_good_enough() -> None:
    true = Counted(Spring(50_000.0))
    settings = replace(QUICK, labels=(20, 20, 20), target_acceptance=0.95)
    *_, last = adapt_in_rounds(PAIR, true, Spring(20_000.0), settings=settings, show_progress=False)
    assert "the acceptance aimed at is reached" in last.reason
    assert true.calls == last.calls == 41
    assert last.acceptance > 0.95


def test_labels_that_are_there_are_learned_from() -> None:
    x = PAIR.positions + np.random.default_rng(0).normal(0.0, 0.004, (10, 2, 3))
    found = Spring(50_000.0).evaluate(x)
    labels = kstep.Labels(x, found.energies, found.forces)
    first = next(
        adapt_in_rounds(
            PAIR, Spring(50_000.0), Spring(20_000.0), settings=QUICK, labels=labels,
            show_progress=False,
        )
    )  # fmt: skip
    assert len(first.labels) >= 10 + 60
    np.testing.assert_array_equal(first.labels.energies[:10], labels.energies)


def test_exploration_keeps_out_of_holes() -> None:
    """A surrogate that falls without end where the spring is long: no label is made there."""

    class Bottomless(Spring):
        def evaluate(self, x: np.ndarray) -> Evaluation:
            found = super().evaluate(x)
            fallen = np.linalg.norm(x[:, 1] - x[:, 0], axis=1) > 0.165
            return replace(found, energies=np.where(fallen, -1e4, found.energies))

        def fit(self, labels: kstep.Labels) -> "Bottomless":
            return self

    *_, last = adapt_in_rounds(
        PAIR, Spring(50_000.0), Bottomless(50_000.0), settings=QUICK, show_progress=False
    )
    lengths = np.linalg.norm(last.labels.x[:, 1] - last.labels.x[:, 0], axis=1)
    assert lengths.max() <= 0.165


def test_equal_seeds_give_equal_surrogates() -> None:
    one, other = (
        kstep.adapt(PAIR, Spring(50_000.0), Spring(2e4), settings=QUICK, show_progress=False)
        for _ in range(2)
    )
    assert one == other


def test_a_potential_without_energies_is_named() -> None:
    with pytest.raises(SimulationError, match="pair: the potential has no energy at any of"):
        kstep.adapt(
            PAIR, Counted(Spring(5e4), nowhere=True), Spring(2e4), settings=QUICK,
            show_progress=False,
        )  # fmt: skip

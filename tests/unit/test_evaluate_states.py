"""States of torsions: what symmetry makes one, what only looks so, and how well each is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from kstep.config import EvalConfig
from kstep.referee.claims.checks import adjudicate
from kstep.referee.metrics import Check, Outcome
from kstep.referee.structure.observed import Observed
from kstep.referee.structure.states import find_states
from kstep.referee.structure.torsions import compare_torsions

CIRCLE = np.linspace(-180.0, 180.0, 73)
CONFIG = EvalConfig(bootstrap=200)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def still(rng, degrees: Sequence[float], n_frames: int = 500, replicas: int = 4) -> Observed:
    """Members that stay in their wells for ever."""
    wells = np.array(degrees, dtype=float)
    runs = [
        (wells + 8.0 * rng.standard_normal((n_frames, len(wells))) + 180.0) % 360.0 - 180.0
        for _ in range(replicas)
    ]
    return Observed(runs=runs, rates=None, memory=1.0, frame_ps=0.1)


def checks(sides: Sequence[Observed], bonds: Sequence[int]) -> list[Check]:
    _, measured = compare_torsions(CONFIG, "x", sides, CIRCLE, np.array(bonds))
    return adjudicate(measured)


FIXED = {
    "ethylene": ([0.0, 180.0, 180.0, 0.0], [0] * 4),
    "formamide": ([0.0, 180.0], [0] * 2),
    "cyclopropane": ([0.0, 142.0, -142.0, 0.0] * 3, [0] * 4 + [1] * 4 + [2] * 4),
    "methyl": ([60.0, -60.0, 180.0], [0] * 3),
}


@pytest.mark.parametrize("n_frames", [500, 4000])
@pytest.mark.parametrize("name", FIXED)
def test_what_symmetry_fixes_needs_no_crossing(rng, name, n_frames):
    """Nobody ever crosses; the population is known all the same, and no rate is asked for."""
    degrees, bonds = FIXED[name]
    found = checks([still(rng, degrees, n_frames) for _ in range(2)], bonds)
    assert found
    assert {check.outcome for check in found} == {Outcome.ACCEPTED}
    assert all(check.label.startswith("population") for check in found)
    assert max(check.deviation.high - check.deviation.low for check in found) < 0.02


def test_which_of_two_equal_atoms_is_where_does_not_matter(rng):
    """Replicas that began with their hydrogens exchanged are in one state."""
    sides = [
        Observed(
            runs=[*still(rng, [0.0, 180.0]).runs, *still(rng, [180.0, 0.0]).runs],
            rates=None, memory=2000.0, frame_ps=0.1,
        )
        for _ in range(2)
    ]  # fmt: skip
    assert {check.outcome for check in checks(sides, [0, 0])} == {Outcome.ACCEPTED}


def test_equal_bonds_in_different_wells_are_not_fixed_by_symmetry(rng):
    """Two hydroxyls, one gauche and one trans: one is as likely anything else."""
    found = checks([still(rng, [60.0, 180.0]) for _ in range(2)], [0, 1])
    assert {check.outcome for check in found} == {Outcome.UNDECIDED}
    assert {check.label.split(" of ")[0] for check in found} == {"population", "rate"}


def test_a_candidate_that_breaks_the_symmetry_is_rejected(rng):
    """Both hydrogens of the amide on one side."""
    sides = [still(rng, [0.0, 180.0], replicas=8), still(rng, [0.0, 0.0], replicas=8)]
    population = checks(sides, [0, 0])[0]
    assert population.label.startswith("population")
    assert population.outcome is Outcome.REJECTED


def test_members_that_do_not_cross_in_one_frame_pass_through_no_state():
    """A methyl turns by one well; its last hydrogen comes two frames later."""
    before, after = np.array([0, 1, 2]), np.array([1, 2, 0])
    run = np.repeat([before, after], 500, axis=0)
    run[500:502, 2] = [-1, 2]
    found = find_states([[run], [run]], np.zeros(3, dtype=np.int64), 3)
    assert found.only_one
    assert all(found.step(well) == 0.0 for well in range(3))


def hopping(rng, states: np.ndarray, n_frames: int, flip: float) -> np.ndarray:
    """Rows of `states` (degrees of every member), one of the others with `flip` a frame."""
    jumps = rng.integers(1, len(states), n_frames) * (rng.uniform(size=n_frames) < flip)
    return states[np.cumsum(jumps) % len(states)]


CASES = {
    "CH2 beside one atom": (np.array([[60.0, 180.0], [180.0, -60.0], [-60.0, 60.0]]), [0, 0], 1),
    "two equal bonds": (np.array([[-60.0], [60.0]]), [0, 1], 2),
}


@pytest.mark.parametrize("name", CASES)
def test_populations_are_as_uncertain_as_their_scatter_over_repetitions(rng, name):
    states, bonds, rotors = CASES[name]
    flip, values, errors = 0.01, [], []
    for _ in range(60):
        runs = []
        for _ in range(4):
            parts = [hopping(rng, states, 2500, flip) for _ in range(rotors)]
            joined = np.concatenate(parts, axis=1)
            runs.append(joined + 8.0 * rng.standard_normal(joined.shape))
        wrapped = [(run + 180.0) % 360.0 - 180.0 for run in runs]
        one = Observed(runs=wrapped, rates=None, memory=1.0 / flip, frame_ps=0.1)
        found, _ = compare_torsions(CONFIG, "x", [one, one], CIRCLE, np.array(bonds))
        population = found[0].population.baseline
        values.append(population.value)
        errors.append((population.high - population.low) / 2.0 / 1.7)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.4)

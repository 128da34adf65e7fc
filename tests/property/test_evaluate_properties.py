"""What must hold for any input of the referee."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kstep.referee.claims.checks import ENERGY, Measured, adjudicate, worst
from kstep.referee.metrics import Outcome
from kstep.referee.physics.energy import fit_line
from kstep.referee.statistics.divergence import jensen_shannon, kullback_leibler
from kstep.referee.statistics.estimates import Uncertain, block_means, correlated_mean, inefficiency
from kstep.referee.structure.torsions import find_wells
from kstep.system.symmetry import atom_classes, heavy_automorphisms

HISTOGRAMS = arrays(float, 12, elements=st.integers(0, 1000).map(float)).filter(lambda h: h.sum())
FINITE = st.floats(-1e3, 1e3)


@given(HISTOGRAMS, HISTOGRAMS)
def test_divergences_are_divergences(p, q):
    assert jensen_shannon(p, p) == 0.0
    assert kullback_leibler(p, p) == 0.0
    assert -1e-12 <= jensen_shannon(p, q) <= np.log(2.0)
    assert kullback_leibler(p, q) >= -1e-12
    assert abs(jensen_shannon(p, q) - jensen_shannon(q, p)) < 1e-12


@given(FINITE, FINITE, st.floats(-5, 5))
def test_drift_ignores_where_energy_and_time_begin(energy, start, slope):
    times = np.linspace(0.0, 10.0, 40)
    found = fit_line(times + start, energy + slope * times)
    assert abs(found.slope - slope) < 1e-6
    assert found.fluctuation < 1e-4


@given(arrays(float, st.integers(40, 200), elements=FINITE), st.floats(-100, 100))
def test_intervals_hold_their_estimate_and_move_along(series, shift):
    found, moved = correlated_mean([series]), correlated_mean([series + shift])
    assert found.error >= 0.0
    assert abs(moved.value - found.value - shift) < 1e-6
    assert inefficiency([series]) >= 1.0


@given(
    arrays(float, st.tuples(st.integers(1, 60), st.just(2)), elements=FINITE), st.integers(1, 80)
)
def test_blocks_average_what_they_hold(series, frames):
    blocks = block_means([series], frames)
    sizes = np.diff(np.linspace(0, len(series), len(blocks) + 1).astype(int))
    np.testing.assert_allclose(sizes @ blocks, series.sum(axis=0), atol=1e-9)
    assert sizes.min() >= min(frames, len(series))


NUMBERS = st.tuples(FINITE, st.floats(0.001, 100), st.integers(2, 60))


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.floats(0.01, 100))
def test_the_rule_has_three_answers_and_no_overlap(numbers, margin):
    def judged(sign: float):
        return adjudicate(
            [
                Measured(
                    ENERGY, "x", "", Uncertain(sign * value, error, float(dof)), margin, True, 1e3
                )
                for value, error, dof in numbers
            ]
        )

    for check, mirrored in zip(judged(1.0), judged(-1.0), strict=True):
        inside = abs(check.deviation.low) <= margin and abs(check.deviation.high) <= margin
        assert (check.outcome is Outcome.ACCEPTED) == inside
        assert check.outcome is mirrored.outcome
        if check.outcome is Outcome.REJECTED:
            assert abs(check.deviation.value) > margin
        if check.more_ns is not None:
            assert check.outcome is Outcome.UNDECIDED
            assert check.more_ns > 0.0


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1))
def test_the_worst_outcome_wins(outcomes):
    expected = next(
        outcome
        for outcome in (Outcome.REJECTED, Outcome.UNDECIDED, Outcome.ACCEPTED)
        if outcome in outcomes
    )
    assert worst(outcomes) is expected


@given(st.integers(0, 71), HISTOGRAMS)
def test_wells_turn_with_the_circle(turn, heights):
    density = np.repeat(heights, 6)
    wells, turned = find_wells(density), find_wells(np.roll(density, turn))
    assert wells.max() == turned.max()
    assert (np.roll(wells, turn) >= 0).tolist() == (turned >= 0).tolist()


@st.composite
def trees(draw):
    size = draw(st.integers(2, 7))
    parents = [draw(st.integers(0, child - 1)) for child in range(1, size)]
    bonds = np.array([[parent, child + 1] for child, parent in enumerate(parents)])
    numbers = np.array(draw(st.lists(st.sampled_from([6, 7, 8]), min_size=size, max_size=size)))
    return numbers, bonds, draw(st.permutations(range(size)))


@settings(max_examples=40, deadline=None)
@given(trees())
def test_symmetry_does_not_depend_on_numbering(tree):
    numbers, bonds, order = tree
    place = np.argsort(order)
    classes, shuffled = (
        atom_classes(numbers, bonds),
        atom_classes(numbers[list(order)], place[bonds]),
    )
    assert [classes[atom] for atom in order] == shuffled
    maps = heavy_automorphisms(numbers, bonds, 10_000)
    edges = {frozenset(bond) for bond in bonds.tolist()}
    for image in maps.tolist():
        assert {frozenset((image[a], image[b])) for a, b in edges} == edges
        assert numbers[image].tolist() == numbers.tolist()
    assert len(maps) == len(heavy_automorphisms(numbers[list(order)], place[bonds], 10_000))

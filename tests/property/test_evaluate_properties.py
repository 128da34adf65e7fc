"""What must hold for any input of the referee."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kstep.evaluate.acceptance import within, worst
from kstep.evaluate.divergence import jensen_shannon, kullback_leibler
from kstep.evaluate.energy import window_drift
from kstep.evaluate.metrics import Estimate, Outcome
from kstep.evaluate.statistics import correlated_mean, statistical_inefficiency
from kstep.evaluate.symmetry import atom_classes, heavy_automorphisms
from kstep.evaluate.wells import find_wells

HISTOGRAMS = arrays(float, 12, elements=st.integers(0, 1000).map(float)).filter(lambda h: h.sum())
FINITE = st.floats(-1e3, 1e3)


@given(HISTOGRAMS, HISTOGRAMS)
def test_divergences_are_divergences(p, q):
    assert jensen_shannon(p, p) == 0.0
    assert kullback_leibler(p, p) == 0.0
    assert -1e-12 <= jensen_shannon(p, q) <= np.log(2.0)
    assert kullback_leibler(p, q) >= -1e-12
    assert abs(jensen_shannon(p, q) - jensen_shannon(q, p)) < 1e-12


@given(FINITE, FINITE, st.floats(-5, 5), st.integers(1, 50))
def test_drift_ignores_where_energy_and_time_begin(energy, start, slope, n_atoms):
    times = np.linspace(0.0, 10.0, 40)
    found = window_drift(times + start, energy + slope * times, n_atoms)
    assert abs(found.drift - slope / n_atoms) < 1e-6
    assert found.fluctuation < 1e-4


@given(arrays(float, st.integers(4, 60), elements=FINITE), st.floats(-100, 100))
def test_intervals_hold_their_estimate_and_move_along(series, shift):
    found = correlated_mean([series])
    assert found.low <= found.value <= found.high
    moved = correlated_mean([series + shift])
    assert abs(moved.value - found.value - shift) < 1e-6
    assert statistical_inefficiency([series]) >= 1.0


@given(FINITE, st.floats(0, 100), st.floats(0.01, 100))
def test_the_rule_has_three_answers_and_no_overlap(value, half, margin):
    interval = Estimate(value=value, low=value - half, high=value + half)
    outcome = within(interval, margin)
    inside = abs(interval.low) <= margin and abs(interval.high) <= margin
    assert (outcome is Outcome.ACCEPTED) == inside
    if outcome is Outcome.REJECTED:
        assert abs(value) > margin
    mirrored = Estimate(value=-value, low=-interval.high, high=-interval.low)
    assert within(mirrored, margin) is outcome


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

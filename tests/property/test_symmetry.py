"""Permutations that generate all automorphisms of a graph, against trying all permutations."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kstep.system.symmetry import automorphism_generators


@st.composite
def graphs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Up to six atoms of two elements, connected, rings included."""
    size = draw(st.integers(2, 6))
    tree = [(draw(st.integers(0, child - 1)), child) for child in range(1, size)]
    pairs = [(one, two) for two in range(size) for one in range(two)]
    more = draw(st.lists(st.sampled_from(pairs), max_size=3))
    numbers = draw(st.lists(st.sampled_from([6, 8]), min_size=size, max_size=size))
    return np.array(numbers), np.array(sorted({*tree, *more}))


def group_of(generators: np.ndarray, size: int) -> set[tuple[int, ...]]:
    """Everything that they make, one after the other."""
    found = {tuple(range(size))}
    waiting = list(found)
    while waiting:
        image = waiting.pop()
        new = {tuple(generator[list(image)].tolist()) for generator in generators} - found
        found |= new
        waiting.extend(new)
    return found


@settings(max_examples=60)
@given(graphs())
def test_generators_make_all_automorphisms_and_nothing_else(
    graph: tuple[np.ndarray, np.ndarray],
) -> None:
    numbers, bonds = graph
    edges = {frozenset(bond) for bond in bonds.tolist()}
    expected = {
        image
        for image in permutations(range(len(numbers)))
        if numbers[list(image)].tolist() == numbers.tolist()
        and {frozenset((image[a], image[b])) for a, b in bonds.tolist()} == edges
    }
    assert group_of(automorphism_generators(numbers, bonds), len(numbers)) == expected

"""What a network has met in training and what is new to it."""

import numpy as np

from kstep.system.environments import environments, familiar_share, first_shell, strange_shells

ETHANOL = (np.array([6, 6, 8, 1, 1, 1, 1, 1, 1]),
           np.array([[0, 1], [1, 2], [0, 3], [0, 4], [0, 5], [1, 6], [1, 7], [2, 8]]))  # fmt: skip
METHANOL = (np.array([6, 8, 1, 1, 1, 1]), np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 5]]))
METHANETHIOL = (np.array([6, 16, 1, 1, 1, 1]), METHANOL[1])


def test_an_environment_is_an_atom_its_neighbours_and_theirs() -> None:
    assert environments(*METHANOL) == [
        "C(H,H,H,O)<H(C),H(C),H(C),O(C,H)>",
        "O(C,H)<C(H,H,H,O),H(O)>",
    ]
    assert first_shell(environments(*METHANOL)[0]) == "C(H,H,H,O)"


def test_the_order_of_atoms_does_not_matter() -> None:
    numbers, bonds = ETHANOL
    order = np.random.default_rng(1).permutation(len(numbers))
    place = np.argsort(order)
    shuffled = environments(numbers[order], place[bonds][:, ::-1])
    assert sorted(shuffled) == sorted(environments(numbers, bonds))


def test_what_is_strange_is_named() -> None:
    known = environments(*ETHANOL)
    assert strange_shells(known, known) == []
    assert familiar_share(known, known) == 1.0
    # Methanol's oxygen has neighbours like ethanol's, but its carbon has not.
    own = environments(*METHANOL)
    assert strange_shells(own, known) == ["C(H,H,H,O)"]
    assert familiar_share(own, known) == 0.0
    assert strange_shells(environments(*METHANETHIOL), known) == ["C(H,H,H,S)", "S(C,H)"]

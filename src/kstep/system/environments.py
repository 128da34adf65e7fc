"""Chemical environments of atoms: what a network has met in training, and what is new to it."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Int

from kstep.system.molecule import neighbours, symbol


def environments(numbers: Int[np.ndarray, " N"], bonds: Int[np.ndarray, "B 2"]) -> list[str]:
    """Every heavy atom with its neighbours and theirs, for example `C(C,H,O)<C(C,H,H,H),…>`.

    Two shells of bonds tell functional groups apart; that of an atom is the same in any order of
    the atoms.
    """
    adjacent = neighbours(len(numbers), bonds)
    shells = _first_shells(numbers, adjacent)
    return [
        f"{shells[atom]}<{','.join(sorted(shells[other] for other in adjacent[atom]))}>"
        for atom in range(len(numbers))
        if numbers[atom] > 1
    ]


def first_shell(environment: str) -> str:
    """The inner part of an environment: an atom and its neighbours."""
    return environment.split("<")[0]


def familiar_share(own: Collection[str], known: Collection[str]) -> float:
    """Share of a molecule's environments that are among the known ones."""
    return sum(environment in known for environment in own) / max(len(own), 1)


def strange_shells(own: Collection[str], known: Collection[str]) -> list[str]:
    """Atoms whose very neighbours make a combination that is not among the known ones."""
    seen = {first_shell(environment) for environment in known}
    return sorted({first_shell(environment) for environment in own} - seen)


def _first_shells(numbers: Int[np.ndarray, " N"], adjacent: list[list[int]]) -> list[str]:
    symbols = [symbol(int(number)) for number in numbers]
    return [
        f"{symbols[atom]}({','.join(sorted(symbols[other] for other in adjacent[atom]))})"
        for atom in range(len(numbers))
    ]

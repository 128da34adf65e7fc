"""Which states of a torsion there are, once equal atoms are told apart no longer.

An automorphism of the molecule's graph exchanges equal atoms. It leaves the energy as it is, and
maps the members of a class of torsions about a bond onto each other: geometries that differ by it
are one state. What it cannot change is how many members are in each well, so a state is told by
these numbers. The four H–C–C–H of ethylene are always two cis and two trans; whichever hydrogen
is which, that is one state, and a population of one half that no run has to find out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

IN_TRANSIT = 0.02
"""Share of the time, at most, in rare states that are the ways between others: the members about
one bond do not all cross in the same frame."""

Wells = Int[np.ndarray, "_ members"]
Shares = Float[np.ndarray, "_ wells"]


@dataclass(frozen=True, eq=False)
class States:
    """How the members about each bond are spread over the wells, along the runs of both sides.

    Attributes:
        shares: share of the members about one bond in each well in every frame, per side and then
            for every run and bond; frames in transit have those of the state before.
        only_one: whether all is one state, so that symmetry alone fixes every population.
    """

    shares: list[list[Shares]]
    only_one: bool

    def step(self, well: int) -> float:
        """Largest difference of the share of a well between two states."""
        ends = [run[:, well] for side in self.shares for run in side]
        return max(float(end.max()) for end in ends) - min(float(end.min()) for end in ends)


def find_states(
    visits: Sequence[Sequence[Wells]], bonds: Int[np.ndarray, " members"], n_wells: int
) -> States:
    """The states of a class of torsions.

    Args:
        visits: well of every member in every frame, -1 on a barrier, per side and run.
        bonds: number of the bond that each member turns about, from 0.
        n_wells: number of wells.
    """
    counts = [
        [
            _counts(_settled(run[:, bonds == bond]), n_wells)
            for run in side
            for bond in range(int(bonds.max()) + 1)
        ]
        for side in visits
    ]
    every = np.concatenate([series for side in counts for series in side])
    kinds, found = np.unique(every, axis=0, return_inverse=True)
    ends = np.cumsum([len(series) for side in counts for series in side])
    parts = np.split(found.ravel(), ends[:-1])
    sides = [parts[: len(counts[0])], parts[len(counts[0]) :]]
    held = _held([np.concatenate(side) for side in sides], len(kinds))
    members = kinds.sum(axis=1, keepdims=True).max()
    shares = [[kinds[_last(one, held[one])] / members for one in side] for side in sides]
    return States(shares, int(held.sum()) == 1)


def _settled(run: Wells) -> Wells:
    """The well of every member; on a barrier that which it was in before, at first comes to."""
    return np.stack([_last(member, member >= 0) for member in run.T], axis=1)


def _last(values: Int[np.ndarray, " T"], valid: Bool[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    """Every value, or where it is not valid the last before it that is, or else the first."""
    if not valid.any():
        return values
    latest = np.maximum.accumulate(np.where(valid, np.arange(len(values)), -1))
    return np.asarray(values[np.where(latest < 0, int(valid.argmax()), latest)])


def _counts(run: Wells, n_wells: int) -> Int[np.ndarray, "T wells"]:
    """Members in each well in every frame."""
    return np.stack([(run == well).sum(axis=1) for well in range(n_wells)], axis=1)


def _held(sides: Sequence[Int[np.ndarray, " _"]], n_kinds: int) -> Bool[np.ndarray, " kinds"]:
    """Whether each state is one of the commonest, which hold nearly all time of both sides."""
    times = np.stack([np.bincount(side, minlength=n_kinds) / len(side) for side in sides])
    order = np.argsort(-times.max(axis=0), kind="stable")
    covered = np.cumsum(times[:, order], axis=1).min(axis=0)
    needed = int(np.argmax(covered >= 1.0 - IN_TRANSIT)) + 1
    held = np.zeros(n_kinds, dtype=bool)
    held[order[:needed]] = True
    return held

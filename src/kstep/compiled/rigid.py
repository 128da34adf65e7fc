"""RATTLE as compiled code: the drift and the projection of `kstep.surrogates.constraints`.

Rigid bonds that share an atom push each other; those that do not are solved apart, in groups of
one to four for most molecules.
"""

import math
from itertools import pairwise
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int

from kstep.compiled.functions import add, add_vector, between, dot, minus, put_vector, times, vector
from kstep.compiled.lanes import (
    LANES,
    absolute,
    in_lane,
    in_lanes,
    load,
    octets,
    out_of_lanes,
    splat,
    store,
    where_below,
)
from kstep.compiled.machine import compiled, inlined

CONVERGED = 1e-13
"""Of d²: one more sweep takes a bond from here to round-off."""
SWEEPS = 100
"""Where velocities are so high that λ does not converge by then, a drift leads nowhere: to NaN."""

Atoms = Float[np.ndarray, "N 3 L"]


class RigidTables(NamedTuple):
    """The constrained bonds of a molecule, group after group.

    Attributes:
        atoms: the two atoms of every bond [C, 2].
        squares: d², nm² [C].
        groups: first bond of every group, and in the end the number of bonds [G + 1].
        mobility: 1/m of every atom, 1/Da [N].
        coupling: K = S M⁻¹ Sᵀ between the bonds of a group, 1/Da [C, W], W bonds in the largest
            group; columns count from the group's first.
    """

    atoms: Int[np.ndarray, "C 2"]
    squares: Float[np.ndarray, " C"]
    groups: Int[np.ndarray, " G1"]
    mobility: Float[np.ndarray, " N"]
    coupling: Float[np.ndarray, "C W"]


class RigidScratch(NamedTuple):
    """Room for the bonds at a geometry.

    Attributes:
        bonds: vectors along them, nm [C, 3, L].
        free: where they would be without constraints, nm [W, 3, L].
        inverse: of every group's metric [C, W, L].
        impulse, excess: of the bonds of a group [W, L].
    """

    bonds: Float[np.ndarray, "C 3 L"]
    free: Float[np.ndarray, "W 3 L"]
    inverse: Float[np.ndarray, "C W L"]
    impulse: Float[np.ndarray, "W L"]
    excess: Float[np.ndarray, "W L"]


def rigid_tables(
    atoms: Int[np.ndarray, "C 2"], lengths: Float[np.ndarray, " C"], masses: Float[np.ndarray, " N"]
) -> RigidTables:
    """Tables for rigid bonds of these lengths, nm, between atoms of these masses, Da."""
    groups = _groups(atoms)
    order = np.array([bond for group in groups for bond in group], dtype=np.int64)
    sorted_atoms, mobility = atoms[order].astype(np.int64), 1.0 / masses
    starts = np.cumsum([0, *map(len, groups)])
    coupling = np.zeros((len(order), max(map(len, groups), default=0)))
    for first, end in pairwise(starts.tolist()):
        incidence = np.zeros((end - first, len(masses)))
        rows = np.arange(end - first)
        incidence[rows, sorted_atoms[first:end, 0]] = 1.0
        incidence[rows, sorted_atoms[first:end, 1]] = -1.0
        coupling[first:end, : end - first] = (incidence * mobility) @ incidence.T
    return RigidTables(
        atoms=np.ascontiguousarray(sorted_atoms.reshape(-1, 2)),
        squares=lengths[order] ** 2,
        groups=starts.astype(np.int64),
        mobility=mobility,
        coupling=coupling,
    )


def make_rigid_scratch(tables: RigidTables) -> RigidScratch:
    """Room for one molecule."""
    count, largest = tables.coupling.shape
    return RigidScratch(
        bonds=np.empty((count, 3, LANES)),
        free=np.empty((largest, 3, LANES)),
        inverse=np.empty((count, largest, LANES)),
        impulse=np.empty((largest, LANES)),
        excess=np.empty((largest, LANES)),
    )


class RigidProjection:
    """(x, v) → v without its components along rigid bonds at x, of one molecule.

    Args:
        atoms: ends of the bonds.
        masses: Da.
    """

    def __init__(self, atoms: Int[np.ndarray, "C 2"], masses: Float[np.ndarray, " N"]) -> None:
        self._tables = rigid_tables(atoms, np.zeros(len(atoms)), masses)
        self._scratch = make_rigid_scratch(self._tables)
        nowhere = np.zeros((1, len(masses), 3))
        self(nowhere, nowhere)  # compiles it, before the run's time begins

    def __call__(
        self, x: Float[np.ndarray, "R N 3"], v: Float[np.ndarray, "R N 3"]
    ) -> Float[np.ndarray, "R N 3"]:
        """Nm and nm/ps, of replicas."""
        projected = np.empty_like(v, dtype=np.float64)
        for some in octets(len(x)):
            at, moving = in_lanes(x[some]), in_lanes(v[some])
            project_at(at, moving, self._tables, self._scratch)
            projected[some] = out_of_lanes(moving, some)
        return projected


def _groups(atoms: Int[np.ndarray, "C 2"]) -> list[list[int]]:
    """Bonds by connection: those that share atoms, directly or through others, are together."""
    groups: list[tuple[set[int], list[int]]] = []
    for bond, pair in enumerate(atoms.tolist()):
        touching = [group for group in groups if group[0] & set(pair)]
        apart = [group for group in groups if not group[0] & set(pair)]
        members = sorted([bond, *(other for group in touching for other in group[1])])
        groups = [*apart, (set(pair).union(*(group[0] for group in touching)), members)]
    return sorted(members for _, members in groups)


@compiled
@no_type_check
def drift(x: Atoms, v: Atoms, duration: float, tables: RigidTables, scratch: RigidScratch) -> None:
    """Free flight along the constraints, in place; `scratch` must be that of `measure` at x.

    Positions end on the constraints. The velocities still lack the projection there. A replica
    whose bonds cannot be brought to their lengths becomes NaN, for guard or test to refuse.
    """
    for atom in range(len(x)):
        add_vector(x[atom], duration, vector(v[atom]))
    for group in range(len(tables.groups) - 1):
        first, count = tables.groups[group], tables.groups[group + 1] - tables.groups[group]
        _settle(x, first, count, tables, scratch)
        for bond in range(count):
            i, j = tables.atoms[first + bond]
            push = times(load(scratch.impulse[bond]), vector(scratch.bonds[first + bond]))
            add_vector(x[i], -tables.mobility[i], push)
            add_vector(x[j], tables.mobility[j], push)
            add_vector(v[i], -tables.mobility[i] / duration, push)
            add_vector(v[j], tables.mobility[j] / duration, push)


@inlined
@no_type_check
def _settle(x, first, count, tables, scratch):
    """The impulses h λ of a group that bring its bonds to their lengths.

    A lane rests as soon as its own bonds have converged, so that what its replica does is the
    same beside any others; one that holds no number rests at once. One that is still moving in the
    end holds none from then on.
    """
    for bond in range(count):
        i, j = tables.atoms[first + bond]
        store(scratch.impulse[bond], 0.0)
        put_vector(scratch.free[bond], between(x, j, i))
    moving = splat(1.0)
    for _ in range(SWEEPS):
        worst = _miss(first, count, tables, scratch)
        for bond in range(count):
            gain = splat(0.0)
            for other in range(count):
                gain += load(scratch.inverse[first + bond, other]) * load(scratch.excess[other])
            add(scratch.impulse[bond], where_below(0.0, moving, gain, 0.0))
        moving = where_below(CONVERGED, worst, moving, 0.0)
        left = 0.0
        for lane in range(LANES):
            left += in_lane(moving, lane)
        if left == 0.0:
            break
    lost = where_below(0.0, moving, math.nan, 0.0)
    for bond in range(count):
        add(scratch.impulse[bond], lost)


@inlined
@no_type_check
def _miss(first, count, tables, scratch):
    """By how much the squares of the lengths of a group miss: half of it, and the worst share."""
    worst = splat(0.0)
    for bond in range(count):
        length = vector(scratch.free[bond])
        for other in range(count):
            push = load(scratch.impulse[other]) * tables.coupling[first + bond, other]
            length = minus(length, times(push, vector(scratch.bonds[first + other])))
        wanted = tables.squares[first + bond]
        excess = dot(length, length) - wanted
        store(scratch.excess[bond], 0.5 * excess)
        share = absolute(excess) * (1.0 / wanted)
        worst = where_below(share, worst, worst, share)
    return worst


@compiled
@no_type_check
def measure(x: Atoms, tables: RigidTables, scratch: RigidScratch) -> None:
    """The vectors along all rigid bonds at x, and the inverse of their metric."""
    for bond in range(len(tables.atoms)):
        i, j = tables.atoms[bond]
        put_vector(scratch.bonds[bond], between(x, j, i))
    for group in range(len(tables.groups) - 1):
        first, count = tables.groups[group], tables.groups[group + 1] - tables.groups[group]
        for bond in range(first, first + count):
            for other in range(count):
                along = dot(vector(scratch.bonds[bond]), vector(scratch.bonds[first + other]))
                store(scratch.inverse[bond, other], tables.coupling[bond, other] * along)
        _invert(scratch.inverse, first, count)


@inlined
@no_type_check
def _invert(matrix, first, count):
    """A symmetric positive-definite block, in place (Gauss-Jordan; no pivots are needed)."""
    for pivot in range(count):
        row = matrix[first + pivot]
        scale = 1.0 / load(row[pivot])
        store(row[pivot], 1.0)
        for column in range(count):
            store(row[column], load(row[column]) * scale)
        for other in range(count):
            if other != pivot:
                own = matrix[first + other]
                factor = load(own[pivot])
                store(own[pivot], 0.0)
                for column in range(count):
                    add(own[column], -factor * load(row[column]))


@compiled
@no_type_check
def project(v: Atoms, tables: RigidTables, scratch: RigidScratch) -> None:
    """Take from v, in place, what would change a rigid bond at the geometry last measured."""
    for group in range(len(tables.groups) - 1):
        first, count = tables.groups[group], tables.groups[group + 1] - tables.groups[group]
        for bond in range(count):
            i, j = tables.atoms[first + bond]
            rate = dot(between(v, j, i), vector(scratch.bonds[first + bond]))
            store(scratch.excess[bond], rate)
        for bond in range(count):
            impulse = splat(0.0)
            for other in range(count):
                impulse += load(scratch.inverse[first + bond, other]) * load(scratch.excess[other])
            i, j = tables.atoms[first + bond]
            push = times(impulse, vector(scratch.bonds[first + bond]))
            add_vector(v[i], -tables.mobility[i], push)
            add_vector(v[j], tables.mobility[j], push)


@compiled
@no_type_check
def project_at(x: Atoms, v: Atoms, tables: RigidTables, scratch: RigidScratch) -> None:
    """Take from v, in place, what would change a rigid bond at x."""
    measure(x, tables, scratch)
    project(v, tables, scratch)

"""RATTLE as compiled code: the drift and the projection of `kstep.model.constraints`.

Rigid bonds that share an atom push each other; those that do not are solved apart, in groups of
one to four for most molecules.
"""

from itertools import pairwise
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int

from kstep.model.compiled.machine import compiled

CONVERGED = 1e-13
"""Of d²: one more sweep takes a bond from here to round-off."""
SWEEPS = 100
"""Where velocities are so high that λ does not converge, so that the loop ends."""

Atoms = Float[np.ndarray, "N 3"]


class RigidTables(NamedTuple):
    """The constrained bonds of a molecule, group after group.

    Attributes:
        atoms: the two atoms of every bond [C, 2].
        squares: d², nm² [C].
        groups: first bond of every group, and in the end the number of bonds [G + 1].
        mobility: 1/m of every atom, 1/Da [N].
        coupling: K = S M⁻¹ Sᵀ between the bonds of a group, 1/Da [C, L], L bonds in the largest
            group; columns count from the group's first.
    """

    atoms: Int[np.ndarray, "C 2"]
    squares: Float[np.ndarray, " C"]
    groups: Int[np.ndarray, " G1"]
    mobility: Float[np.ndarray, " N"]
    coupling: Float[np.ndarray, "C L"]


class RigidScratch(NamedTuple):
    """Room for the bonds at a geometry.

    Attributes:
        bonds: vectors along them, nm [C, 3].
        free: where they would be without constraints, nm [L, 3].
        inverse: of every group's metric [C, L].
        impulse, excess: of the bonds of a group [L].
    """

    bonds: Float[np.ndarray, "C 3"]
    free: Float[np.ndarray, "L 3"]
    inverse: Float[np.ndarray, "C L"]
    impulse: Float[np.ndarray, " L"]
    excess: Float[np.ndarray, " L"]


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
        bonds=np.empty((count, 3)),
        free=np.empty((largest, 3)),
        inverse=np.empty((count, largest)),
        impulse=np.empty(largest),
        excess=np.empty(largest),
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
        nowhere = np.zeros((len(masses), 3))
        self(nowhere, nowhere)  # compiles it, before the run's time begins

    def __call__(self, x: Atoms, v: Atoms) -> Atoms:
        """Nm and nm/ps."""
        at, projected = (np.array(array, dtype=np.float64, order="C") for array in (x, v))
        project_at(at, projected, self._tables, self._scratch)
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

    Positions end on the constraints. The velocities still lack the projection there.
    """
    _fly(x, v, duration)
    for group in range(len(tables.groups) - 1):
        first, count = tables.groups[group], tables.groups[group + 1] - tables.groups[group]
        _settle(x, first, count, tables, scratch)
        for bond in range(count):
            i, j = tables.atoms[first + bond]
            for axis in range(3):
                push = scratch.impulse[bond] * scratch.bonds[first + bond, axis]
                x[i, axis] -= tables.mobility[i] * push
                x[j, axis] += tables.mobility[j] * push
                v[i, axis] -= tables.mobility[i] * push / duration
                v[j, axis] += tables.mobility[j] * push / duration


@compiled
@no_type_check
def _fly(x, v, duration):
    for atom in range(len(x)):
        for axis in range(3):
            x[atom, axis] += duration * v[atom, axis]


@compiled
@no_type_check
def _settle(x, first, count, tables, scratch):
    """The impulses h λ of a group that bring its bonds to their lengths."""
    for bond in range(count):
        i, j = tables.atoms[first + bond]
        scratch.impulse[bond] = 0.0
        for axis in range(3):
            scratch.free[bond, axis] = x[i, axis] - x[j, axis]
    for _ in range(SWEEPS):
        worst = 0.0
        for bond in range(count):
            square = 0.0
            for axis in range(3):
                length = scratch.free[bond, axis]
                for other in range(count):
                    push = scratch.impulse[other] * scratch.bonds[first + other, axis]
                    length -= tables.coupling[first + bond, other] * push
                square += length * length
            wanted = tables.squares[first + bond]
            scratch.excess[bond] = 0.5 * (square - wanted)
            worst = max(worst, abs(square - wanted) / wanted)
        for bond in range(count):
            for other in range(count):
                gain = scratch.inverse[first + bond, other] * scratch.excess[other]
                scratch.impulse[bond] += gain
        if worst < CONVERGED:
            break


@compiled
@no_type_check
def measure(x: Atoms, tables: RigidTables, scratch: RigidScratch) -> None:
    """The vectors along all rigid bonds at x, and the inverse of their metric."""
    for bond in range(len(tables.atoms)):
        i, j = tables.atoms[bond]
        for axis in range(3):
            scratch.bonds[bond, axis] = x[i, axis] - x[j, axis]
    for group in range(len(tables.groups) - 1):
        first, count = tables.groups[group], tables.groups[group + 1] - tables.groups[group]
        for bond in range(count):
            for other in range(count):
                along = 0.0
                for axis in range(3):
                    along += scratch.bonds[first + bond, axis] * scratch.bonds[first + other, axis]
                scratch.inverse[first + bond, other] = tables.coupling[first + bond, other] * along
        _invert(scratch.inverse, first, count)


@compiled
@no_type_check
def _invert(matrix, first, count):
    """A symmetric positive-definite block, in place (Gauss-Jordan; no pivots are needed)."""
    for pivot in range(count):
        scale = 1.0 / matrix[first + pivot, pivot]
        matrix[first + pivot, pivot] = 1.0
        for column in range(count):
            matrix[first + pivot, column] *= scale
        for row in range(count):
            if row != pivot:
                factor = matrix[first + row, pivot]
                matrix[first + row, pivot] = 0.0
                for column in range(count):
                    matrix[first + row, column] -= factor * matrix[first + pivot, column]


@compiled
@no_type_check
def project(v: Atoms, tables: RigidTables, scratch: RigidScratch) -> None:
    """Take from v, in place, what would change a rigid bond at the geometry last measured."""
    for group in range(len(tables.groups) - 1):
        first, count = tables.groups[group], tables.groups[group + 1] - tables.groups[group]
        for bond in range(count):
            i, j = tables.atoms[first + bond]
            rate = 0.0
            for axis in range(3):
                rate += (v[i, axis] - v[j, axis]) * scratch.bonds[first + bond, axis]
            scratch.excess[bond] = rate
        for bond in range(count):
            impulse = 0.0
            for other in range(count):
                impulse += scratch.inverse[first + bond, other] * scratch.excess[other]
            i, j = tables.atoms[first + bond]
            for axis in range(3):
                push = impulse * scratch.bonds[first + bond, axis]
                v[i, axis] -= tables.mobility[i] * push
                v[j, axis] += tables.mobility[j] * push


@compiled
@no_type_check
def project_at(x: Atoms, v: Atoms, tables: RigidTables, scratch: RigidScratch) -> None:
    """Take from v, in place, what would change a rigid bond at x."""
    measure(x, tables, scratch)
    project(v, tables, scratch)

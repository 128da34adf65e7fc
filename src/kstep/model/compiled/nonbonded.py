"""Forces of pairs and surroundings: minus the gradient of `kstep.model.nonbonded`'s energy.

All that belongs to pairs lies in rows over the pairs (i, j < i), ordered by i. Innermost loops run
along such rows and write to one row only: of these the compiler makes vector instructions. The
gradient by the strains that atoms feel is left to `kstep.model.compiled.bonded`.
"""

import math
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.compiled.exponential import exponentiate
from kstep.model.compiled.machine import clear, compiled
from kstep.model.compiled.tables import NonbondedTables
from kstep.model.nonbonded import (
    ATOM_UNIT,
    CHARGE_UNIT,
    CHARGES,
    CORE_NM,
    DECAY_NM,
    DENSITIES,
    REACH_NM,
    SOFT,
    WIDTH,
)
from kstep.model.strain import ODD

Atoms = Float[np.ndarray, "N 3"]


class NonbondedScratch(NamedTuple):
    """Room for what the pairs and atoms of a geometry share, so that none is allocated in a run.

    Attributes:
        apart: from j to i, nm [3, P].
        distance: nm [P].
        basis, slopes: basis functions and their derivatives, 1/nm [K, P].
        screen: what screens the charges of a pair, 1/nm; later their product, kJ/mol [C, P].
        passed: densities that i spreads to j and j to i; later what the energy gains by
            them, kJ/mol [D, 2, P].
        rows: for what lives within one function [3, P].
        around: densities of every atom, and strains where they are felt; later what the energy
            gains by them, kJ/mol [N, D + S].
        twist: sums of sines, whose squares are the last strains [N, O].
        hidden, gate: the atoms' hidden features before their gates, and these [N, H].
        hidden_slopes: derivatives of the features behind their gates [N, H].
        by_atom: densities, or what the energy gains by them [D, N].
        charge: e [C, N].
        potential: what the energy gains by each charge, kJ/mol/e [C, N].
        push: minus the force on every atom, kJ/mol/nm [3, N].
    """

    apart: Float[np.ndarray, "3 P"]
    distance: Float[np.ndarray, " P"]
    basis: Float[np.ndarray, "K P"]
    slopes: Float[np.ndarray, "K P"]
    screen: Float[np.ndarray, "C P"]
    passed: Float[np.ndarray, "D 2 P"]
    rows: Float[np.ndarray, "3 P"]
    around: Float[np.ndarray, "N S"]
    twist: Float[np.ndarray, "N O"]
    hidden: Float[np.ndarray, "N H"]
    gate: Float[np.ndarray, "N H"]
    hidden_slopes: Float[np.ndarray, "N H"]
    by_atom: Float[np.ndarray, "D N"]
    charge: Float[np.ndarray, "C N"]
    potential: Float[np.ndarray, "C N"]
    push: Float[np.ndarray, "3 N"]


def make_nonbonded_scratch(tables: NonbondedTables) -> NonbondedScratch:
    """Room for one molecule."""
    n_basis, n_pairs = tables.pair.shape
    n_atoms, n_hidden = tables.known.shape
    return NonbondedScratch(
        apart=np.empty((3, n_pairs)),
        distance=np.empty(n_pairs),
        basis=np.empty((n_basis, n_pairs)),
        slopes=np.empty((n_basis, n_pairs)),
        screen=np.empty((CHARGES, n_pairs)),
        passed=np.empty((DENSITIES, 2, n_pairs)),
        rows=np.empty((3, n_pairs)),
        around=np.empty((n_atoms, len(tables.surroundings))),
        twist=np.empty((n_atoms, ODD)),
        hidden=np.empty((n_atoms, n_hidden)),
        gate=np.empty((n_atoms, n_hidden)),
        hidden_slopes=np.empty((n_atoms, n_hidden)),
        by_atom=np.empty((DENSITIES, n_atoms)),
        charge=np.empty((CHARGES, n_atoms)),
        potential=np.empty((CHARGES, n_atoms)),
        push=np.empty((3, n_atoms)),
    )


@compiled
@no_type_check
def add_nonbonded(
    x: Atoms, tables: NonbondedTables, scratch: NonbondedScratch, force: Atoms
) -> None:
    """Add the forces at x, nm, to `force`, kJ/mol/nm; `scratch.around` is to hold the strains."""
    _measure(x, scratch)
    _expand(tables.centres, scratch)
    _spread(tables, scratch)
    _hide(tables, scratch)
    _charge(tables, scratch)
    _screen(tables, scratch)
    _feel(tables, scratch)
    _hand_out(tables, scratch)
    _slope(tables, scratch)
    _push(scratch, force)


@compiled
@no_type_check
def _measure(x, scratch):
    """Vectors and distances of all pairs."""
    first = 0
    for i in range(1, len(x)):
        for axis in range(3):
            apart, at = scratch.apart[axis], x[i, axis]
            for j in range(i):
                apart[first + j] = at - x[j, axis]
        first += i
    a, b, c = scratch.apart
    distance = scratch.distance
    for p in range(len(distance)):
        distance[p] = math.sqrt(a[p] * a[p] + b[p] * b[p] + c[p] * c[p] + SOFT)


@compiled
@no_type_check
def _expand(centres, scratch):
    """The functions of `kstep.model.nonbonded._basis` and their derivatives."""
    distance, basis, slopes = scratch.distance, scratch.basis, scratch.slopes
    one, one_slope, three, three_slope = basis[0], slopes[0], basis[1], slopes[1]
    for p in range(len(distance)):
        one[p] = REACH_NM / math.sqrt(distance[p] * distance[p] + CORE_NM * CORE_NM)
    for p in range(len(distance)):
        one_slope[p] = one[p] * one[p] * one[p] * distance[p] * (-1.0 / REACH_NM**2)
    for p in range(len(distance)):
        three[p] = one[p] * one[p] * one[p]
    for p in range(len(distance)):
        three_slope[p] = 3.0 * one[p] * one[p] * one_slope[p]
    near = scratch.rows[0]
    for p in range(len(distance)):
        near[p] = distance[p] * (-1.0 / DECAY_NM)
    exponentiate(near, scratch.rows[2])
    _expand_gaussians(centres, near, scratch)
    for k in range(2, len(basis)):
        function, slope, centre = basis[k], slopes[k], centres[k - 2]
        for p in range(len(near)):
            slope[p] = function[p] * (near[p] - centre) * near[p] * (1.0 / (DECAY_NM * WIDTH**2))


@compiled
@no_type_check
def _expand_gaussians(centres, near, scratch):
    """Neighbours differ by a factor that is itself geometric, as centres are equally far apart."""
    ratio, room, first = scratch.rows[1], scratch.rows[2], scratch.basis[2]
    step = centres[1] - centres[0]
    for p in range(len(near)):
        first[p] = (near[p] - centres[0]) * (near[p] - centres[0]) * (-0.5 / WIDTH**2)
    for p in range(len(near)):
        ratio[p] = (near[p] - centres[0] - 0.5 * step) * (step / WIDTH**2)
    exponentiate(first, room)
    exponentiate(ratio, room)
    fall = math.exp(-((step / WIDTH) ** 2))
    for k in range(3, len(scratch.basis)):
        before, function = scratch.basis[k - 1], scratch.basis[k]
        for p in range(len(near)):
            function[p] = before[p] * ratio[p]
        for p in range(len(near)):
            ratio[p] *= fall


@compiled
@no_type_check
def _spread(tables, scratch):
    """The densities that atoms spread to each other, summed over those that do."""
    n_atoms, n_basis = len(scratch.around), len(scratch.basis)
    for d in range(DENSITIES):
        for side in range(2):
            passed = scratch.passed[d, side]
            clear(passed)
            for k in range(n_basis):
                function, weight = scratch.basis[k], tables.spread[d, k, side]
                for p in range(len(passed)):
                    passed[p] += weight[p] * function[p]
        there, back, by_atom = scratch.passed[d, 0], scratch.passed[d, 1], scratch.by_atom[d]
        clear(by_atom)
        first = 0
        for i in range(1, n_atoms):
            total = 0.0
            for j in range(i):
                by_atom[j] += there[first + j]
                total += back[first + j]
            by_atom[i] += total
            first += i
        for i in range(n_atoms):
            scratch.around[i, d] = by_atom[i]


@compiled
@no_type_check
def _hide(tables, scratch):
    """The hidden features of the atoms' network, from densities and strains, and their gates."""
    n_atoms, n_hidden = tables.known.shape
    for i in range(n_atoms):
        hidden, gate, known = scratch.hidden[i], scratch.gate[i], tables.known[i]
        for h in range(n_hidden):
            hidden[h] = known[h]
        for d in range(scratch.around.shape[1]):
            felt, weights = scratch.around[i, d], tables.surroundings[d]
            for h in range(n_hidden):
                hidden[h] += weights[h] * felt
        for h in range(n_hidden):
            gate[h] = -hidden[h]
    gates = scratch.gate.reshape(-1)
    exponentiate(gates, scratch.hidden_slopes.reshape(-1))
    for h in range(len(gates)):
        gates[h] = 1.0 / (1.0 + gates[h])


@compiled
@no_type_check
def _charge(tables, scratch):
    """The charges that the atoms' network decides."""
    n_atoms, n_hidden = tables.known.shape
    for i in range(n_atoms):
        hidden, gate, slopes = scratch.hidden[i], scratch.gate[i], scratch.hidden_slopes[i]
        for h in range(n_hidden):
            slopes[h] = gate[h] * (1.0 + hidden[h] * (1.0 - gate[h]))
        for m in range(CHARGES):
            charge, weights = tables.charge[i] + tables.atom_bias[1 + m], tables.atom[1 + m]
            for h in range(n_hidden):
                charge += weights[h] * hidden[h] * gate[h]
            scratch.charge[m, i] = charge


@compiled
@no_type_check
def _screen(tables, scratch):
    """The potential that every charge feels, and the products of the charges of pairs."""
    for m in range(CHARGES):
        screen, charge, potential = scratch.screen[m], scratch.charge[m], scratch.potential[m]
        clear(screen)
        clear(potential)
        for k in range(len(scratch.basis)):
            function, weight = scratch.basis[k], 2.0 * CHARGE_UNIT * tables.solvent[k, m]
            for p in range(len(screen)):
                screen[p] += weight * function[p]
        first = 0
        for i in range(1, len(charge)):
            own, total = charge[i], 0.0
            for j in range(i):
                potential[j] += screen[first + j] * own
            for j in range(i):
                total += screen[first + j] * charge[j]
            potential[i] += total
            for j in range(i):
                screen[first + j] = 2.0 * CHARGE_UNIT * own * charge[j]
            first += i


@compiled
@no_type_check
def _feel(tables, scratch):
    """What the energy gains by each density and strain, in their places."""
    n_atoms, n_hidden = tables.known.shape
    for i in range(n_atoms):
        gain, slopes, weights = scratch.gate[i], scratch.hidden_slopes[i], tables.atom[0]
        for h in range(n_hidden):
            gain[h] = ATOM_UNIT * weights[h]
        for m in range(CHARGES):
            potential, weights = scratch.potential[m, i], tables.atom[1 + m]
            for h in range(n_hidden):
                gain[h] += potential * weights[h]
        for h in range(n_hidden):
            gain[h] *= slopes[h]
        for d in range(scratch.around.shape[1]):
            total, weights = 0.0, tables.surroundings[d]
            for h in range(n_hidden):
                total += gain[h] * weights[h]
            scratch.around[i, d] = total


@compiled
@no_type_check
def _slope(tables, scratch):
    """What the energy gains by every pair's distance, over that distance, in row 1."""
    weight, slope = scratch.rows[0], scratch.rows[1]
    clear(slope)
    for k in range(len(scratch.slopes)):
        pair, derivative = tables.pair[k], scratch.slopes[k]
        for p in range(len(weight)):
            weight[p] = pair[p]
        for m in range(CHARGES):
            product, share = scratch.screen[m], tables.solvent[k, m]
            for p in range(len(weight)):
                weight[p] += share * product[p]
        for d in range(DENSITIES):
            there, back = scratch.passed[d, 0], scratch.passed[d, 1]
            from_i, from_j = tables.spread[d, k, 0], tables.spread[d, k, 1]
            for p in range(len(weight)):
                weight[p] += there[p] * from_i[p] + back[p] * from_j[p]
        for p in range(len(weight)):
            slope[p] += weight[p] * derivative[p]
    for p in range(len(slope)):
        slope[p] /= scratch.distance[p]


@compiled
@no_type_check
def _push(scratch, force):
    """Forces along the pairs, on both of their atoms."""
    slope = scratch.rows[1]
    for axis in range(3):
        apart, push, first = scratch.apart[axis], scratch.push[axis], 0
        clear(push)
        for i in range(1, len(push)):
            total = 0.0
            for j in range(i):
                push[j] -= slope[first + j] * apart[first + j]
            for j in range(i):
                total += slope[first + j] * apart[first + j]
            push[i] += total
            first += i
        for i in range(len(push)):
            force[i, axis] -= push[i]


@compiled
@no_type_check
def _hand_out(tables, scratch):
    """What the energy gains by the densities of the atoms, to the pairs that make them."""
    n_atoms = len(scratch.around)
    for d in range(DENSITIES):
        there, back, gain = scratch.passed[d, 0], scratch.passed[d, 1], scratch.by_atom[d]
        for i in range(n_atoms):
            gain[i] = scratch.around[i, d]
        for p in range(len(there)):
            there[p] = gain[tables.pairs[p, 1]]
        for p in range(len(back)):
            back[p] = gain[tables.pairs[p, 0]]

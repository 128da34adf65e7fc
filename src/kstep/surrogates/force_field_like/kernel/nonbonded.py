"""Forces of pairs and surroundings: minus the gradient of `force_field_like.nonbonded`'s energy.

Pairs (i, j < i) are gone through three times: what passes between them gives the densities around
atoms; these give charges, which give the potentials that atoms feel; densities and potentials
together give what the energy gains by every distance. The gradient by the strains that atoms feel
is left to `force_field_like.kernel.bonded`.
"""

import math
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float

from kstep.compiled.functions import add, add_vector, between, dot, exponential
from kstep.compiled.lanes import LANES, load, splat, sqrt, store
from kstep.compiled.machine import compiled, inlined
from kstep.surrogates.force_field_like.kernel.tables import NonbondedTables
from kstep.surrogates.force_field_like.nonbonded import (
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
from kstep.surrogates.force_field_like.strain import ODD


class NonbondedScratch(NamedTuple):
    """Room for what the pairs and atoms of a geometry share, so that none is allocated in a run.

    Attributes:
        distance: nm [P, L].
        near: exp(−distance/DECAY_NM) [P, L].
        basis: basis functions [P, K, L].
        screen: energy of the charges of a pair by their product, kJ/mol/e² [P, C, L].
        around: densities of every atom, and strains where they are felt; later what the energy
            gains by them, kJ/mol [N, D + S, L].
        twist: sums of sines, whose squares are the last strains [N, O, L].
        slopes: derivatives of the atoms' features by what goes into them [N, H, L].
        charge: e [N, C, L].
        potential: what the energy gains by each charge, kJ/mol/e [N, C, L].
        passed: what the energy gains by the densities that a pair passes, kJ/mol [2, D, L].
    """

    distance: Float[np.ndarray, "P L"]
    near: Float[np.ndarray, "P L"]
    basis: Float[np.ndarray, "P K L"]
    screen: Float[np.ndarray, "P C L"]
    around: Float[np.ndarray, "N S L"]
    twist: Float[np.ndarray, "N O L"]
    slopes: Float[np.ndarray, "N H L"]
    charge: Float[np.ndarray, "N C L"]
    potential: Float[np.ndarray, "N C L"]
    passed: Float[np.ndarray, "2 D L"]


def make_nonbonded_scratch(tables: NonbondedTables) -> NonbondedScratch:
    """Room for one molecule."""
    n_pairs, n_basis = tables.pair.shape
    n_atoms, n_hidden = tables.known.shape
    return NonbondedScratch(
        distance=np.empty((n_pairs, LANES)),
        near=np.empty((n_pairs, LANES)),
        basis=np.empty((n_pairs, n_basis, LANES)),
        screen=np.empty((n_pairs, CHARGES, LANES)),
        around=np.empty((n_atoms, len(tables.surroundings), LANES)),
        twist=np.empty((n_atoms, ODD, LANES)),
        slopes=np.empty((n_atoms, n_hidden, LANES)),
        charge=np.empty((n_atoms, CHARGES, LANES)),
        potential=np.empty((n_atoms, CHARGES, LANES)),
        passed=np.empty((2, DENSITIES, LANES)),
    )


@compiled
@no_type_check
def add_nonbonded(
    x: Float[np.ndarray, "N 3 L"],
    tables: NonbondedTables,
    scratch: NonbondedScratch,
    force: Float[np.ndarray, "N 3 L"],
) -> None:
    """Add the forces at x, nm, to `force`, kJ/mol/nm; `scratch.around` is to hold the strains."""
    expand_pairs(x, tables, scratch)
    atoms_feel(tables, scratch)
    _screen(scratch)
    _feel(tables, scratch)
    _push(x, tables, scratch, force)


@compiled
@no_type_check
def atoms_feel(tables, scratch):
    """Densities around atoms, screening of pairs, and the charges that atoms have by both."""
    _spread(tables, scratch)
    _charge(tables, scratch)


@compiled
@no_type_check
def expand_pairs(x, tables, scratch):
    """Distances and basis functions of all pairs."""
    pair = 0
    for i in range(1, len(x)):
        for j in range(i):
            apart = between(x, j, i)
            distance = sqrt(dot(apart, apart) + SOFT)
            store(scratch.distance[pair], distance)
            store(scratch.near[pair], _expand(distance, tables.centres, scratch.basis[pair]))
            pair += 1


@inlined
@no_type_check
def _expand(distance, centres, basis):
    """The functions of `force_field_like.nonbonded._basis`; returns what the Gaussians are of.

    Neighbours of these differ by a factor that is itself geometric, as centres are equally far
    apart.
    """
    inverse = REACH_NM / sqrt(distance * distance + CORE_NM * CORE_NM)
    store(basis[0], inverse)
    store(basis[1], inverse * inverse * inverse)
    near = exponential(distance * (-1.0 / DECAY_NM))
    off, step = near - centres[0], centres[1] - centres[0]
    gaussian = exponential(off * off * (-0.5 / WIDTH**2))
    ratio = exponential((off - 0.5 * step) * (step / WIDTH**2))
    fall = math.exp(-((step / WIDTH) ** 2))
    for k in range(2, len(basis)):
        store(basis[k], gaussian)
        gaussian *= ratio
        ratio *= fall
    return near


@compiled
@no_type_check
def _spread(tables, scratch):
    """The densities that atoms spread to each other, summed over those that do, and screening."""
    around, pair = scratch.around, 0
    for atom in range(len(around)):
        for d in range(DENSITIES):
            store(around[atom, d], 0.0)
    for i in range(1, len(around)):
        for j in range(i):
            basis = scratch.basis[pair]
            for d in range(0, DENSITIES, 2):
                there, back, there_too, back_too = _pass(tables.sent[i], tables.sent[j], d, basis)
                add(around[j, d], tables.felt[i, j, d] * there)
                add(around[i, d], tables.felt[j, i, d] * back)
                add(around[j, d + 1], tables.felt[i, j, d + 1] * there_too)
                add(around[i, d + 1], tables.felt[j, i, d + 1] * back_too)
            for m in range(CHARGES):
                screen = splat(0.0)
                for k in range(len(basis)):
                    screen += 2.0 * CHARGE_UNIT * tables.solvent[m, k] * load(basis[k])
                store(scratch.screen[pair, m], screen)
            pair += 1


@inlined
@no_type_check
def _pass(from_i, from_j, d, basis):
    """What passes between two atoms of density d and the next: four sums wait less than one."""
    there, back, there_too, back_too = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
    for k in range(len(basis)):
        function = load(basis[k])
        there += from_i[d, k] * function
        back += from_j[d, k] * function
        there_too += from_i[d + 1, k] * function
        back_too += from_j[d + 1, k] * function
    return there, back, there_too, back_too


@compiled
@no_type_check
def _charge(tables, scratch):
    """The features that atoms have by their surroundings, and the charges they decide."""
    n_atoms, n_hidden = tables.known.shape
    for atom in range(n_atoms):
        for m in range(CHARGES):
            charge = tables.charge[atom] + tables.atom_bias[1 + m]
            store(scratch.charge[atom, m], charge)
        for h in range(n_hidden):
            hidden = splat(tables.known[atom, h])
            for d in range(scratch.around.shape[1]):
                hidden += tables.surroundings[d, h] * load(scratch.around[atom, d])
            gate = 1.0 / (1.0 + exponential(-hidden))
            feature = hidden * gate
            store(scratch.slopes[atom, h], gate + feature * (1.0 - gate))
            for m in range(CHARGES):
                add(scratch.charge[atom, m], tables.atom[1 + m, h] * feature)


@compiled
@no_type_check
def _screen(scratch):
    """The potential that every charge feels."""
    n_atoms, pair = len(scratch.charge), 0
    for atom in range(n_atoms):
        for m in range(CHARGES):
            store(scratch.potential[atom, m], 0.0)
    for i in range(1, n_atoms):
        for j in range(i):
            for m in range(CHARGES):
                screen = load(scratch.screen[pair, m])
                add(scratch.potential[i, m], screen * load(scratch.charge[j, m]))
                add(scratch.potential[j, m], screen * load(scratch.charge[i, m]))
            pair += 1


@compiled
@no_type_check
def _feel(tables, scratch):
    """What the energy gains by each density and strain, in their places."""
    n_atoms, n_hidden = tables.known.shape
    for atom in range(n_atoms):
        gains = scratch.slopes[atom]
        for h in range(n_hidden):
            gain = splat(ATOM_UNIT * tables.atom[0, h])
            for m in range(CHARGES):
                gain += tables.atom[1 + m, h] * load(scratch.potential[atom, m])
            store(gains[h], gain * load(gains[h]))
        for d in range(scratch.around.shape[1]):
            total = splat(0.0)
            for h in range(n_hidden):
                total += tables.surroundings[d, h] * load(gains[h])
            store(scratch.around[atom, d], total)


@compiled
@no_type_check
def _push(x, tables, scratch, force):
    """Forces along the pairs, on both of their atoms."""
    gains, pair = scratch.around, 0
    from_i, from_j = scratch.passed[0], scratch.passed[1]
    for i in range(1, len(x)):
        for j in range(i):
            for d in range(DENSITIES):
                store(from_i[d], tables.felt[i, j, d] * load(gains[j, d]))
                store(from_j[d], tables.felt[j, i, d] * load(gains[i, d]))
            slope = _slope(i, j, pair, tables, scratch)
            apart = between(x, j, i)
            push = slope / load(scratch.distance[pair])
            add_vector(force[i], -push, apart)
            add_vector(force[j], push, apart)
            pair += 1


@inlined
@no_type_check
def _slope(i, j, pair, tables, scratch):
    """What the energy gains by the distance of a pair, kJ/mol/nm."""
    distance, near, basis = (
        load(scratch.distance[pair]),
        load(scratch.near[pair]),
        scratch.basis[pair],
    )
    inverse, gaussians = load(basis[0]), splat(0.0)
    by_inverse = _weight(i, j, 0, pair, tables, scratch)
    by_cube = _weight(i, j, 1, pair, tables, scratch)
    for k in range(2, len(basis)):
        weight = _weight(i, j, k, pair, tables, scratch)
        gaussians += weight * load(basis[k]) * (near - tables.centres[k - 2])
    square = inverse * inverse
    core = (by_inverse + 3.0 * by_cube * square) * inverse * square * distance
    return gaussians * near * (1.0 / (DECAY_NM * WIDTH**2)) - core * (1.0 / REACH_NM**2)


@inlined
@no_type_check
def _weight(i, j, k, pair, tables, scratch):
    """What the energy gains by a basis function of a pair, kJ/mol."""
    weight = splat(tables.pair[pair, k])
    for m in range(CHARGES):
        product = load(scratch.charge[i, m]) * load(scratch.charge[j, m])
        weight += 2.0 * CHARGE_UNIT * tables.solvent[m, k] * product
    from_i, from_j = scratch.passed[0], scratch.passed[1]
    for d in range(DENSITIES):
        weight += tables.sent[i, d, k] * load(from_i[d]) + tables.sent[j, d, k] * load(from_j[d])
    return weight

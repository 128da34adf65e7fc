"""The energy of a learned potential, compiled: for Metropolis tests, which forces do not answer."""

from typing import no_type_check

from kstep.compiled.functions import dot, exponential
from kstep.compiled.lanes import load, splat, sqrt, store
from kstep.compiled.machine import compiled, inlined
from kstep.surrogates.force_field_like.bonded import NEARLY_STRAIGHT, NORMAL_ARM_NM, SOFT
from kstep.surrogates.force_field_like.kernel.geometry import (
    angle_at,
    bend_of,
    bond_at,
    fold_of,
    links_at,
    stretch_of,
    turn_of,
)
from kstep.surrogates.force_field_like.kernel.nonbonded import atoms_feel, expand_pairs
from kstep.surrogates.force_field_like.kernel.strain import feel_strains
from kstep.surrogates.force_field_like.nonbonded import ATOM_UNIT, CHARGES


@compiled
@no_type_check
def evaluate_energy(x, tables, scratch, result):
    """Put the energy at x, nm, into `result`, kJ/mol [L]."""
    feel_strains(x, tables.bonded, tables.strain, scratch.around, scratch.twist)
    expand_pairs(x, tables.nonbonded, scratch)
    atoms_feel(tables.nonbonded, scratch)
    total = _bonded(x, tables.bonded) + _pairs(tables.nonbonded, scratch)
    store(result, total + _atoms(tables.nonbonded, scratch))


@inlined
@no_type_check
def _antiderivative(derivative, value):
    """Of a polynomial in a value, from the coefficients of its derivative; zero at zero."""
    total = splat(0.0)
    for power in range(len(derivative) - 1, -1, -1):
        total = (total + derivative[power] / (power + 1.0)) * value
    return total


@inlined
@no_type_check
def _beyond_powers(derivative, bend, area, along):
    """What even powers of the bend of a straight angle lack, as `..bonded` has it."""
    fold, _ = fold_of(area, along)
    more, quartic = 2.0 * fold, 0.25 * derivative[3]
    two, three = 0.5 * derivative[1], derivative[2] * (1.0 / 3.0)
    return more * (two + three * bend + quartic * (2.0 * bend * bend + more))


@compiled
@no_type_check
def _bonded(x, tables):
    total = splat(0.0)
    for term in range(len(tables.bonds)):
        _, length = bond_at(x, tables.bonds[term])
        stretch = stretch_of(length, tables.rest_lengths[term])
        total += _antiderivative(tables.stretch[term], stretch)
    for term in range(len(tables.angles)):
        one, two, _, area, along = angle_at(x, tables.angles[term])
        bend = bend_of(area, along, tables.rest_angles[term])
        first = stretch_of(sqrt(dot(one, one) + SOFT), NORMAL_ARM_NM)
        second = stretch_of(sqrt(dot(two, two) + SOFT), NORMAL_ARM_NM)
        total += _antiderivative(tables.bend[term], bend)
        if tables.rest_angles[term] > NEARLY_STRAIGHT:
            total += _beyond_powers(tables.bend[term], bend, area, along)
        total += tables.coupling[term, 0] * first * second
        total += tables.coupling[term, 1] * bend * (first + second)
    for term in range(len(tables.torsions)):
        one, two, _, first, second = links_at(x, tables.torsions[term])
        cosine, _, _, _, _ = turn_of(one, two, first, second, tables.fade[term])
        total += _antiderivative(tables.turn[term], cosine)
    return total


@compiled
@no_type_check
def _pairs(tables, scratch):
    """Pairs by their basis functions, and the charges that atoms have by their surroundings."""
    total, pair = splat(0.0), 0
    for i in range(1, len(tables.known)):
        for j in range(i):
            for k in range(tables.pair.shape[1]):
                total += tables.pair[pair, k] * load(scratch.basis[pair, k])
            for m in range(CHARGES):
                product = load(scratch.charge[i, m]) * load(scratch.charge[j, m])
                total += load(scratch.screen[pair, m]) * product
            pair += 1
    return total


@compiled
@no_type_check
def _atoms(tables, scratch):
    """What atoms have by their surroundings, apart from charges."""
    n_atoms, n_hidden = tables.known.shape
    total = splat(0.0)
    for atom in range(n_atoms):
        own = splat(tables.atom_bias[0])
        for h in range(n_hidden):
            hidden = splat(tables.known[atom, h])
            for d in range(scratch.around.shape[1]):
                hidden += tables.surroundings[d, h] * load(scratch.around[atom, d])
            own += tables.atom[0, h] * (hidden / (1.0 + exponential(-hidden)))
        total += ATOM_UNIT * own
    return total

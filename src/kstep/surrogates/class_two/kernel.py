"""A class-II force field as machine code: eight replicas in lockstep, float64.

First every coordinate is measured: its features, the energy of its series and what that gains by
it, and the gradient of the coordinate itself. Then the features meet: the energy's gain by each
of them. Then every coordinate passes what the energy gains by it on to its atoms.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float

from kstep.compiled.functions import (
    add_vector,
    between,
    cross,
    dot,
    exponential,
    minus,
    plus,
    put_vector,
    times,
    vector,
)
from kstep.compiled.lanes import load, splat, sqrt, store, where_below
from kstep.compiled.machine import compiled, inlined
from kstep.compiled.propagation import Kernel, register
from kstep.compiled.rigid import rigid_tables
from kstep.surrogates.class_two.form import Form
from kstep.surrogates.class_two.functions import (
    BEND,
    BOUND,
    DECAY_NM,
    FAR,
    PAIR_NM,
    SOFT_NM,
    STRETCH_NM,
    WALL,
    WING,
    Seen,
)
from kstep.surrogates.class_two.tables import Tables, make_scratch, make_tables
from kstep.system.molecule import Molecule


@compiled
@no_type_check
def evaluate_energy(x, tables, scratch, result):
    """Put the energy at x, nm, into `result`, kJ/mol [L]."""
    total = _measure(x, tables, scratch)
    _meet(tables, scratch)
    products = splat(0.0)
    for feature in range(len(scratch.features)):
        products += load(scratch.features[feature]) * load(scratch.gains[feature])
    for term in range(len(tables.pairs)):
        _, energy, _ = _pair_at(x, term, tables)
        total += energy
    store(result, total + 0.5 * products)  # every product was met from both sides


@compiled
@no_type_check
def evaluate_force(x, tables, scratch, result):
    """Put the force at x, nm, into `result`, kJ/mol/nm [N, 3, L]."""
    for atom in range(len(result)):
        for axis in range(3):
            store(result[atom, axis], 0.0)
    _measure(x, tables, scratch)
    _meet(tables, scratch)
    _push(tables, scratch, result)
    for term in range(len(tables.pairs)):
        one, two = tables.pairs[term]
        link, _, pull = _pair_at(x, term, tables)
        add_vector(result[one], -pull, link)
        add_vector(result[two], pull, link)


register(Tables, evaluate_force, evaluate_energy)


def make_kernel(
    molecule: Molecule, form: Form, seen: Seen, coefficients: Float[np.ndarray, " K"]
) -> Kernel:
    """The force field of a molecule with these coefficients of the functions of its form."""
    tables = make_tables(form, seen, coefficients)
    rigid = rigid_tables(molecule.constraints, molecule.constraint_lengths, molecule.masses)
    return Kernel(tables, make_scratch(tables), rigid)


@compiled
@no_type_check
def _measure(x, tables, scratch):
    """Measure all coordinates but pairs; the energy of their series."""
    total, place = splat(0.0), 0
    for term in range(len(tables.bonds)):
        direction, inverse = _direction(x, tables.bonds[term, 1], tables.bonds[term, 0])
        deviation = (1.0 / inverse - tables.middle[place]) * (1.0 / STRETCH_NM)
        total += _deviate(place, deviation, 1.0 / STRETCH_NM, tables.stretch[term], tables, scratch)
        put_vector(scratch.arms[place, 0], direction)
        place += 1
    for term in range(len(tables.angles)):
        cosine = _measure_angle(x, tables.angles[term], scratch.arms[place])
        deviation = (tables.middle[place] - cosine) * (1.0 / BEND)
        total += _deviate(place, deviation, -1.0 / BEND, tables.bend[term], tables, scratch)
        place += 1
    for term in range(len(tables.wings)):
        wing = _measure_wing(x, tables.wings[term], scratch.arms[place]) * (1.0 / WING)
        square, low, high = wing * wing, tables.wing[term, 0], tables.wing[term, 1]
        total += square * (low + square * high)
        store(scratch.features[place], wing)
        store(scratch.slopes[place], wing * (2.0 * low + square * (4.0 * high)) * (1.0 / WING))
        place += 1
    for term in range(len(tables.torsions)):
        cosine, sine = _measure_torsion(x, tables.torsions[term], scratch.arms[place])
        total += _turn(place, cosine, sine, tables.turn[term], tables.twist[term], scratch)
        _put_turn(place, len(tables.torsions), cosine, sine, scratch.features)
        place += 1
    return total


@inlined
@no_type_check
def _direction(x, tail, head):
    """The unit vector from one atom to another, and one over their distance, 1/nm."""
    link = between(x, tail, head)
    inverse = 1.0 / sqrt(dot(link, link))
    return times(inverse, link), inverse


@inlined
@no_type_check
def _deviate(place, s, unit, powers, tables, scratch):
    """Energy of the powers of a stretch or bend s, which changes by `unit` with its coordinate."""
    excess = _beyond(s, tables.low[place], tables.high[place])
    square = s * s
    shrink = 1.0 / (1.0 + square * (1.0 / BOUND**2))
    root = sqrt(shrink)
    u, rate = s * root, shrink * root
    upper, quartic = u * u, u * powers[3]
    slope = powers[0] + 2.0 * powers[1] * s + upper * (3.0 * powers[2] + 4.0 * quartic) * rate
    store(scratch.features[place], u)
    store(scratch.rates[place], rate * unit)
    store(scratch.slopes[place], (slope + 2.0 * WALL * excess) * unit)
    energy = s * powers[0] + square * powers[1] + upper * u * (powers[2] + quartic)
    return energy + WALL * excess * excess


@inlined
@no_type_check
def _beyond(value, low, high):
    """By how much a value is above or (negative) below a range."""
    return where_below(value, low, value - low, where_below(high, value, value - high, 0.0))


@inlined
@no_type_check
def _measure_angle(x, atoms, arms):
    """The cosine of an angle; its gradient by the first atom and by the vertex go into `arms`."""
    one, by_one = _direction(x, atoms[1], atoms[0])
    two, by_two = _direction(x, atoms[1], atoms[2])
    cosine = dot(one, two)
    first = times(by_one, minus(two, times(cosine, one)))
    last = times(by_two, minus(one, times(cosine, two)))
    put_vector(arms[0], first)
    put_vector(arms[1], times(-1.0, plus(first, last)))
    return cosine


@inlined
@no_type_check
def _measure_wing(x, atoms, arms):
    """The volume that three directions span, its gradients by the centre and the next two."""
    one, by_one = _direction(x, atoms[0], atoms[1])
    two, by_two = _direction(x, atoms[0], atoms[2])
    three, by_three = _direction(x, atoms[0], atoms[3])
    across = cross(two, three)
    volume = dot(one, across)
    first = times(by_one, minus(across, times(volume, one)))
    second = times(by_two, minus(cross(three, one), times(volume, two)))
    third = times(by_three, minus(cross(one, two), times(volume, three)))
    put_vector(arms[0], times(-1.0, plus(plus(first, second), third)))
    put_vector(arms[1], first)
    put_vector(arms[2], second)
    return volume


@inlined
@no_type_check
def _measure_torsion(x, atoms, arms):
    """Cosine and sine of a dihedral angle; its gradients by the first three atoms."""
    one, two = between(x, atoms[0], atoms[1]), between(x, atoms[1], atoms[2])
    three = between(x, atoms[2], atoms[3])
    before, after = cross(one, two), cross(two, three)
    by_before, by_after = 1.0 / dot(before, before), 1.0 / dot(after, after)
    square = dot(two, two)
    middle = sqrt(square)
    areas = sqrt(by_before * by_after)
    first, last = times(-middle * by_before, before), times(middle * by_after, after)
    back, on = dot(one, two) / square, dot(three, two) / square
    second = minus(times(on, last), times(1.0 + back, first))
    put_vector(arms[0], first)
    put_vector(arms[1], second)
    put_vector(arms[2], times(-1.0, plus(plus(first, second), last)))
    return dot(before, after) * areas, middle * dot(one, after) * areas


@inlined
@no_type_check
def _turn(place, cosine, sine, turn, twist, scratch):
    """Energy of cos nφ and sin nφ, by their recurrence."""
    total, slope = splat(0.0), splat(0.0)
    here, beside = splat(1.0), splat(0.0)
    for n in range(len(turn)):
        here, beside = here * cosine - beside * sine, beside * cosine + here * sine
        total += turn[n] * here
        slope -= (n + 1.0) * turn[n] * beside
        if len(twist) > 0:
            total += twist[n] * beside
            slope += (n + 1.0) * twist[n] * here
    store(scratch.slopes[place], slope)
    return total


@inlined
@no_type_check
def _put_turn(place, count, cosine, sine, features):
    """The features of a torsion: cos φ, cos 2φ and sin φ."""
    store(features[place], cosine)
    store(features[place + count], 2.0 * cosine * cosine - 1.0)
    store(features[place + 2 * count], sine)


@compiled
@no_type_check
def _meet(tables, scratch):
    """What the energy gains by every feature."""
    for feature in range(len(scratch.gains)):
        start, end = tables.starts[feature], tables.starts[feature + 1]
        even, odd = splat(0.0), splat(0.0)  # two sums wait less than one
        for entry in range(start, end - 1, 2):
            even += tables.weights[entry] * load(scratch.features[tables.partners[entry]])
            odd += tables.weights[entry + 1] * load(scratch.features[tables.partners[entry + 1]])
        if (end - start) % 2 == 1:
            even += tables.weights[end - 1] * load(scratch.features[tables.partners[end - 1]])
        store(scratch.gains[feature], even + odd)


@compiled
@no_type_check
def _push(tables, scratch, force):
    """Pass on to the atoms what the energy gains by every coordinate but pairs."""
    place, turns = 0, len(tables.torsions)
    for term in range(len(tables.bonds)):
        slope = load(scratch.slopes[place]) + load(scratch.gains[place]) * load(
            scratch.rates[place]
        )
        _pass_on(tables.bonds[term], slope, scratch.arms[place], force)
        place += 1
    for term in range(len(tables.angles)):
        slope = load(scratch.slopes[place]) + load(scratch.gains[place]) * load(
            scratch.rates[place]
        )
        _pass_on(tables.angles[term], slope, scratch.arms[place], force)
        place += 1
    for term in range(len(tables.wings)):
        slope = load(scratch.slopes[place]) + load(scratch.gains[place]) * (1.0 / WING)
        _pass_on(tables.wings[term], slope, scratch.arms[place], force)
        place += 1
    for term in range(len(tables.torsions)):
        cosine, sine = load(scratch.features[place]), load(scratch.features[place + 2 * turns])
        by_cosine = load(scratch.gains[place]) + 4.0 * cosine * load(scratch.gains[place + turns])
        slope = load(scratch.slopes[place]) - by_cosine * sine
        slope += load(scratch.gains[place + 2 * turns]) * cosine
        _pass_on(tables.torsions[term], slope, scratch.arms[place], force)
        place += 1


@inlined
@no_type_check
def _pass_on(atoms, slope, arms, force):
    """Forces by a coordinate: its gradients add up to nothing."""
    rest = times(0.0, vector(arms[0]))
    for number in range(len(atoms) - 1):
        arm = vector(arms[number])
        add_vector(force[atoms[number]], -slope, arm)
        rest = plus(rest, arm)
    add_vector(force[atoms[-1]], slope, rest)


@inlined
@no_type_check
def _pair_at(x, term, tables):
    """The link of a pair, its energy, and the energy's gain by the distance, over the distance."""
    coefficients = tables.pair[term]
    link = between(x, tables.pairs[term, 1], tables.pairs[term, 0])
    square = dot(link, link)
    distance = sqrt(square)
    inverse = 1.0 / sqrt(square + SOFT_NM**2)
    near = exponential(distance * (-1.0 / DECAY_NM))
    energy, slope = splat(0.0), splat(0.0)
    for power in range(len(coefficients) - 1, 0, -1):
        energy = (energy + coefficients[power]) * near
        slope = (slope + power * coefficients[power]) * near
    charge = coefficients[0] * inverse
    excess = _beyond(distance, tables.nearest[term], FAR) * (1.0 / PAIR_NM)
    slope = slope * (-1.0 / DECAY_NM) + excess * (2.0 * WALL / PAIR_NM)
    pull = slope / distance - charge * inverse * inverse
    return link, energy + charge + WALL * excess * excess, pull

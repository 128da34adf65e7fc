"""Forces of bonds, angles and torsions: minus the gradient of `kstep.model.bonded`'s energy."""

import math
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.bonded import BEND, NORMAL_ARM_NM, SOFT, STRAIGHT, STRETCH_NM
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.tables import BondedTables

Atoms = Float[np.ndarray, "N 3"]


@compiled
@no_type_check
def add_bonded(x: Atoms, tables: BondedTables, force: Atoms) -> None:
    """Add the forces at x, nm, to `force`, kJ/mol/nm."""
    for term in range(len(tables.bonds)):
        i, j = tables.bonds[term]
        a, b, c = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1], x[i, 2] - x[j, 2]
        length = math.sqrt(a * a + b * b + c * c + SOFT)
        stretch = (length - tables.rest_lengths[term]) / STRETCH_NM
        pull = _slope(tables.stretch[term], stretch) / (STRETCH_NM * length)
        _push(force, i, -pull * a, -pull * b, -pull * c)
        _push(force, j, pull * a, pull * b, pull * c)
    for term in range(len(tables.angles)):
        _add_angle(x, tables, term, force)
    for term in range(len(tables.torsions)):
        _add_torsion(x, tables.torsions[term], tables.turn[term], force)


@compiled
@no_type_check
def _slope(coefficients, value):
    """Σ_p p a_p valueᵖ⁻¹."""
    order = len(coefficients)
    result = order * coefficients[order - 1]
    for power in range(order - 1, 0, -1):
        result = result * value + power * coefficients[power - 1]
    return result


@compiled
@no_type_check
def _push(force, atom, a, b, c):
    force[atom, 0] += a
    force[atom, 1] += b
    force[atom, 2] += c


@compiled
@no_type_check
def _cross(a, b):
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@compiled
@no_type_check
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled
@no_type_check
def _between(x, tail, head):
    return x[head, 0] - x[tail, 0], x[head, 1] - x[tail, 1], x[head, 2] - x[tail, 2]


@compiled
@no_type_check
def _add_angle(x, tables, term, force):
    """The bend θ, the stretches of its two arms, and what couples the three."""
    first, middle, last = tables.angles[term]
    one, two = _between(x, middle, first), _between(x, middle, last)
    normal = _cross(one, two)
    area = math.sqrt(_dot(normal, normal) + STRAIGHT)
    along = _dot(one, two)
    bend = (math.atan2(area, along) - tables.rest_angles[term]) / BEND
    length_one = math.sqrt(_dot(one, one) + SOFT)
    length_two = math.sqrt(_dot(two, two) + SOFT)
    pull_one = (length_one - NORMAL_ARM_NM) / STRETCH_NM
    pull_two = (length_two - NORMAL_ARM_NM) / STRETCH_NM
    both, with_bend = tables.coupling[term]
    torque = _slope(tables.bend[term], bend) + with_bend * (pull_one + pull_two)
    torque /= BEND * (area * area + along * along)
    # θ = atan2(area, along): ∂θ/∂one = (along · (two × normal)/area − area · two) / (…)
    of_area, of_along = torque * along / area, torque * area
    turn_one, turn_two = _cross(two, normal), _cross(normal, one)
    tug_one = (both * pull_two + with_bend * bend) / (STRETCH_NM * length_one)
    tug_two = (both * pull_one + with_bend * bend) / (STRETCH_NM * length_two)
    for axis in range(3):
        on_first = of_area * turn_one[axis] - of_along * two[axis] + tug_one * one[axis]
        on_last = of_area * turn_two[axis] - of_along * one[axis] + tug_two * two[axis]
        force[first, axis] -= on_first
        force[last, axis] -= on_last
        force[middle, axis] += on_first + on_last


@compiled
@no_type_check
def _add_torsion(x, atoms, turn, force):
    """A function of cos φ, which has no singularity but where the chain is straight."""
    one = _between(x, atoms[0], atoms[1])
    two = _between(x, atoms[1], atoms[2])
    three = _between(x, atoms[2], atoms[3])
    first, second = _cross(one, two), _cross(two, three)
    square_one, square_two = _dot(first, first), _dot(second, second)
    areas = math.sqrt(square_one * square_two + STRAIGHT)
    cosine = _dot(first, second) / areas
    slope = _slope(turn, cosine) / areas
    shrink = cosine / areas
    by_first = (
        slope * (second[0] - shrink * square_two * first[0]),
        slope * (second[1] - shrink * square_two * first[1]),
        slope * (second[2] - shrink * square_two * first[2]),
    )
    by_second = (
        slope * (first[0] - shrink * square_one * second[0]),
        slope * (first[1] - shrink * square_one * second[1]),
        slope * (first[2] - shrink * square_one * second[2]),
    )
    of_one, of_three = _cross(two, by_first), _cross(by_second, two)
    of_two_a, of_two_b = _cross(by_first, one), _cross(three, by_second)
    for axis in range(3):
        of_two = of_two_a[axis] + of_two_b[axis]
        force[atoms[0], axis] += of_one[axis]
        force[atoms[1], axis] += of_two - of_one[axis]
        force[atoms[2], axis] += of_three[axis] - of_two
        force[atoms[3], axis] -= of_three[axis]

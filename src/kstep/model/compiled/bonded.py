"""Forces of bonds, angles and torsions: minus the gradient of the energy by each of them.

Of `kstep.model.bonded`'s energy, and of what the atoms around make of their strains.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.bonded import BEND, NORMAL_ARM_NM, STRETCH_NM
from kstep.model.compiled.geometry import (
    angle_at,
    bend_of,
    between,
    cross,
    dot,
    stretch_of,
    torsion_at,
)
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.nonbonded import Scratch
from kstep.model.compiled.strain import gain, gain_of_turn, untwist
from kstep.model.compiled.tables import BondedTables, StrainTables

Atoms = Float[np.ndarray, "N 3"]


@compiled
@no_type_check
def add_bonded(
    x: Atoms, tables: BondedTables, strain: StrainTables, scratch: Scratch, force: Atoms
) -> None:
    """Add the forces at x, nm, to `force`, kJ/mol/nm.

    `scratch.around` is to hold what the energy gains by the strains.
    """
    untwist(scratch)
    for term in range(len(tables.bonds)):
        atoms = tables.bonds[term]
        bond = between(x, atoms[1], atoms[0])
        length, stretch = stretch_of(bond, tables.rest_lengths[term])
        slope = _slope(tables.stretch[term], stretch)
        slope += gain(atoms, strain.bond[term], scratch.around)
        pull = slope / (STRETCH_NM * length)
        for axis in range(3):
            force[atoms[0], axis] -= pull * bond[axis]
            force[atoms[1], axis] += pull * bond[axis]
    for term in range(len(tables.angles)):
        _add_angle(x, tables, term, strain.angle[term], scratch.around, force)
    for term in range(len(tables.torsions)):
        atoms, turn = tables.torsions[term], tables.turn[term]
        _add_torsion(x, atoms, turn, strain.torsion[term], scratch.around, force)


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
def _add_angle(x, tables, term, shares, gains, force):
    """The bend θ, the stretches of its two arms, and what couples the three."""
    atoms = tables.angles[term]
    angle = angle_at(x, atoms)
    one, two, area, along = angle.one, angle.two, angle.area, angle.along
    bend = bend_of(angle, tables.rest_angles[term])
    length_one, pull_one = stretch_of(one, NORMAL_ARM_NM)
    length_two, pull_two = stretch_of(two, NORMAL_ARM_NM)
    both, with_bend = tables.coupling[term]
    torque = _slope(tables.bend[term], bend) + with_bend * (pull_one + pull_two)
    torque += gain(atoms, shares, gains)
    torque /= BEND * (area * area + along * along)
    # θ = atan2(area, along): ∂θ/∂one = (along · (two × normal)/area − area · two) / (…)
    of_area, of_along = torque * along / area, torque * area
    turn_one, turn_two = cross(two, angle.normal), cross(angle.normal, one)
    tug_one = (both * pull_two + with_bend * bend) / (STRETCH_NM * length_one)
    tug_two = (both * pull_one + with_bend * bend) / (STRETCH_NM * length_two)
    for axis in range(3):
        on_first = of_area * turn_one[axis] - of_along * two[axis] + tug_one * one[axis]
        on_last = of_area * turn_two[axis] - of_along * one[axis] + tug_two * two[axis]
        force[atoms[0], axis] -= on_first
        force[atoms[2], axis] -= on_last
        force[atoms[1], axis] += on_first + on_last


@compiled
@no_type_check
def _add_torsion(x, atoms, turn, shares, gains, force):
    """Functions of cos φ and sin φ, which have no singularity but where the chain is straight."""
    here = torsion_at(x, atoms)
    one, two, three, first, second = here.one, here.two, here.three, here.first, here.second
    by_cosine, by_sine = gain_of_turn(atoms, shares, gains, here.cosine)
    by_cosine = (by_cosine + _slope(turn, here.cosine)) / here.areas
    by_sine /= here.areas
    shrink = (by_cosine * here.cosine + by_sine * here.sine) / here.areas
    shrink_first, shrink_second = shrink * dot(second, second), shrink * dot(first, first)
    aside = by_sine * here.middle
    along = by_sine * dot(one, second) / here.middle
    by_first = (
        by_cosine * second[0] - shrink_first * first[0],
        by_cosine * second[1] - shrink_first * first[1],
        by_cosine * second[2] - shrink_first * first[2],
    )
    by_second = (
        by_cosine * first[0] - shrink_second * second[0] + aside * one[0],
        by_cosine * first[1] - shrink_second * second[1] + aside * one[1],
        by_cosine * first[2] - shrink_second * second[2] + aside * one[2],
    )
    of_one, of_three = cross(two, by_first), cross(by_second, two)
    of_two_a, of_two_b = cross(by_first, one), cross(three, by_second)
    for axis in range(3):
        of_link = of_one[axis] + aside * second[axis]
        of_two = of_two_a[axis] + of_two_b[axis] + along * two[axis]
        force[atoms[0], axis] += of_link
        force[atoms[1], axis] += of_two - of_link
        force[atoms[2], axis] += of_three[axis] - of_two
        force[atoms[3], axis] -= of_three[axis]

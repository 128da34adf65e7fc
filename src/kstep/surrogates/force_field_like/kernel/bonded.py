"""Forces of bonds, angles and torsions: minus the gradient of the energy by each of them.

Of `force_field_like.bonded`'s energy, and of what the atoms around make of their strains.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float

from kstep.compiled.functions import add_vector, cross, dot, minus, plus, times
from kstep.compiled.lanes import splat, sqrt
from kstep.compiled.machine import compiled, inlined
from kstep.surrogates.force_field_like.bonded import (
    BEND,
    NEARLY_STRAIGHT,
    NORMAL_ARM_NM,
    SOFT,
    STRETCH_NM,
)
from kstep.surrogates.force_field_like.kernel.geometry import (
    angle_at,
    bend_of,
    bond_at,
    fold_of,
    links_at,
    stretch_of,
    turn_of,
)
from kstep.surrogates.force_field_like.kernel.strain import gain_by, gain_by_turn
from kstep.surrogates.force_field_like.kernel.tables import BondedTables, StrainTables


@compiled
@no_type_check
def add_bonded(
    x: Float[np.ndarray, "N 3 L"],
    tables: BondedTables,
    strain: StrainTables,
    gains: Float[np.ndarray, "N S L"],
    force: Float[np.ndarray, "N 3 L"],
) -> None:
    """Add the forces at x, nm, to `force`, kJ/mol/nm.

    `gains`: what the energy gains by the strains that atoms feel, kJ/mol.
    """
    for term in range(len(tables.bonds)):
        _add_bond(x, term, tables, strain, gains, force)
    for term in range(len(tables.angles)):
        _add_angle(x, term, tables, strain, gains, force)
    for term in range(len(tables.torsions)):
        _add_torsion(x, term, tables, strain, gains, force)


@inlined
@no_type_check
def _polynomial(coefficients, value):
    """Of coefficients from the lowest power on."""
    total = splat(coefficients[-1])
    for power in range(len(coefficients) - 2, -1, -1):
        total = total * value + coefficients[power]
    return total


@inlined
@no_type_check
def _add_bond(x, term, tables, strain, gains, force):
    atoms = tables.bonds[term]
    link, length = bond_at(x, atoms)
    by_stretch = _polynomial(tables.stretch[term], stretch_of(length, tables.rest_lengths[term]))
    by_stretch += gain_by(atoms, strain.bond[term], gains)
    pull = by_stretch / (STRETCH_NM * length)
    add_vector(force[atoms[0]], -pull, link)
    add_vector(force[atoms[1]], pull, link)


@inlined
@no_type_check
def _add_angle(x, term, tables, strain, gains, force):
    """The bend, the stretches of its two arms, and what couples the three."""
    atoms, both, with_bend = (
        tables.angles[term], tables.coupling[term, 0], tables.coupling[term, 1],
    )  # fmt: skip
    one, two, normal, area, along = angle_at(x, atoms)
    bend = bend_of(area, along, tables.rest_angles[term])
    length_one, length_two = sqrt(dot(one, one) + SOFT), sqrt(dot(two, two) + SOFT)
    pull_one, pull_two = (
        stretch_of(length_one, NORMAL_ARM_NM),
        stretch_of(length_two, NORMAL_ARM_NM),
    )
    by_bend = _polynomial(tables.bend[term], bend) + gain_by(atoms, strain.angle[term], gains)
    by_bend += with_bend * (pull_one + pull_two)
    if tables.rest_angles[term] > NEARLY_STRAIGHT:
        by_bend = _by_straight_angle(by_bend, bend, tables.bend[term], area, along)
    # θ = atan2(area, along): ∂θ/∂one = (along · (two × normal)/area − area · two) / (…)
    torque = by_bend / (BEND * (area * area + along * along))
    of_area, of_along = torque * along / area, -torque * area
    tug_one = (both * pull_two + with_bend * bend) / (STRETCH_NM * length_one)
    tug_two = (both * pull_one + with_bend * bend) / (STRETCH_NM * length_two)
    on_first = plus(times(of_area, cross(two, normal)), times(of_along, two))
    on_last = plus(times(of_area, cross(normal, one)), times(of_along, one))
    on_first, on_last = plus(on_first, times(tug_one, one)), plus(on_last, times(tug_two, two))
    add_vector(force[atoms[0]], -1.0, on_first)
    add_vector(force[atoms[2]], -1.0, on_last)
    add_vector(force[atoms[1]], 1.0, plus(on_first, on_last))


@inlined
@no_type_check
def _by_straight_angle(by_bend, bend, coefficients, area, along):
    """From what the energy gains by the bend of such an angle to what it gains by the angle."""
    fold, slope = fold_of(area, along)
    cubic, quartic, more = coefficients[2] * (1.0 / 3.0), coefficients[3], 2.0 * fold
    by_bend += more * (cubic + quartic * bend)
    by_more = 0.5 * coefficients[1] + cubic * bend + 0.5 * quartic * (bend * bend + more)
    return (by_bend - 2.0 * by_more) * slope


@inlined
@no_type_check
def _add_torsion(x, term, tables, strain, gains, force):
    """Functions of cos φ and sin φ, which have no singularity but where the chain is straight."""
    atoms = tables.torsions[term]
    one, two, three, first, second = links_at(x, atoms)
    cosine, sine, areas, middle, aside = turn_of(one, two, first, second, tables.fade[term])
    by_cosine, by_sine = gain_by_turn(atoms, strain.torsion[term], cosine, gains)
    by_cosine += _polynomial(tables.turn[term], cosine)
    by_cosine, by_sine = by_cosine / areas, by_sine / areas
    shrink = (by_cosine * cosine + by_sine * sine) / areas
    by_aside, by_middle = by_sine * middle, by_sine * aside / middle
    by_first = minus(times(by_cosine, second), times(shrink * dot(second, second), first))
    by_second = minus(times(by_cosine, first), times(shrink * dot(first, first), second))
    by_second = plus(by_second, times(by_aside, one))
    of_one = plus(cross(two, by_first), times(by_aside, second))
    of_two = plus(plus(cross(by_first, one), cross(three, by_second)), times(by_middle, two))
    of_three = cross(by_second, two)
    add_vector(force[atoms[0]], 1.0, of_one)
    add_vector(force[atoms[1]], 1.0, minus(of_two, of_one))
    add_vector(force[atoms[2]], 1.0, minus(of_three, of_two))
    add_vector(force[atoms[3]], -1.0, of_three)

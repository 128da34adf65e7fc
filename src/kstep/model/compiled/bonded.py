"""Forces of bonds, angles and torsions: minus the gradient of the energy by each of them.

Of `kstep.model.bonded`'s energy, and of what the atoms around make of their strains.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.bonded import BEND, NORMAL_ARM_NM, SOFT, STRETCH_NM
from kstep.model.compiled.geometry import GeometryScratch, cross, dot
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.tables import BondedTables


class BondedScratch(NamedTuple):
    """Rows over the terms of a kind.

    Attributes:
        by_stretch, by_bend, by_cosine, by_sine: what the energy gains by each, kJ/mol.
        arms: the two arms' lengths, nm, and stretches of every angle [4, A].
        angle: factors of what acts on the ends of the angles [4, A].
        angle_ends: minus the forces on them, kJ/mol/nm, and what they are made of [4, 3, A].
        torsion: factors of the gradients by a torsion's normals [4, T].
        torsion_links: these gradients and those by its links, kJ/mol/nm [7, 3, T].
    """

    by_stretch: Float[np.ndarray, " B"]
    by_bend: Float[np.ndarray, " A"]
    by_cosine: Float[np.ndarray, " T"]
    by_sine: Float[np.ndarray, " T"]
    arms: Float[np.ndarray, "4 A"]
    angle: Float[np.ndarray, "4 A"]
    angle_ends: Float[np.ndarray, "4 3 A"]
    torsion: Float[np.ndarray, "4 T"]
    torsion_links: Float[np.ndarray, "7 3 T"]


def make_bonded_scratch(tables: BondedTables) -> BondedScratch:
    """Room for one molecule."""
    b, a, t = len(tables.bonds), len(tables.angles), len(tables.torsions)
    return BondedScratch(
        by_stretch=np.empty(b),
        by_bend=np.empty(a),
        by_cosine=np.empty(t),
        by_sine=np.empty(t),
        arms=np.empty((4, a)),
        angle=np.empty((4, a)),
        angle_ends=np.empty((4, 3, a)),
        torsion=np.empty((4, t)),
        torsion_links=np.empty((7, 3, t)),
    )


@compiled
@no_type_check
def add_bonded(
    tables: BondedTables,
    geometry: GeometryScratch,
    scratch: BondedScratch,
    force: Float[np.ndarray, "N 3"],
) -> None:
    """Add the forces at the geometry last measured to `force`, kJ/mol/nm.

    The rows `by_…` are to hold what the energy gains by the strains that atoms feel.
    """
    _add_slopes(tables.stretch, geometry.bonds.stretch, scratch.by_stretch)
    _add_slopes(tables.bend, geometry.angles.bend, scratch.by_bend)
    _add_slopes(tables.turn, geometry.torsions.cosine, scratch.by_cosine)
    _add_bonds(tables.bonds, geometry.bonds, scratch, force)
    _add_angles(tables, geometry.angles, scratch, force)
    _add_torsions(tables.torsions, geometry.torsions, scratch, force)


@compiled
@no_type_check
def _add_slopes(coefficients, values, slopes):
    """Σ_p p a_p valueᵖ⁻¹, of coefficients [p, n]."""
    order = len(coefficients)
    for term in range(len(values)):
        slope = order * coefficients[order - 1, term]
        for power in range(order - 1, 0, -1):
            slope = slope * values[term] + power * coefficients[power - 1, term]
        slopes[term] += slope


@compiled
@no_type_check
def _add_bonds(atoms, rows, scratch, force):
    pull = scratch.by_stretch
    for term in range(len(pull)):
        pull[term] /= STRETCH_NM * rows.length[term]
    for term in range(len(atoms)):
        for axis in range(3):
            push = pull[term] * rows.link[axis, term]
            force[atoms[term, 0], axis] -= push
            force[atoms[term, 1], axis] += push


@compiled
@no_type_check
def _add_angles(tables, rows, scratch, force):
    """The bends, the stretches of their two arms, and what couples the three."""
    _stretch_arms(rows, scratch.arms)
    length_one, length_two, pull_one, pull_two = (
        scratch.arms[0], scratch.arms[1], scratch.arms[2], scratch.arms[3],
    )  # fmt: skip
    both, with_bend, torque = tables.coupling[0], tables.coupling[1], scratch.by_bend
    of_area, of_along, tug_one, tug_two = (
        scratch.angle[0], scratch.angle[1], scratch.angle[2], scratch.angle[3],
    )  # fmt: skip
    area, along, bend = rows.area, rows.along, rows.bend
    for a in range(len(torque)):
        torque[a] += with_bend[a] * (pull_one[a] + pull_two[a])
    for a in range(len(torque)):
        torque[a] /= BEND * (area[a] * area[a] + along[a] * along[a])
    # θ = atan2(area, along): ∂θ/∂one = (along · (two × normal)/area − area · two) / (…)
    for a in range(len(torque)):
        of_area[a] = torque[a] * along[a] / area[a]
    for a in range(len(torque)):
        of_along[a] = torque[a] * area[a]
    for a in range(len(torque)):
        tug_one[a] = (both[a] * pull_two[a] + with_bend[a] * bend[a]) / (STRETCH_NM * length_one[a])
    for a in range(len(torque)):
        tug_two[a] = (both[a] * pull_one[a] + with_bend[a] * bend[a]) / (STRETCH_NM * length_two[a])
    turn_one, turn_two = scratch.angle_ends[0], scratch.angle_ends[1]
    on_first, on_last = scratch.angle_ends[2], scratch.angle_ends[3]
    cross(rows.two, rows.normal, turn_one)
    cross(rows.normal, rows.one, turn_two)
    _combine(of_area, turn_one, of_along, rows.two, tug_one, rows.one, on_first)
    _combine(of_area, turn_two, of_along, rows.one, tug_two, rows.two, on_last)
    atoms = tables.angles
    for term in range(len(atoms)):
        for axis in range(3):
            first, last = on_first[axis, term], on_last[axis, term]
            force[atoms[term, 0], axis] -= first
            force[atoms[term, 2], axis] -= last
            force[atoms[term, 1], axis] += first + last


@compiled
@no_type_check
def _stretch_arms(rows, arms):
    """Lengths and stretches of both arms of every angle."""
    for side in range(2):
        arm = rows.one if side == 0 else rows.two
        dot(arm, arm, arms[side])
        for a in range(arms.shape[1]):
            arms[side, a] = np.sqrt(arms[side, a] + SOFT)
        for a in range(arms.shape[1]):
            arms[2 + side, a] = (arms[side, a] - NORMAL_ARM_NM) * (1.0 / STRETCH_NM)


@compiled
@no_type_check
def _combine(a, one, b, two, c, three, out):
    """A one − b two + c three, rows [n] times rows [3, n]."""
    for axis in range(3):
        for term in range(len(a)):
            out[axis, term] = (
                a[term] * one[axis, term] - b[term] * two[axis, term] + c[term] * three[axis, term]
            )


@compiled
@no_type_check
def _add_torsions(atoms, rows, scratch, force):
    """Functions of cos φ and sin φ, which have no singularity but where the chain is straight."""
    _differentiate_turns(rows, scratch)
    links, aside, along = scratch.torsion_links, scratch.torsion[2], scratch.torsion[3]
    by_first, by_second = links[0], links[1]
    of_one, of_three, of_two_a, of_two_b, of_two = links[2], links[3], links[4], links[5], links[6]
    cross(rows.two, by_first, of_one)
    cross(by_second, rows.two, of_three)
    cross(by_first, rows.one, of_two_a)
    cross(rows.three, by_second, of_two_b)
    for axis in range(3):
        for t in range(len(aside)):
            of_one[axis, t] += aside[t] * rows.second[axis, t]
        for t in range(len(aside)):
            of_two[axis, t] = of_two_a[axis, t] + of_two_b[axis, t] + along[t] * rows.two[axis, t]
    for t in range(len(atoms)):
        for axis in range(3):
            one, two, three = of_one[axis, t], of_two[axis, t], of_three[axis, t]
            force[atoms[t, 0], axis] += one
            force[atoms[t, 1], axis] += two - one
            force[atoms[t, 2], axis] += three - two
            force[atoms[t, 3], axis] -= three


@compiled
@no_type_check
def _differentiate_turns(rows, scratch):
    """Gradients of the energy by the normals of every torsion, and factors for its links."""
    by_cosine, by_sine = scratch.by_cosine, scratch.by_sine
    shrink_first, shrink_second, aside, along = (
        scratch.torsion[0], scratch.torsion[1], scratch.torsion[2], scratch.torsion[3],
    )  # fmt: skip
    for t in range(len(by_cosine)):
        by_cosine[t] /= rows.areas[t]
    for t in range(len(by_cosine)):
        by_sine[t] /= rows.areas[t]
    for t in range(len(by_cosine)):
        shrink = by_cosine[t] * rows.cosine[t] + by_sine[t] * rows.sine[t]
        shrink_first[t] = shrink * rows.second_square[t] / rows.areas[t]
    for t in range(len(by_cosine)):
        shrink = by_cosine[t] * rows.cosine[t] + by_sine[t] * rows.sine[t]
        shrink_second[t] = shrink * rows.first_square[t] / rows.areas[t]
    for t in range(len(by_cosine)):
        aside[t] = by_sine[t] * rows.middle[t]
    for t in range(len(by_cosine)):
        along[t] = by_sine[t] * rows.aside[t] / rows.middle[t]
    by_first, by_second = scratch.torsion_links[0], scratch.torsion_links[1]
    for axis in range(3):
        for t in range(len(by_cosine)):
            by_first[axis, t] = (
                by_cosine[t] * rows.second[axis, t] - shrink_first[t] * rows.first[axis, t]
            )
    _combine(by_cosine, rows.first, shrink_second, rows.second, aside, rows.one, by_second)

"""Bonds, angles and torsions at a geometry, as `force_field_like.bonded.coordinates` has them."""

import math
from typing import no_type_check

from kstep.compiled.functions import angle_above, between, cross, dot
from kstep.compiled.lanes import sqrt
from kstep.compiled.machine import inlined
from kstep.surrogates.force_field_like.bonded import (
    BEND,
    NEARLY_STRAIGHT,
    SOFT,
    STRAIGHT,
    STRETCH_NM,
)


@inlined
@no_type_check
def bond_at(x, atoms):
    """The link from the second atom to the first, and its length, nm."""
    link = between(x, atoms[1], atoms[0])
    return link, sqrt(dot(link, link) + SOFT)


@inlined
@no_type_check
def stretch_of(length, rest):
    """In units of a typical amplitude."""
    return (length - rest) * (1.0 / STRETCH_NM)


@inlined
@no_type_check
def angle_at(x, atoms):
    """Arms from the vertex, nm; their normal, and the two parts of atan2(area, along), nm²."""
    one, two = between(x, atoms[1], atoms[0]), between(x, atoms[1], atoms[2])
    normal = cross(one, two)
    return one, two, normal, sqrt(dot(normal, normal) + STRAIGHT), dot(one, two)


@inlined
@no_type_check
def bend_of(area, along, rest):
    """In units of a typical amplitude."""
    if rest > NEARLY_STRAIGHT:
        fold, _ = fold_of(area, along)
        return (math.pi - rest) * (1.0 / BEND) - fold
    return (angle_above(area, along) - rest) * (1.0 / BEND)


@inlined
@no_type_check
def fold_of(area, along):
    """√(1 + q²) − 1 and its derivative by q, which an angle lacks of π in typical amplitudes."""
    q = (math.pi - angle_above(area, along)) * (1.0 / BEND)
    root = sqrt(1.0 + q * q)
    return q * q / (1.0 + root), q / root


@inlined
@no_type_check
def links_at(x, atoms):
    """The three links of a torsion, nm, and the normals of the two planes they span, nm²."""
    one, two, three = (
        between(x, atoms[0], atoms[1]),
        between(x, atoms[1], atoms[2]),
        between(x, atoms[2], atoms[3]),
    )
    return one, two, three, cross(one, two), cross(two, three)


@inlined
@no_type_check
def turn_of(one, two, first, second, fade):
    """Cosine and sine of a torsion, with what they are made of.

    The area product of the normals, nm⁴, softened; the length of the second link, nm; the first
    link along the second normal, nm³.
    """
    areas = sqrt(dot(first, first) * dot(second, second) + fade)
    middle, aside = sqrt(dot(two, two) + SOFT), dot(one, second)
    return dot(first, second) / areas, middle * aside / areas, areas, middle, aside

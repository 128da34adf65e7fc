"""Bonds, angles and torsions of a geometry, as `kstep.model.bonded.coordinates` has them."""

import math
from typing import NamedTuple, no_type_check

from kstep.model.bonded import BEND, SOFT, STRAIGHT, STRETCH_NM
from kstep.model.compiled.machine import compiled

Vector = tuple[float, float, float]


class Angle(NamedTuple):
    """Arms, nm, from the vertex; their normal, and the parts of atan2(area, along), nm²."""

    one: Vector
    two: Vector
    normal: Vector
    area: float
    along: float


class Torsion(NamedTuple):
    """Links, nm, and what they span.

    Attributes:
        one, two, three: links.
        first, second: normals of the two planes, nm².
        areas: product of their lengths, nm⁴, softened.
        middle: length of the second link, nm.
        cosine, sine: of the turn.
    """

    one: Vector
    two: Vector
    three: Vector
    first: Vector
    second: Vector
    areas: float
    middle: float
    cosine: float
    sine: float


@compiled
@no_type_check
def cross(a, b):
    """Vector product."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@compiled
@no_type_check
def dot(a, b):
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled
@no_type_check
def between(x, tail, head):
    """The vector from one atom to another, nm."""
    return x[head, 0] - x[tail, 0], x[head, 1] - x[tail, 1], x[head, 2] - x[tail, 2]


@compiled
@no_type_check
def stretch_of(bond, rest):
    """A bond's length, nm, and its stretch."""
    length = math.sqrt(dot(bond, bond) + SOFT)
    return length, (length - rest) / STRETCH_NM


@compiled
@no_type_check
def angle_at(x, atoms):
    """The angle of three atoms."""
    one, two = between(x, atoms[1], atoms[0]), between(x, atoms[1], atoms[2])
    normal = cross(one, two)
    return Angle(one, two, normal, math.sqrt(dot(normal, normal) + STRAIGHT), dot(one, two))


@compiled
@no_type_check
def bend_of(angle, rest):
    """An angle's bend."""
    return (math.atan2(angle.area, angle.along) - rest) / BEND


@compiled
@no_type_check
def torsion_at(x, atoms):
    """The torsion of four atoms."""
    one, two, three = (
        between(x, atoms[0], atoms[1]),
        between(x, atoms[1], atoms[2]),
        between(x, atoms[2], atoms[3]),
    )
    first, second = cross(one, two), cross(two, three)
    areas = math.sqrt(dot(first, first) * dot(second, second) + STRAIGHT)
    middle = math.sqrt(dot(two, two) + SOFT)
    cosine, sine = dot(first, second) / areas, middle * dot(one, second) / areas
    return Torsion(one, two, three, first, second, areas, middle, cosine, sine)

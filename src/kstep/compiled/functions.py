"""Elementary functions and vectors in space, of all lanes at once."""

import math
from typing import no_type_check

from kstep.compiled.lanes import absolute, floor, load, store, two_to_the, where_below
from kstep.compiled.machine import inlined

LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH = 0.693145751953125
"""ln 2 to 17 bits, so that its multiples are exact; the rest follows."""
LN2_LOW = 1.42860682030941723212e-6
LOWEST, HIGHEST = -700.0, 700.0
"""Beyond these the result would not be a normal number; it is that of the bound."""
SERIES = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))

EIGHTH = math.tan(math.pi / 8.0)
"""Arctangents beyond it follow from those of smaller numbers, turned by π/4."""
ARCTANGENT = tuple((-1.0) ** n / (2 * n + 1) for n in range(19, -1, -1))
"""Coefficients of arctan(√z)/√z by powers of z from the highest: to 1e-17 where z ≤ EIGHTH²."""


@inlined
@no_type_check
def exponential(value):
    """To some 1e-16 of it: eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2, eʳ by its series."""
    x = where_below(value, LOWEST, LOWEST, where_below(HIGHEST, value, HIGHEST, value))
    whole = floor(x * LOG2_E + 0.5)
    rest = (x - whole * LN2_HIGH) - whole * LN2_LOW
    series = rest * SERIES[0] + SERIES[1]
    for coefficient in SERIES[2:]:
        series = series * rest + coefficient
    return series * two_to_the(whole)


@inlined
@no_type_check
def angle_above(y, x):
    """The angle of a point (x, y), y > 0, with the axis of x: between 0 and π, to some 1e-16."""
    size = absolute(x)
    low, high = where_below(y, size, y, size), where_below(y, size, size, y)
    # Of the angle to the nearer axis, turned by π/4 where it is above π/8.
    steep = where_below(high * EIGHTH, low, 1.0, 0.0)
    ratio = (low - steep * high) / (high + steep * low)
    square = ratio * ratio
    series = square * ARCTANGENT[0] + ARCTANGENT[1]
    for coefficient in ARCTANGENT[2:]:
        series = series * square + coefficient
    angle = series * ratio + steep * (0.25 * math.pi)
    angle = where_below(y, size, angle, 0.5 * math.pi - angle)
    return where_below(x, 0.0, math.pi - angle, angle)


@inlined
@no_type_check
def add(row, value):
    """Add lanes to a row [L]."""
    store(row, load(row) + value)


@inlined
@no_type_check
def vector(rows):
    """The vector in rows [3, L]."""
    return load(rows[0]), load(rows[1]), load(rows[2])


@inlined
@no_type_check
def put_vector(rows, a):
    """Put a vector into rows [3, L]."""
    store(rows[0], a[0])
    store(rows[1], a[1])
    store(rows[2], a[2])


@inlined
@no_type_check
def add_vector(rows, factor, a):
    """Add a multiple of a vector to rows [3, L]."""
    add(rows[0], factor * a[0])
    add(rows[1], factor * a[1])
    add(rows[2], factor * a[2])


@inlined
@no_type_check
def between(x, tail, head):
    """The vector from one atom to another."""
    return minus(vector(x[head]), vector(x[tail]))


@inlined
@no_type_check
def plus(a, b):
    """The sum of two vectors."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@inlined
@no_type_check
def minus(a, b):
    """Their difference."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@inlined
@no_type_check
def times(factor, a):
    """A multiple of a vector."""
    return factor * a[0], factor * a[1], factor * a[2]


@inlined
@no_type_check
def dot(a, b):
    """The scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
@no_type_check
def cross(a, b):
    """The vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]

"""Bonds, angles and torsions of a geometry, as `kstep.model.bonded.coordinates` has them.

Each quantity of a kind of terms lies in a row over its terms, so that loops along rows become
vector instructions; see `kstep.model.compiled.nonbonded`.
"""

import math
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.bonded import BEND, SOFT, STRAIGHT, STRETCH_NM
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.tables import BondedTables


class BondRows(NamedTuple):
    """Links from the second atom to the first and lengths, nm; stretches."""

    link: Float[np.ndarray, "3 B"]
    length: Float[np.ndarray, " B"]
    stretch: Float[np.ndarray, " B"]


class AngleRows(NamedTuple):
    """Arms, nm, from the vertex; their normals, and the parts of atan2(area, along), nm²."""

    one: Float[np.ndarray, "3 A"]
    two: Float[np.ndarray, "3 A"]
    normal: Float[np.ndarray, "3 A"]
    area: Float[np.ndarray, " A"]
    along: Float[np.ndarray, " A"]
    bend: Float[np.ndarray, " A"]


class TorsionRows(NamedTuple):
    """Links, nm, and what they span.

    Attributes:
        one, two, three: links.
        first, second: normals of the two planes, nm².
        first_square, second_square: of their lengths, nm⁴.
        areas: product of their lengths, nm⁴, softened.
        middle: length of the second link, nm.
        aside: the first link along the second normal, nm³.
        cosine, sine: of the turn.
    """

    one: Float[np.ndarray, "3 T"]
    two: Float[np.ndarray, "3 T"]
    three: Float[np.ndarray, "3 T"]
    first: Float[np.ndarray, "3 T"]
    second: Float[np.ndarray, "3 T"]
    first_square: Float[np.ndarray, " T"]
    second_square: Float[np.ndarray, " T"]
    areas: Float[np.ndarray, " T"]
    middle: Float[np.ndarray, " T"]
    aside: Float[np.ndarray, " T"]
    cosine: Float[np.ndarray, " T"]
    sine: Float[np.ndarray, " T"]


class GeometryScratch(NamedTuple):
    """All terms of a geometry."""

    bonds: BondRows
    angles: AngleRows
    torsions: TorsionRows


def make_geometry_scratch(tables: BondedTables) -> GeometryScratch:
    """Room for one molecule."""
    b, a, t = len(tables.bonds), len(tables.angles), len(tables.torsions)
    return GeometryScratch(
        BondRows(np.empty((3, b)), np.empty(b), np.empty(b)),
        AngleRows(*(np.empty((3, a)) for _ in range(3)), *(np.empty(a) for _ in range(3))),
        TorsionRows(*(np.empty((3, t)) for _ in range(5)), *(np.empty(t) for _ in range(7))),
    )


@compiled
@no_type_check
def measure_terms(
    x: Float[np.ndarray, "N 3"], tables: BondedTables, scratch: GeometryScratch
) -> None:
    """Fill the rows at x, nm."""
    _measure_bonds(x, tables, scratch.bonds)
    _measure_angles(x, tables, scratch.angles)
    _measure_torsions(x, tables, scratch.torsions)


@compiled
@no_type_check
def _measure_bonds(x, tables, rows):
    _link(x, tables.bonds, 1, 0, rows.link)
    dot(rows.link, rows.link, rows.length)
    length, stretch = rows.length, rows.stretch
    for b in range(len(length)):
        length[b] = math.sqrt(length[b] + SOFT)
    for b in range(len(length)):
        stretch[b] = (length[b] - tables.rest_lengths[b]) * (1.0 / STRETCH_NM)


@compiled
@no_type_check
def _measure_angles(x, tables, rows):
    _link(x, tables.angles, 1, 0, rows.one)
    _link(x, tables.angles, 1, 2, rows.two)
    cross(rows.one, rows.two, rows.normal)
    dot(rows.normal, rows.normal, rows.area)
    dot(rows.one, rows.two, rows.along)
    area, along, bend = rows.area, rows.along, rows.bend
    for a in range(len(area)):
        area[a] = math.sqrt(area[a] + STRAIGHT)
    for a in range(len(area)):
        bend[a] = (math.atan2(area[a], along[a]) - tables.rest_angles[a]) * (1.0 / BEND)


@compiled
@no_type_check
def _measure_torsions(x, tables, rows):
    _link(x, tables.torsions, 0, 1, rows.one)
    _link(x, tables.torsions, 1, 2, rows.two)
    _link(x, tables.torsions, 2, 3, rows.three)
    cross(rows.one, rows.two, rows.first)
    cross(rows.two, rows.three, rows.second)
    dot(rows.first, rows.first, rows.first_square)
    dot(rows.second, rows.second, rows.second_square)
    dot(rows.two, rows.two, rows.middle)
    dot(rows.one, rows.second, rows.aside)
    dot(rows.first, rows.second, rows.cosine)
    areas, middle, cosine, sine = rows.areas, rows.middle, rows.cosine, rows.sine
    for t in range(len(areas)):
        areas[t] = math.sqrt(rows.first_square[t] * rows.second_square[t] + STRAIGHT)
    for t in range(len(areas)):
        middle[t] = math.sqrt(middle[t] + SOFT)
    for t in range(len(areas)):
        cosine[t] /= areas[t]
    for t in range(len(areas)):
        sine[t] = middle[t] * rows.aside[t] / areas[t]


@compiled
@no_type_check
def _link(x, atoms, tail, head, out):
    """Vectors from one atom of every term to another."""
    for axis in range(3):
        for term in range(len(atoms)):
            out[axis, term] = x[atoms[term, head], axis] - x[atoms[term, tail], axis]


@compiled
@no_type_check
def cross(a, b, out):
    """Vector products of rows [3, n]."""
    for axis in range(3):
        second, third = (axis + 1) % 3, (axis + 2) % 3
        for term in range(out.shape[1]):
            out[axis, term] = a[second, term] * b[third, term] - a[third, term] * b[second, term]


@compiled
@no_type_check
def dot(a, b, out):
    """Scalar products of rows [3, n]."""
    for term in range(len(out)):
        out[term] = a[0, term] * b[0, term] + a[1, term] * b[1, term] + a[2, term] * b[2, term]

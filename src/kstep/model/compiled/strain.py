"""What atoms feel of the terms around them (`kstep.model.strain`), and what that does to a term."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.compiled.geometry import angle_at, bend_of, between, stretch_of, torsion_at
from kstep.model.compiled.machine import compiled
from kstep.model.compiled.nonbonded import Scratch
from kstep.model.compiled.tables import BondedTables, StrainTables
from kstep.model.nonbonded import DENSITIES
from kstep.model.strain import EVEN, ODD

TWIST = DENSITIES + EVEN
"""Where the odd strains begin in what is around an atom."""


@compiled
@no_type_check
def feel_strains(
    x: Float[np.ndarray, "N 3"], tables: BondedTables, strain: StrainTables, scratch: Scratch
) -> None:
    """Put the strains at x, nm, behind the densities in `scratch.around`, if there is room."""
    around = scratch.around
    if around.shape[1] == DENSITIES:
        return
    around[:, DENSITIES:] = 0.0
    for term in range(len(tables.bonds)):
        atoms = tables.bonds[term]
        _, stretch = stretch_of(between(x, atoms[1], atoms[0]), tables.rest_lengths[term])
        _give(atoms, strain.bond[term], stretch, around)
    for term in range(len(tables.angles)):
        atoms = tables.angles[term]
        bend = bend_of(angle_at(x, atoms), tables.rest_angles[term])
        _give(atoms, strain.angle[term], bend, around)
    for term in range(len(tables.torsions)):
        _give_turn(x, tables.torsions[term], strain.torsion[term], around)
    for atom in range(len(around)):
        for odd in range(ODD):
            twist = around[atom, TWIST + odd]
            scratch.twist[atom, odd] = twist
            around[atom, TWIST + odd] = twist * twist


@compiled
@no_type_check
def _give(atoms, shares, value, around):
    for place in range(len(atoms)):
        for even in range(EVEN):
            around[atoms[place], DENSITIES + even] += value * shares[place, even]


@compiled
@no_type_check
def _give_turn(x, atoms, shares, around):
    turn = torsion_at(x, atoms)
    cosine, square = turn.cosine, turn.cosine * turn.cosine
    for place in range(4):
        felt, share = around[atoms[place]], shares[place]
        for even in range(EVEN):
            felt[DENSITIES + even] += cosine * share[even] + square * share[EVEN + even]
        for odd in range(ODD):
            felt[TWIST + odd] += turn.sine * share[2 * EVEN + odd]


@compiled
@no_type_check
def untwist(scratch):
    """From what the energy gains by the squares of sums to what it gains by the sums."""
    if scratch.around.shape[1] == DENSITIES:
        return
    for atom in range(len(scratch.twist)):
        for odd in range(ODD):
            scratch.around[atom, TWIST + odd] *= 2.0 * scratch.twist[atom, odd]


@compiled
@no_type_check
def gain(atoms, shares, gains):
    """What the energy gains by a stretch or a bend through the atoms that share it."""
    total = 0.0
    if gains.shape[1] == DENSITIES:
        return total
    for place in range(len(atoms)):
        for even in range(EVEN):
            total += shares[place, even] * gains[atoms[place], DENSITIES + even]
    return total


@compiled
@no_type_check
def gain_of_turn(atoms, shares, gains, cosine):
    """What it gains by cos φ and by sin φ."""
    by_cosine, by_square, by_sine = 0.0, 0.0, 0.0
    if gains.shape[1] == DENSITIES:
        return by_cosine, by_sine
    for place in range(4):
        felt, share = gains[atoms[place]], shares[place]
        for even in range(EVEN):
            by_cosine += share[even] * felt[DENSITIES + even]
            by_square += share[EVEN + even] * felt[DENSITIES + even]
        for odd in range(ODD):
            by_sine += share[2 * EVEN + odd] * felt[TWIST + odd]
    return by_cosine + 2.0 * cosine * by_square, by_sine

"""What atoms feel of the terms around them (`..strain`), and what that does to a term.

Arrays: `around` [N, D + S, L] has the strains behind the densities, even ones before odd ones;
`gains` what the energy gains by them, kJ/mol, likewise. S is 0 where atoms feel no strains.
"""

from typing import no_type_check

from kstep.compiled.functions import add
from kstep.compiled.lanes import load, splat, store
from kstep.compiled.machine import compiled, inlined
from kstep.surrogates.force_field_like.kernel.geometry import (
    angle_at,
    bend_of,
    bond_at,
    links_at,
    stretch_of,
    turn_of,
)
from kstep.surrogates.force_field_like.nonbonded import DENSITIES
from kstep.surrogates.force_field_like.strain import EVEN, ODD

TWIST = DENSITIES + EVEN
"""Where the odd strains begin in what is around an atom."""


@compiled
@no_type_check
def feel_strains(x, tables, strain, around, twist):
    """Put the strains at x into `around`, and the odd ones before they are squared in `twist`."""
    if around.shape[1] == DENSITIES:
        return
    for atom in range(len(around)):
        for place in range(DENSITIES, around.shape[1]):
            store(around[atom, place], 0.0)
    for term in range(len(tables.bonds)):
        _, length = bond_at(x, tables.bonds[term])
        stretch = stretch_of(length, tables.rest_lengths[term])
        _give(tables.bonds[term], strain.bond[term], stretch, around)
    for term in range(len(tables.angles)):
        _, _, _, area, along = angle_at(x, tables.angles[term])
        bend = bend_of(area, along, tables.rest_angles[term])
        _give(tables.angles[term], strain.angle[term], bend, around)
    for term in range(len(tables.torsions)):
        one, two, _, first, second = links_at(x, tables.torsions[term])
        cosine, sine, _, _, _ = turn_of(one, two, first, second, tables.fade[term])
        _give_turn(tables.torsions[term], strain.torsion[term], cosine, sine, around)
    for atom in range(len(around)):
        for odd in range(ODD):
            felt = load(around[atom, TWIST + odd])
            store(twist[atom, odd], felt)
            store(around[atom, TWIST + odd], felt * felt)


@inlined
@no_type_check
def _give(atoms, shares, value, around):
    for place in range(len(atoms)):
        for even in range(EVEN):
            add(around[atoms[place], DENSITIES + even], value * shares[place, even])


@inlined
@no_type_check
def _give_turn(atoms, shares, cosine, sine, around):
    for place in range(len(atoms)):
        for even in range(EVEN):
            felt = cosine * shares[place, even] + cosine * cosine * shares[place, EVEN + even]
            add(around[atoms[place], DENSITIES + even], felt)
        for odd in range(ODD):
            add(around[atoms[place], TWIST + odd], sine * shares[place, 2 * EVEN + odd])


@compiled
@no_type_check
def untwist(gains, twist):
    """From what the energy gains by the squares of the odd strains to what it gains by them."""
    if gains.shape[1] == DENSITIES:
        return
    for atom in range(len(gains)):
        for odd in range(ODD):
            gain = load(gains[atom, TWIST + odd])
            store(gains[atom, TWIST + odd], 2.0 * gain * load(twist[atom, odd]))


@inlined
@no_type_check
def gain_by(atoms, shares, gains):
    """What the energy gains by a stretch or bend, through the atoms that feel it, kJ/mol."""
    total = splat(0.0)
    if shares.shape[1] > 0:
        for place in range(len(atoms)):
            for even in range(EVEN):
                total += shares[place, even] * load(gains[atoms[place], DENSITIES + even])
    return total


@inlined
@no_type_check
def gain_by_turn(atoms, shares, cosine, gains):
    """What it gains by the cosine and by the sine of a torsion."""
    by_cosine, by_square, by_sine = splat(0.0), splat(0.0), splat(0.0)
    if shares.shape[1] > 0:
        for place in range(len(atoms)):
            atom = atoms[place]
            for even in range(EVEN):
                gain = load(gains[atom, DENSITIES + even])
                by_cosine += shares[place, even] * gain
                by_square += shares[place, EVEN + even] * gain
            for odd in range(ODD):
                by_sine += shares[place, 2 * EVEN + odd] * load(gains[atom, TWIST + odd])
    return by_cosine + 2.0 * cosine * by_square, by_sine

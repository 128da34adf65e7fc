"""What atoms feel of the terms around them (`kstep.model.strain`), and what that does to a term."""

from typing import no_type_check

from kstep.model.compiled.bonded import BondedScratch
from kstep.model.compiled.geometry import GeometryScratch
from kstep.model.compiled.machine import clear, compiled
from kstep.model.compiled.nonbonded import NonbondedScratch
from kstep.model.compiled.tables import BondedTables, StrainTables
from kstep.model.nonbonded import DENSITIES
from kstep.model.strain import EVEN, ODD

TWIST = DENSITIES + EVEN
"""Where the odd strains begin in what is around an atom."""


@compiled
@no_type_check
def feel_strains(
    tables: BondedTables, strain: StrainTables, geometry: GeometryScratch, scratch: NonbondedScratch
) -> None:
    """Put the strains behind the densities in `scratch.around`, if there is room."""
    around = scratch.around
    if around.shape[1] == DENSITIES:
        return
    around[:, DENSITIES:] = 0.0
    _give(tables.bonds, strain.bond, geometry.bonds.stretch, around)
    _give(tables.angles, strain.angle, geometry.angles.bend, around)
    _give_turns(tables.torsions, strain.torsion, geometry.torsions, around)
    for atom in range(len(around)):
        for odd in range(ODD):
            twist = around[atom, TWIST + odd]
            scratch.twist[atom, odd] = twist
            around[atom, TWIST + odd] = twist * twist


@compiled
@no_type_check
def _give(atoms, shares, values, around):
    for term in range(len(atoms)):
        for place in range(atoms.shape[1]):
            for even in range(EVEN):
                share = shares[term, place, even]
                around[atoms[term, place], DENSITIES + even] += values[term] * share


@compiled
@no_type_check
def _give_turns(atoms, shares, rows, around):
    for term in range(len(atoms)):
        cosine, square = rows.cosine[term], rows.cosine[term] * rows.cosine[term]
        for place in range(4):
            atom = atoms[term, place]
            for even in range(EVEN):
                around[atom, DENSITIES + even] += (
                    cosine * shares[term, place, even] + square * shares[term, place, EVEN + even]
                )
            for odd in range(ODD):
                share = shares[term, place, 2 * EVEN + odd]
                around[atom, TWIST + odd] += rows.sine[term] * share


@compiled
@no_type_check
def take_back(
    tables: BondedTables,
    strain: StrainTables,
    geometry: GeometryScratch,
    scratch: NonbondedScratch,
    bonded: BondedScratch,
) -> None:
    """From what the energy gains by the strains, in `scratch.around`, to what it gains by terms."""
    for row in (bonded.by_stretch, bonded.by_bend, bonded.by_cosine, bonded.by_sine):
        clear(row)
    gains = scratch.around
    if gains.shape[1] == DENSITIES:
        return
    # What was felt of the odd ones are squares.
    for atom in range(len(scratch.twist)):
        for odd in range(ODD):
            gains[atom, TWIST + odd] *= 2.0 * scratch.twist[atom, odd]
    _take(tables.bonds, strain.bond, gains, bonded.by_stretch)
    _take(tables.angles, strain.angle, gains, bonded.by_bend)
    _take_turns(tables.torsions, strain.torsion, gains, geometry.torsions.cosine, bonded)


@compiled
@no_type_check
def _take(atoms, shares, gains, by_value):
    for term in range(len(atoms)):
        for place in range(atoms.shape[1]):
            for even in range(EVEN):
                gain = gains[atoms[term, place], DENSITIES + even]
                by_value[term] += shares[term, place, even] * gain


@compiled
@no_type_check
def _take_turns(atoms, shares, gains, cosines, bonded):
    for term in range(len(atoms)):
        by_cosine, by_square, by_sine = 0.0, 0.0, 0.0
        for place in range(4):
            atom = atoms[term, place]
            for even in range(EVEN):
                gain = gains[atom, DENSITIES + even]
                by_cosine += shares[term, place, even] * gain
                by_square += shares[term, place, EVEN + even] * gain
            for odd in range(ODD):
                by_sine += shares[term, place, 2 * EVEN + odd] * gains[atom, TWIST + odd]
        bonded.by_cosine[term] = by_cosine + 2.0 * cosines[term] * by_square
        bonded.by_sine[term] = by_sine

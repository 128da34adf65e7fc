"""Forces of pairs and surroundings: minus the gradient of `kstep.model.nonbonded`'s energy.

The gradient by the strains that atoms feel is left to `kstep.model.compiled.bonded`.
"""

import math
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.compiled.machine import compiled
from kstep.model.compiled.tables import NonbondedTables
from kstep.model.nonbonded import (
    ATOM_UNIT,
    CHARGE_UNIT,
    CHARGES,
    CORE_NM,
    DECAY_NM,
    DENSITIES,
    REACH_NM,
    SOFT,
    WIDTH,
)
from kstep.model.strain import ODD

Atoms = Float[np.ndarray, "N 3"]


class Scratch(NamedTuple):
    """Room for what the pairs of a geometry share, so that none is allocated in a run.

    Attributes:
        basis, slopes: basis functions of every pair and their derivatives, 1/nm [P, K].
        distance: nm [P].
        screen: [P, C].
        around: densities of every atom, and strains where they are felt; later what the energy
            gains by them, kJ/mol [N, D + S].
        twist: sums of sines, whose squares are the last strains [N, O].
        hidden_slopes: derivatives of the atoms' hidden features [N, H].
        charge: e [N, C].
        potential: what the energy gains by each charge, kJ/mol/e [N, C].
        weights: of the slopes of one pair, kJ/mol [K].
    """

    basis: Float[np.ndarray, "P K"]
    slopes: Float[np.ndarray, "P K"]
    distance: Float[np.ndarray, " P"]
    screen: Float[np.ndarray, "P C"]
    around: Float[np.ndarray, "N S"]
    twist: Float[np.ndarray, "N O"]
    hidden_slopes: Float[np.ndarray, "N H"]
    charge: Float[np.ndarray, "N C"]
    potential: Float[np.ndarray, "N C"]
    weights: Float[np.ndarray, " K"]


def make_scratch(tables: NonbondedTables) -> Scratch:
    """Room for one molecule."""
    n_atoms, _, n_basis = tables.sent.shape
    pairs = n_atoms * (n_atoms - 1) // 2
    return Scratch(
        basis=np.empty((pairs, n_basis)),
        slopes=np.empty((pairs, n_basis)),
        distance=np.empty(pairs),
        screen=np.empty((pairs, CHARGES)),
        around=np.empty((n_atoms, tables.surroundings.shape[1])),
        twist=np.empty((n_atoms, ODD)),
        hidden_slopes=np.empty(tables.known.shape),
        charge=np.empty((n_atoms, CHARGES)),
        potential=np.empty((n_atoms, CHARGES)),
        weights=np.empty(n_basis),
    )


@compiled
@no_type_check
def add_nonbonded(x: Atoms, tables: NonbondedTables, scratch: Scratch, force: Atoms) -> None:
    """Add the forces at x, nm, to `force`, kJ/mol/nm; `scratch.around` is to hold the strains."""
    _survey(x, tables, scratch)
    _charge(tables, scratch)
    _screen(scratch)
    _feel(tables, scratch)
    _push(x, tables, scratch, force)


@compiled
@no_type_check
def _survey(x, tables, scratch):
    """Basis functions of all pairs, and the densities that atoms spread to each other."""
    n_atoms, n_basis = len(x), len(scratch.weights)
    around = scratch.around
    around[:, :DENSITIES] = 0.0
    pair = 0
    for i in range(n_atoms):
        for j in range(i):
            a, b, c = x[i, 0] - x[j, 0], x[i, 1] - x[j, 1], x[i, 2] - x[j, 2]
            distance = math.sqrt(a * a + b * b + c * c + SOFT)
            scratch.distance[pair] = distance
            basis = scratch.basis[pair]
            _basis(distance, tables.centres, basis, scratch.slopes[pair])
            for m in range(CHARGES):
                scratch.screen[pair, m] = 0.0
                for k in range(n_basis):
                    scratch.screen[pair, m] += basis[k] * tables.solvent[k, m]
            for d in range(DENSITIES):
                from_i, from_j = 0.0, 0.0
                for k in range(n_basis):
                    from_i += basis[k] * tables.sent[i, d, k]
                    from_j += basis[k] * tables.sent[j, d, k]
                around[j, d] += from_i * tables.felt[i, j, d]
                around[i, d] += from_j * tables.felt[j, i, d]
            pair += 1


@compiled
@no_type_check
def _basis(distance, centres, basis, slopes):
    """The functions of `kstep.model.nonbonded._basis` and their derivatives.

    Neighbouring Gaussians differ by a factor that is itself geometric, as their centres are
    equally far apart: three exponentials do for all of them.
    """
    soft = distance * distance + CORE_NM * CORE_NM
    inverse = REACH_NM / math.sqrt(soft)
    slope = -inverse * distance / soft
    basis[0], slopes[0] = inverse, slope
    basis[1], slopes[1] = inverse**3, 3.0 * inverse * inverse * slope
    near = math.exp(-distance / DECAY_NM)
    step = centres[1] - centres[0]
    offset = near - centres[0]
    value = math.exp(-0.5 * (offset / WIDTH) ** 2)
    ratio = math.exp((offset - 0.5 * step) * step / WIDTH**2)
    fall = math.exp(-((step / WIDTH) ** 2))
    rate = near / (DECAY_NM * WIDTH**2)
    for k in range(len(centres)):
        basis[k + 2] = value
        slopes[k + 2] = value * (near - centres[k]) * rate
        value *= ratio
        ratio *= fall


@compiled
@no_type_check
def _charge(tables, scratch):
    """The atoms' network: from densities and strains to charges."""
    n_atoms, n_hidden = tables.known.shape
    for i in range(n_atoms):
        for m in range(CHARGES):
            scratch.charge[i, m] = tables.charge[i] + tables.atom_bias[1 + m]
        for h in range(n_hidden):
            z = tables.known[i, h]
            for d in range(scratch.around.shape[1]):
                z += tables.surroundings[h, d] * scratch.around[i, d]
            gate = 1.0 / (1.0 + math.exp(-z))
            scratch.hidden_slopes[i, h] = gate * (1.0 + z * (1.0 - gate))
            for m in range(CHARGES):
                scratch.charge[i, m] += tables.atom[1 + m, h] * z * gate


@compiled
@no_type_check
def _screen(scratch):
    """The potential that every charge feels."""
    n_atoms = len(scratch.charge)
    charge, potential = scratch.charge, scratch.potential
    potential[:] = 0.0
    pair = 0
    for i in range(n_atoms):
        for j in range(i):
            for m in range(CHARGES):
                screen = 2.0 * CHARGE_UNIT * scratch.screen[pair, m]
                potential[i, m] += screen * charge[j, m]
                potential[j, m] += screen * charge[i, m]
            pair += 1


@compiled
@no_type_check
def _feel(tables, scratch):
    """What the energy gains by each density and strain, in their places."""
    n_atoms, n_hidden = tables.known.shape
    scratch.around[:] = 0.0
    for i in range(n_atoms):
        for h in range(n_hidden):
            gain = ATOM_UNIT * tables.atom[0, h]
            for m in range(CHARGES):
                gain += scratch.potential[i, m] * tables.atom[1 + m, h]
            gain *= scratch.hidden_slopes[i, h]
            for d in range(scratch.around.shape[1]):
                scratch.around[i, d] += gain * tables.surroundings[h, d]


@compiled
@no_type_check
def _push(x, tables, scratch, force):
    """From the slopes of every pair's functions to forces on its two atoms."""
    n_atoms, n_basis = len(x), len(scratch.weights)
    weights = scratch.weights
    pair = 0
    for i in range(n_atoms):
        for j in range(i):
            for k in range(n_basis):
                weights[k] = tables.pair[i, j, k]
            for m in range(CHARGES):
                product = 2.0 * CHARGE_UNIT * scratch.charge[i, m] * scratch.charge[j, m]
                for k in range(n_basis):
                    weights[k] += product * tables.solvent[k, m]
            for d in range(DENSITIES):
                by_j = tables.felt[i, j, d] * scratch.around[j, d]
                by_i = tables.felt[j, i, d] * scratch.around[i, d]
                for k in range(n_basis):
                    weights[k] += by_j * tables.sent[i, d, k]
                    weights[k] += by_i * tables.sent[j, d, k]
            slope = 0.0
            for k in range(n_basis):
                slope += weights[k] * scratch.slopes[pair, k]
            slope /= scratch.distance[pair]
            for axis in range(3):
                push = slope * (x[i, axis] - x[j, axis])
                force[i, axis] -= push
                force[j, axis] += push
            pair += 1

"""What compiled code knows of a molecule: the learned potential's coefficients, as arrays."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.surrogates.force_field_like.bonded import BondedParameters
from kstep.surrogates.force_field_like.nonbonded import Nonbonded, NonbondedParameters
from kstep.surrogates.force_field_like.strain import StrainParameters
from kstep.surrogates.force_field_like.terms import TermBatch


class BondedTables(NamedTuple):
    """Bonds, angles and torsions, as `force_field_like.bonded.BondedParameters` of one molecule.

    Rigid bonds are left out.

    Attributes:
        bonds, angles, torsions: atoms of each.
        rest_lengths, rest_angles: nm, rad.
        stretch, bend, turn: coefficients of the energy's derivative by powers of what it depends
            on, from the lowest on, kJ/mol [terms, powers].
        coupling: of a bend's two stretches with each other, and of their sum with the bend.
        fade: where torsions fade, nm⁸.
    """

    bonds: Int[np.ndarray, "B 2"]
    rest_lengths: Float[np.ndarray, " B"]
    stretch: Float[np.ndarray, "B 4"]
    angles: Int[np.ndarray, "A 3"]
    rest_angles: Float[np.ndarray, " A"]
    bend: Float[np.ndarray, "A 4"]
    coupling: Float[np.ndarray, "A 2"]
    torsions: Int[np.ndarray, "T 4"]
    turn: Float[np.ndarray, "T 6"]
    fade: Float[np.ndarray, " T"]


class StrainTables(NamedTuple):
    """Shares of the terms of `BondedTables`, as `force_field_like.strain.StrainParameters`."""

    bond: Float[np.ndarray, "B 2 E"]
    angle: Float[np.ndarray, "A 3 E"]
    torsion: Float[np.ndarray, "T 4 t"]


class NonbondedTables(NamedTuple):
    """Pairs and surroundings, as `force_field_like.nonbonded.NonbondedParameters` of one molecule.

    Pairs P are (i, j < i), ordered by i.

    Attributes:
        centres: of the Gaussians [G], K = G + 2 basis functions in all.
        pair: kJ/mol [P, K].
        sent: of the densities that an atom spreads [N, D, K].
        felt: how much of those of the first atom the second feels [N, N, D].
        known: [N, H].
        surroundings, atom, atom_bias: linear maps of the atoms' network [D + S, H], [1 + C, H],
            [1 + C]; S is 0 where atoms feel no strains.
        charge: of every atom by nature, e [N].
        solvent: of the screening functions [C, K].
    """

    centres: Float[np.ndarray, " G"]
    pair: Float[np.ndarray, "P K"]
    sent: Float[np.ndarray, "N D K"]
    felt: Float[np.ndarray, "N N D"]
    known: Float[np.ndarray, "N H"]
    surroundings: Float[np.ndarray, "S H"]
    atom: Float[np.ndarray, "C H"]
    atom_bias: Float[np.ndarray, " C"]
    charge: Float[np.ndarray, " N"]
    solvent: Float[np.ndarray, "C K"]


def bonded_tables(parameters: BondedParameters, terms: TermBatch) -> BondedTables:
    """The bonded terms of the only molecule in a batch."""
    soft = _soft(terms)
    return BondedTables(
        bonds=_integers(terms.bonds[0])[soft],
        rest_lengths=_array(parameters.rest_lengths[0])[soft],
        stretch=_derivative(parameters.stretch[0, soft]),
        angles=_integers(terms.angles[0]),
        rest_angles=_array(parameters.rest_angles[0]),
        bend=_derivative(parameters.bend[0]),
        coupling=_array(parameters.coupling[0]),
        torsions=_integers(terms.torsions[0]),
        turn=_derivative(parameters.turn[0]),
        fade=_array(parameters.fade[0]),
    )


def strain_tables(parameters: StrainParameters | None, terms: TermBatch) -> StrainTables:
    """The shares of the only molecule in a batch; nobody has any where strains are not felt."""
    if parameters is None:
        counts = (int(_soft(terms).size), terms.angles.shape[1], terms.torsions.shape[1])
        return StrainTables(*(np.zeros((n, k, 0)) for k, n in enumerate(counts, 2)))
    return StrainTables(
        bond=_array(parameters.bond[0])[_soft(terms)],
        angle=_array(parameters.angle[0]),
        torsion=_array(parameters.torsion[0]),
    )


def nonbonded_tables(network: Nonbonded, parameters: NonbondedParameters) -> NonbondedTables:
    """The pairs and surroundings of the only molecule in a batch."""
    felt_by = (network.density, network.strain) if network.strain else (network.density,)
    n_atoms = parameters.pair.shape[1]
    i, j = torch.tril_indices(n_atoms, n_atoms, offset=-1)
    return NonbondedTables(
        centres=_array(parameters.centres),
        pair=_array(parameters.pair[0, i, j]),
        sent=_array(parameters.sent[0].transpose(1, 2)),
        felt=_array(parameters.felt[0]),
        known=_array(parameters.known[0]),
        surroundings=_array(torch.cat([felt.weight for felt in felt_by], dim=1).T),
        atom=_array(network.atom.weight),
        atom_bias=_array(network.atom.bias),
        charge=_array(parameters.charge[0, :, 0]),
        solvent=_array(network.solvent.T),
    )


def _derivative(coefficients: Tensor) -> Float[np.ndarray, "n p"]:
    """Of Σ_p a_p qᵖ, p from 1 on, with one row of coefficients a term."""
    powers = torch.arange(1.0, coefficients.shape[1] + 1.0, dtype=coefficients.dtype)
    return _array(coefficients * powers)


def _soft(terms: TermBatch) -> Int[np.ndarray, " B"]:
    """Which bonds are not rigid."""
    return np.flatnonzero(_array(terms.bond_constants[0, :, 0]))


def _array(tensor: Tensor) -> Float[np.ndarray, "..."]:
    return np.ascontiguousarray(tensor.detach().cpu().to(torch.float64).numpy()).copy()


def _integers(tensor: Tensor) -> Int[np.ndarray, "K n"]:
    return np.ascontiguousarray(tensor.cpu().numpy().astype(np.int64))

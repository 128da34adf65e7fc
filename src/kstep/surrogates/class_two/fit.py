"""From labels of a molecule to the parameters of its class-II force field, in closed form."""

import numpy as np
from jaxtyping import Bool, Float

from kstep.protocols import Labels
from kstep.surrogates.class_two.design import design, internal_motions, stiffness
from kstep.surrogates.class_two.form import Form
from kstep.surrogates.class_two.functions import (
    BEND,
    EXPONENTIALS,
    SERIES,
    STRETCH_NM,
    WING,
    WING_POWERS,
    Seen,
)
from kstep.surrogates.class_two.regression import Moments, Posterior, regress
from kstep.system.molecule import Molecule

MODEL_REPULSION = 1000.0
"""Of every pair that no angle holds apart, times e^(−EXPONENTIALS r/DECAY_NM), kJ/mol."""
NEGLIGIBLE = 1e-12
"""Of the mean square of a derivative by the most influential kind of parameters."""
ROOM = 2_000
"""Derivatives that are taken in together."""


def expected(form: Form) -> Float[np.ndarray, " P"]:
    """Parameters before there are labels: springs of `MODEL_STIFFNESS` and a repulsion of pairs."""
    springs = 0.5 * stiffness(form.coordinates)[form.series[:, 1]]
    square = WING_POWERS.index(2)
    constants = {
        ("stretch", 1): springs * STRETCH_NM**2,
        ("bend", 1): springs * BEND**2,
        ("wing", square): springs * WING**2,
        ("pair", EXPONENTIALS): MODEL_REPULSION * ~_held_by_angles(form),
    }
    owner, start = form.owner[: len(springs)], np.zeros(form.n_parameters)
    names = [kind.name for kind in SERIES]
    for (name, which), values in constants.items():
        own = (form.series[:, 0] == names.index(name)) & (form.series[:, 2] == which)
        start[owner[own]] = values[own]
    return start


def _held_by_angles(form: Form) -> Bool[np.ndarray, " O"]:
    """Which series are of pairs that are the ends of an angle."""
    ends = {tuple(sorted(pair)) for pair in form.coordinates.angles[:, ::2].tolist()}
    held = np.array([atoms in ends for _, atoms in form.coordinates])
    return np.asarray(held[form.series[:, 1]])


def fit(molecule: Molecule, form: Form, seen: Seen, labels: Labels) -> Posterior:
    """The parameters that energies and forces ask for."""
    start = expected(form)
    moments = Moments(start)
    free = 3 * molecule.n_atoms - len(molecule.constraints)
    part = max(1, ROOM // free)
    for first in range(0, len(labels), part):
        some = slice(first, first + part)
        _add(molecule, form, seen, labels.x[some], labels.energies[some], labels.forces[some],
             moments)  # fmt: skip
    return regress(moments, start, usual_sizes(form, moments))


def usual_sizes(form: Form, moments: Moments) -> Float[np.ndarray, " P"]:
    """Root mean squares of the derivatives by parameters, alike for functions of one kind.

    A function that the labels hardly excite is thus held as firmly as others of its kind.
    """
    squares = np.diag(moments.gram) / moments.count
    means = np.bincount(form.kinds, squares) / np.maximum(np.bincount(form.kinds), 1)
    return np.asarray(np.sqrt(np.maximum(means[form.kinds], NEGLIGIBLE * means.max())))


def _add(
    molecule: Molecule,
    form: Form,
    seen: Seen,
    x: Float[np.ndarray, "s N 3"],
    energies: Float[np.ndarray, " s"],
    forces: Float[np.ndarray, "s N 3"],
    moments: Moments,
) -> None:
    """Add labels in the units of `kstep.surrogates.class_two.design`."""
    values, gradients = form.coordinates.measure(x)
    motions = internal_motions(x, molecule.constraints)
    moving = gradients.reshape(*values.shape, -1) @ motions
    pull = forces.reshape(len(x), 1, -1) @ motions
    hessian = moving.transpose(0, 2, 1) @ (stiffness(form.coordinates)[:, None] * moving)
    scaling = np.linalg.inv(np.linalg.cholesky(hessian)).transpose(0, 2, 1)
    found = design(form, seen, values, moving @ scaling)
    moments.add(
        energies,
        found.energies,
        -(pull @ scaling).ravel(),
        found.slopes.reshape(form.n_parameters, -1),
    )

"""The energy's functions at geometries as a linear regression sees them: one column a parameter.

A force counts along the constraints alone, and in units in which the errors of energies and of
forces are alike: L⁻¹ Tᵀ F, with T a basis of all internal motions that keep the constraints, and
L Lᵀ = Tᵀ H T a rough Hessian there (`MODEL_STIFFNESS`). For where energies are convex, the spread
of an error D over the ensemble is at most kT ⟨∇D · H⁻¹ ∇D⟩ (Brascamp & Lieb, J. Funct. Anal. 22,
366 (1976)): stiff directions forgive an error of the force that soft ones do not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kstep.surrogates.class_two.coordinates import InternalCoordinates
from kstep.surrogates.class_two.form import Form
from kstep.surrogates.class_two.functions import Rest, features_at, series_at

MODEL_STIFFNESS = {"bonds": 2.5e5, "angles": 350.0, "wings": 60.0, "torsions": 8.0, "pairs": 30.0}
"""Curvatures of the energy by coordinates of each kind, kJ/mol, nm and rad."""

Geometries = Float[np.ndarray, "S N 3"]


@dataclass(frozen=True, eq=False)
class Design:
    """What the parameters are multiplied with.

    Attributes:
        energies: of every energy [S, P].
        slopes: of the energy's derivatives along f directions [S, f, P].
    """

    energies: Float[np.ndarray, "S P"]
    slopes: Float[np.ndarray, "S f P"]


def design(
    form: Form,
    rest: Rest,
    values: Float[np.ndarray, "S C"],
    gradients: Float[np.ndarray, "S C f"],
) -> Design:
    """The design where the coordinates have these values and change so along f directions."""
    features, feature_slopes = features_at(values, form.coordinates, rest)
    series, series_slopes = (
        part[:, form.chosen] for part in series_at(values, form.coordinates, rest)
    )
    moving = gradients.transpose(0, 2, 1)
    feature_moves = moving[:, :, form.features[:, 1]] * feature_slopes[:, None]
    series_moves = moving[:, :, form.series[:, 1]] * series_slopes[:, None]
    one, two = form.products.T
    product_moves = feature_moves[:, :, one] * features[:, None, two]
    product_moves += features[:, None, one] * feature_moves[:, :, two]
    products = features[:, one] * features[:, two]
    return Design(
        form.shared(np.concatenate([series, products], axis=-1)),
        form.shared(np.concatenate([series_moves, product_moves], axis=-1)),
    )


def internal_motions(
    x: Geometries, constraints: Int[np.ndarray, "C 2"]
) -> Float[np.ndarray, "S n f"]:
    """An orthonormal basis of motions that neither move or turn all of x nor break constraints."""
    n_geometries, n_atoms, _ = x.shape
    outer = np.zeros((n_geometries, 6 + len(constraints), n_atoms, 3))
    arms = x - x.mean(axis=1, keepdims=True)
    for axis in range(3):
        outer[:, axis, :, axis] = 1.0
        outer[:, 3 + axis] = np.cross(np.eye(3)[axis], arms)
    for number, (one, two) in enumerate(constraints.tolist(), 6):
        outer[:, number, one] = x[:, one] - x[:, two]
        outer[:, number, two] = x[:, two] - x[:, one]
    columns = outer.reshape(n_geometries, len(outer[0]), -1).transpose(0, 2, 1)
    basis, _ = np.linalg.qr(columns, mode="complete")
    return basis[:, :, columns.shape[2] :]


def stiffness(coordinates: InternalCoordinates) -> Float[np.ndarray, " C"]:
    """`MODEL_STIFFNESS` of every coordinate."""
    return np.array([MODEL_STIFFNESS[kind] for kind, _ in coordinates])


def rest_of(form: Form, x: Geometries) -> Rest:
    """Means over geometries, and over coordinates that are alike."""
    values = np.stack([form.coordinates.measure(one[None])[0][0] for one in x]).mean(axis=0)
    totals = np.bincount(form.alike, values) / np.maximum(np.bincount(form.alike), 1)
    blocks = form.coordinates.blocks
    means = totals[form.alike]
    return Rest(lengths=means[blocks["bonds"]], cosines=means[blocks["angles"]])

"""The energy's functions at geometries as a linear regression sees them: one column a parameter.

A force counts along the constraints alone, and in units in which the errors of energies and of
forces are alike: L⁻¹ Tᵀ F, with T a basis of all internal motions that keep the constraints, and
L Lᵀ = Tᵀ H T a rough Hessian there (`MODEL_STIFFNESS`). For where energies are convex, the spread
of an error D over the ensemble is at most kT ⟨∇D · H⁻¹ ∇D⟩ (Brascamp & Lieb, J. Funct. Anal. 22,
366 (1976)): stiff directions forgive an error of the force that soft ones do not.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int

from kstep.compiled.machine import compiled, inlined
from kstep.surrogates.class_two.coordinates import InternalCoordinates
from kstep.surrogates.class_two.form import Form
from kstep.surrogates.class_two.functions import MARGIN, Seen, amplitudes, features_at, series_at

MODEL_STIFFNESS = {"bonds": 2.5e5, "angles": 350.0, "wings": 60.0, "torsions": 8.0, "pairs": 30.0}
"""Curvatures of the energy by coordinates of each kind, kJ/mol, nm and rad."""

Geometries = Float[np.ndarray, "S N 3"]


@dataclass(frozen=True, eq=False)
class Design:
    """What the parameters are multiplied with.

    Attributes:
        energies: in every energy [P, S].
        slopes: in the energy's derivatives along f directions [P, S, f].
    """

    energies: Float[np.ndarray, "P S"]
    slopes: Float[np.ndarray, "P S f"]


def design(
    form: Form,
    seen: Seen,
    values: Float[np.ndarray, "S C"],
    gradients: Float[np.ndarray, "S C f"],
) -> Design:
    """The design where the coordinates have these values and change so along f directions."""
    features = features_at(values, form.coordinates, seen)
    series = [part[:, form.chosen] for part in series_at(values, form.coordinates, seen)]
    energies = np.zeros((form.n_parameters, len(values)))
    slopes = np.zeros((form.n_parameters, *gradients[:, 0].shape))
    moving = np.ascontiguousarray(gradients)
    places = (form.series[:, 1].copy(), form.features[:, 1].copy(), form.products)
    _add_up(*features, *series, moving, places, form.owner, form.sign, energies, slopes)
    return Design(energies, slopes)


@compiled
@no_type_check
def _add_up(
    features, feature_slopes, series, series_slopes, moving, places, owner, sign, energies, slopes
):
    """Add every function to its parameter's rows."""
    of_series, of_features, products = places
    for s in range(len(features)):
        for term in range(len(of_series)):
            energies[owner[term], s] += sign[term] * series[s, term]
            weight = sign[term] * series_slopes[s, term]
            _add_row(slopes[owner[term], s], weight, moving[s, of_series[term]])
        for term in range(len(products)):
            one, two = products[term]
            function = len(of_series) + term
            row, own = slopes[owner[function], s], sign[function]
            energies[owner[function], s] += own * features[s, one] * features[s, two]
            by_one = own * feature_slopes[s, one] * features[s, two]
            by_two = own * features[s, one] * feature_slopes[s, two]
            _add_row(row, by_one, moving[s, of_features[one]])
            _add_row(row, by_two, moving[s, of_features[two]])


@inlined
@no_type_check
def _add_row(row, weight, direction):
    for place in range(len(row)):
        row[place] += weight * direction[place]


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


def seen_in(form: Form, x: Geometries) -> Seen:
    """What the coordinates are in these geometries."""
    values = np.concatenate([form.coordinates.measure(one[None])[0] for one in x])
    count = form.alike.max(initial=-1) + 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, form.alike, values.min(axis=0))
    np.maximum.at(high, form.alike, values.max(axis=0))
    totals = np.bincount(form.alike, values.mean(axis=0))
    mean = totals / np.maximum(np.bincount(form.alike), 1)
    margin = MARGIN * amplitudes(form.coordinates)
    return Seen(mean[form.alike], low[form.alike] - margin, high[form.alike] + margin)

"""What the machine code of a class-II force field knows of a molecule, and room to work in."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kstep.compiled.lanes import LANES
from kstep.surrogates.class_two.form import Form
from kstep.surrogates.class_two.functions import BEND, SERIES, STRETCH_NM, Seen


class Tables(NamedTuple):
    """The force field of one molecule.

    Attributes:
        bonds, angles, wings, torsions, pairs: atoms of each coordinate.
        middle: lengths and cosines from which bonds and angles are measured [B + A].
        low, high: of these, in amplitudes, between which there are no walls [B + A].
        nearest: the same for pairs, nm [P].
        stretch, bend, wing, turn, twist, pair: coefficients of the series of each coordinate,
            kJ/mol; `twist` has no columns where no sine stands alone.
        starts: where the partners of each feature begin, and in the end their number [F + 1].
        partners: features that it meets, feature after feature [2 M].
        weights: coefficients of these products, kJ/mol [2 M].
    """

    bonds: Int[np.ndarray, "B 2"]
    angles: Int[np.ndarray, "A 3"]
    wings: Int[np.ndarray, "W 4"]
    torsions: Int[np.ndarray, "T 4"]
    pairs: Int[np.ndarray, "P 2"]
    middle: Float[np.ndarray, " b"]
    low: Float[np.ndarray, " b"]
    high: Float[np.ndarray, " b"]
    nearest: Float[np.ndarray, " P"]
    stretch: Float[np.ndarray, "B 4"]
    bend: Float[np.ndarray, "A 4"]
    wing: Float[np.ndarray, "W 2"]
    turn: Float[np.ndarray, "T 6"]
    twist: Float[np.ndarray, "T t"]
    pair: Float[np.ndarray, "P E"]
    starts: Int[np.ndarray, " F1"]
    partners: Int[np.ndarray, " M2"]
    weights: Float[np.ndarray, " M2"]


class Scratch(NamedTuple):
    """Room to work in.

    Attributes:
        features: values [F, L].
        gains: what the energy gains by each, kJ/mol [F, L].
        slopes: what the energy gains by each coordinate but pairs through its series [C, L].
        rates: what the features of bonds and angles gain by the coordinate [B + A, L].
        arms: gradients of the coordinates but pairs by their first atoms, 1/nm; that by the last
            atom is minus their sum [C, 3, 3, L].
    """

    features: Float[np.ndarray, "F L"]
    gains: Float[np.ndarray, "F L"]
    slopes: Float[np.ndarray, "C L"]
    rates: Float[np.ndarray, "R L"]
    arms: Float[np.ndarray, "C 3 3 L"]


def make_tables(form: Form, seen: Seen, coefficients: Float[np.ndarray, " K"]) -> Tables:
    """The force field with these coefficients of the functions of a form."""
    coordinates, blocks = form.coordinates, form.coordinates.blocks
    series = {}
    for number, kind in enumerate(SERIES):
        own = np.flatnonzero(form.series[:, 0] == number)
        place = blocks[kind.coordinates]
        shape = (place.stop - place.start, kind.count if len(own) or not kind.odd else 0)
        series[kind.name] = np.zeros(shape)
        rows, columns = form.series[own, 1] - place.start, form.series[own, 2]
        series[kind.name][rows, columns] = coefficients[own]
    soft = slice(0, blocks["angles"].stop)
    unit = np.where(np.arange(soft.stop) < blocks["bonds"].stop, STRETCH_NM, -BEND)
    walls = [(bound[soft] - seen.mean[soft]) / unit for bound in (seen.low, seen.high)]
    both = np.concatenate([form.products, form.products[:, ::-1]])
    order = np.lexsort((both[:, 1], both[:, 0]))
    weights = np.tile(coefficients[len(form.series) :], 2)
    return Tables(
        bonds=coordinates.bonds,
        angles=coordinates.angles,
        wings=coordinates.wings,
        torsions=coordinates.torsions,
        pairs=coordinates.pairs,
        middle=seen.mean[soft],
        low=np.minimum(*walls),
        high=np.maximum(*walls),
        nearest=seen.low[blocks["pairs"]],
        **series,
        starts=np.searchsorted(both[order, 0], np.arange(len(form.features) + 1)),
        partners=np.ascontiguousarray(both[order, 1]),
        weights=weights[order],
    )


def make_scratch(tables: Tables) -> Scratch:
    """Room for one molecule."""
    soft = len(tables.bonds) + len(tables.angles)
    count = soft + len(tables.wings) + len(tables.torsions)
    n_features = len(tables.starts) - 1
    return Scratch(
        features=np.empty((n_features, LANES)),
        gains=np.empty((n_features, LANES)),
        slopes=np.empty((count, LANES)),
        rates=np.empty((soft, LANES)),
        arms=np.empty((count, 3, 3, LANES)),
    )

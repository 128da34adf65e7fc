"""The functions of one internal coordinate each that a class-II force field is made of.

*Features* enter products of two: how far bonds and angles are from rest, wings, and cosines and
sines of torsions. *Series* stand alone: powers of a stretch, a bend and a wing, cos nφ, sin nφ, and
functions of the distance of a pair.

The far ends of stretches and bends are bounded: u = s/√(1 + s²/L²) takes the place of s in products
and in powers above 2, so that no coefficients of these make a hole without bottom. *Walls* rise
where bonds, angles and pairs leave the range in which they have been seen, so that nothing falls
into holes where no label says anything.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kstep.surrogates.class_two.coordinates import InternalCoordinates

STRETCH_NM = 0.005
BEND = 0.06
WING = 0.1
"""Typical amplitudes, which stretches, cosines of angles and wings are measured in."""
BOUND = 8.0
"""L, in such amplitudes."""
POWERS = 4
"""Of a stretch and of a bend."""
WING_POWERS = (2, 4)
TURNS = 6
"""Torsions have cos nφ (and sin nφ) up to this n."""
SOFT_NM = 0.1
"""Softens 1/r to 1/√(r² + this²)."""
DECAY_NM = 0.2
EXPONENTIALS = 4
"""A pair has e^(−n r/DECAY_NM) up to this n, beside the softened 1/r."""

WALL = 10.0
"""kJ/mol at one amplitude beyond the range; it grows as a square."""
PAIR_NM = 0.01
"""Amplitude of a pair, for walls."""
MARGIN = 3.0
"""Amplitudes by which the range is wider than what has been seen."""
FAR = 1e3
"""Beyond all values of coordinates."""

Values = Float[np.ndarray, "S n"]
Both = tuple[Float[np.ndarray, "S m"], Float[np.ndarray, "S m"]]
"""Values of functions and their slopes by the coordinate."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Values that coordinates have had; alike ones together.

    Attributes:
        mean: from which stretches and bends are measured [C].
        low, high: between which there are no walls [C]; those of wings and torsions count for
            nothing, nor does `high` of pairs.
    """

    mean: Float[np.ndarray, " C"]
    low: Float[np.ndarray, " C"]
    high: Float[np.ndarray, " C"]


@dataclass(frozen=True)
class Kind:
    """A kind of functions, of every coordinate of a kind.

    Attributes:
        name: of the functions.
        coordinates: which they are of.
        count: how many of each coordinate.
        odd: whether a mirror turns their signs.
        turns: whether exchanging equal atoms can do so too.
    """

    name: str
    coordinates: str
    count: int = 1
    odd: bool = False
    turns: bool = False


FEATURES = (
    Kind("stretch", "bonds"),
    Kind("bend", "angles"),
    Kind("wing", "wings", odd=True, turns=True),
    Kind("cosine", "torsions"),
    Kind("double", "torsions"),
    Kind("sine", "torsions", odd=True),
)
SERIES = (
    Kind("stretch", "bonds", POWERS),
    Kind("bend", "angles", POWERS),
    Kind("wing", "wings", len(WING_POWERS)),
    Kind("turn", "torsions", TURNS),
    Kind("twist", "torsions", TURNS, odd=True),
    Kind("pair", "pairs", 1 + EXPONENTIALS),
)


def places_of(kinds: tuple[Kind, ...], coordinates: InternalCoordinates) -> Int[np.ndarray, "n 3"]:
    """Of every function: the number of its kind, its coordinate among all, which of its kind."""
    blocks = coordinates.blocks
    return np.array(
        [
            (number, coordinate, which)
            for number, kind in enumerate(kinds)
            for coordinate in range(blocks[kind.coordinates].start, blocks[kind.coordinates].stop)
            for which in range(kind.count)
        ],
        dtype=np.int64,
    ).reshape(-1, 3)


def features_at(values: Values, coordinates: InternalCoordinates, seen: Seen) -> Both:
    """The features where the coordinates have these values."""
    stretch, bend, wing, angle, _ = _split(values, coordinates)
    mean = _split(seen.mean[None], coordinates)
    s, q = (stretch - mean[0]) / STRETCH_NM, (mean[1] - bend) / BEND
    columns = [
        (_bounded(s), _bounded_slope(s) / STRETCH_NM),
        (_bounded(q), -_bounded_slope(q) / BEND),
        (wing / WING, np.full_like(wing, 1.0 / WING)),
        (np.cos(angle), -np.sin(angle)),
        (np.cos(2.0 * angle), -2.0 * np.sin(2.0 * angle)),
        (np.sin(angle), np.cos(angle)),
    ]
    return _joined(columns)


def series_at(values: Values, coordinates: InternalCoordinates, seen: Seen) -> Both:
    """The functions of one coordinate where the coordinates have these values."""
    stretch, bend, wing, angle, distance = _split(values, coordinates)
    mean = _split(seen.mean[None], coordinates)
    s, q = (stretch - mean[0]) / STRETCH_NM, (mean[1] - bend) / BEND
    turns = np.arange(1, TURNS + 1)
    phase = angle[..., None] * turns
    w = wing[..., None] / WING
    powers = np.array(WING_POWERS)
    return _joined(
        [
            _powers(s, 1.0 / STRETCH_NM),
            _powers(q, -1.0 / BEND),
            (_flat(w**powers), _flat(powers * w ** (powers - 1) / WING)),
            (_flat(np.cos(phase)), _flat(-turns * np.sin(phase))),
            (_flat(np.sin(phase)), _flat(turns * np.cos(phase))),
            _pair(distance),
        ]
    )


def walls_at(
    values: Values, coordinates: InternalCoordinates, seen: Seen
) -> tuple[Float[np.ndarray, " S"], Values]:
    """The energy of all walls, kJ/mol, and its slopes by the coordinates [S, C]."""
    units = amplitudes(coordinates)
    excess = np.minimum(values - seen.low, 0.0) + np.maximum(values - seen.high, 0.0)
    blocks = coordinates.blocks
    excess[:, blocks["wings"].start : blocks["torsions"].stop] = 0.0
    excess[:, blocks["pairs"]] = np.minimum(excess[:, blocks["pairs"]], 0.0)
    return WALL * np.square(excess / units).sum(axis=1), 2.0 * WALL * excess / units**2


def amplitudes(coordinates: InternalCoordinates) -> Float[np.ndarray, " C"]:
    """What walls measure every coordinate in."""
    units = {"bonds": STRETCH_NM, "angles": BEND, "wings": WING, "torsions": 1.0, "pairs": PAIR_NM}
    return np.array([units[kind] for kind, _ in coordinates])


def _split(values: Values, coordinates: InternalCoordinates) -> list[np.ndarray]:
    return [values[:, place] for place in coordinates.blocks.values()]


def _bounded(s: Values) -> Values:
    return s / np.sqrt(1.0 + (s / BOUND) ** 2)


def _bounded_slope(s: Values) -> Values:
    return (1.0 + (s / BOUND) ** 2) ** -1.5


def _powers(s: Values, unit: float) -> Both:
    """s, s², u³, u⁴, and their slopes where s changes by `unit`."""
    u, slope = _bounded(s), _bounded_slope(s)
    value = np.stack([s, s**2, u**3, u**4], axis=-1)
    slopes = np.stack([np.ones_like(s), 2.0 * s, 3.0 * u**2 * slope, 4.0 * u**3 * slope], axis=-1)
    return _flat(value), _flat(unit * slopes)


def _pair(distance: Values) -> Both:
    near = np.exp(-distance / DECAY_NM)[..., None] ** np.arange(1, EXPONENTIALS + 1)
    inverse = 1.0 / np.sqrt(distance**2 + SOFT_NM**2)
    value = np.concatenate([inverse[..., None], near], axis=-1)
    fall = -np.arange(1, EXPONENTIALS + 1) / DECAY_NM * near
    slope = np.concatenate([(-distance * inverse**3)[..., None], fall], axis=-1)
    return _flat(value), _flat(slope)


def _flat(values: Float[np.ndarray, "S K p"]) -> Float[np.ndarray, "S m"]:
    return values.reshape(len(values), -1)


def _joined(columns: list[tuple[np.ndarray, np.ndarray]]) -> Both:
    values, slopes = zip(*columns, strict=True)
    return np.concatenate(values, axis=1), np.concatenate(slopes, axis=1)

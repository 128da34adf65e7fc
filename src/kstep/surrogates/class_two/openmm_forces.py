"""A class-II force field as stock custom forces of OpenMM: any platform, serialisable."""

from collections.abc import Iterable

import numpy as np
import openmm
from jaxtyping import Float

from kstep.surrogates.class_two.form import Form
from kstep.surrogates.class_two.functions import (
    BEND,
    BOUND,
    DECAY_NM,
    EXPONENTIALS,
    FEATURES,
    PAIR_NM,
    POWERS,
    SERIES,
    SOFT_NM,
    STRETCH_NM,
    TURNS,
    WALL,
    WING,
    WING_POWERS,
    Kind,
    Seen,
)

_ATOMS = {"bonds": 2, "angles": 3, "wings": 4, "torsions": 4, "pairs": 2}
_RANGE = ("mean", "low", "high")
"""What `Seen` says of a coordinate, as parameters of a force."""


def openmm_forces(
    form: Form, seen: Seen, coefficients: Float[np.ndarray, " K"]
) -> list[openmm.Force]:
    """The functions of a form with these coefficients: one force a kind of functions."""
    forces = [
        _series_force(form, number, seen, coefficients)
        for number in np.unique(form.series[:, 0]).tolist()
    ]
    kinds = form.features[form.products, 0]
    for pair in np.unique(kinds, axis=0).tolist():
        own = np.flatnonzero((kinds == pair).all(axis=1))
        one, two = (FEATURES[number] for number in pair)
        forces.append(_product_force(form, own.tolist(), one, two, seen, coefficients))
    return forces


def _series_force(
    form: Form, number: int, seen: Seen, coefficients: Float[np.ndarray, " K"]
) -> openmm.Force:
    """The functions of one coordinate of one kind."""
    kind = SERIES[number]
    own = np.flatnonzero(form.series[:, 0] == number)
    atoms = [list(members) for _, members in form.coordinates]
    energy = f"{_series_energy(kind.name)}; {_series_variables(kind.name)}".rstrip("; ")
    force = openmm.CustomCompoundBondForce(_ATOMS[kind.coordinates], energy)
    force.setName(f"class II {kind.name}")
    for name in (*_RANGE, *(f"c{which}" for which in range(kind.count))):
        force.addPerBondParameter(name)
    for coordinate in np.unique(form.series[own, 1]).tolist():
        about = [getattr(seen, name)[coordinate] for name in _RANGE]
        constants = coefficients[own[form.series[own, 1] == coordinate]]
        force.addBond(atoms[coordinate], [*about, *constants])
    return force


def _series_energy(name: str) -> str:
    """The energy of a coordinate: a deviation s, bounded u, a wing w, an angle t, a distance r."""
    powers = ["s", "s^2", *(f"u^{power}" for power in range(3, POWERS + 1))]
    near = [f"exp(-{power}*r/{DECAY_NM!r})" for power in range(1, EXPONENTIALS + 1)]
    walls = f"+{WALL!r}*(max(0,low-v)^2+max(0,v-high)^2)"
    return {
        "stretch": _sum(powers) + f"{walls}/{STRETCH_NM!r}^2",
        "bend": _sum(powers) + f"{walls}/{BEND!r}^2",
        "wing": _sum(f"w^{power}" for power in WING_POWERS),
        "turn": _sum(f"cos({n}*t)" for n in range(1, TURNS + 1)),
        "twist": _sum(f"sin({n}*t)" for n in range(1, TURNS + 1)),
        "pair": _sum([f"1/sqrt(r^2+{SOFT_NM!r}^2)", *near])
        + f"+{WALL!r}*(max(0,low-r)/{PAIR_NM!r})^2",
    }[name]


def _series_variables(name: str) -> str:
    """What the variables of `_series_energy` are of the particles p1, p2 and so on."""
    bounded = f"u=s/sqrt(1+(s/{BOUND!r})^2); s="
    return {
        "stretch": f"{bounded}(v-mean)/{STRETCH_NM!r}; v=distance(p1,p2)",
        "bend": f"{bounded}(mean-v)/{BEND!r}; v=cos(angle(p1,p2,p3))",
        "wing": f"w={_wing(1)}",
        "turn": "t=dihedral(p1,p2,p3,p4)",
        "twist": "t=dihedral(p1,p2,p3,p4)",
        "pair": "r=distance(p1,p2)",
    }[name]


def _product_force(
    form: Form,
    own: list[int],
    one: Kind,
    two: Kind,
    seen: Seen,
    coefficients: Float[np.ndarray, " K"],
) -> openmm.Force:
    """Products of two kinds of features; the atoms of the second follow those of the first."""
    first, second = _ATOMS[one.coordinates], _ATOMS[two.coordinates]
    energy = f"k*f1*f2; {_feature(one.name, 1, 1)}; {_feature(two.name, 2, 1 + first)}"
    force = openmm.CustomCompoundBondForce(first + second, energy)
    force.setName(f"class II {one.name} with {two.name}")
    for name in ("k", "mean1", "mean2"):
        force.addPerBondParameter(name)
    atoms = [members for _, members in form.coordinates]
    for number in own:
        coordinates = form.features[form.products[number], 1].tolist()
        members = [atom for coordinate in coordinates for atom in atoms[coordinate]]
        constant = coefficients[len(form.series) + number]
        force.addBond(members, [constant, *seen.mean[coordinates]])
    return force


def _feature(name: str, number: int, start: int) -> str:
    """A feature f<number>, of the particles from p<start> on."""
    p = [f"p{start + offset}" for offset in range(4)]
    f, s, mean = f"f{number}", f"s{number}", f"mean{number}"
    bounded = f"{s}/sqrt(1+({s}/{BOUND!r})^2); {s}="
    turn = f"dihedral({','.join(p)})"
    return (
        f"{f}="
        + {
            "stretch": f"{bounded}(distance({p[0]},{p[1]})-{mean})/{STRETCH_NM!r}",
            "bend": f"{bounded}({mean}-cos(angle({p[0]},{p[1]},{p[2]})))/{BEND!r}",
            "wing": _wing(start),
            "cosine": f"cos({turn})",
            "double": f"cos(2*{turn})",
            "sine": f"sin({turn})",
        }[name]
    )


def _sum(functions: Iterable[str]) -> str:
    """Functions times c0, c1 and so on."""
    return "+".join(f"c{which}*{function}" for which, function in enumerate(functions))


def _wing(centre: int) -> str:
    """How far a centre is from the plane of its neighbours, the next three particles."""
    around = (centre + 1, centre + 2, centre + 3)
    one, two, three = ([f"({axis}{end}-{axis}{centre})" for axis in "xyz"] for end in around)
    volume = "+".join(
        f"{one[i]}*({two[j]}*{three[k]}-{two[k]}*{three[j]})"
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    )
    lengths = "*".join(f"distance(p{centre},p{end})" for end in around)
    return f"({volume})/({lengths}*{WING!r})"

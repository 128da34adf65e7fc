"""A class-II force field as stock custom forces of OpenMM: any platform, serialisable."""

from collections.abc import Sequence

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

_ATOMS = {"bonds": 2, "angles": 3, "wings": 4, "torsions": 4}


def openmm_forces(
    form: Form, seen: Seen, coefficients: Float[np.ndarray, " K"]
) -> list[openmm.Force]:
    """The functions of a form with these coefficients: one force a kind of functions."""
    atoms = [members for _, members in form.coordinates]
    forces = [_series(form, number, kind, coefficients, seen, atoms)
              for number, kind in enumerate(SERIES)]  # fmt: skip
    kinds = form.features[form.products, 0]
    for pair in np.unique(kinds, axis=0):
        own = np.flatnonzero((kinds == pair).all(axis=1))
        one, two = (FEATURES[number] for number in pair)
        force = _product(one, two)
        for number in own:
            coordinates = form.features[form.products[number], 1]
            values = [coefficients[len(form.series) + number], *seen.mean[coordinates]]
            members = [atom for coordinate in coordinates for atom in atoms[coordinate]]
            force.addBond(members, values)
        forces.append(force)
    return [force for force in forces if force is not None]


def _series(
    form: Form,
    number: int,
    kind: Kind,
    coefficients: Float[np.ndarray, " K"],
    seen: Seen,
    atoms: Sequence[tuple[int, ...]],
) -> openmm.Force | None:
    """The functions of one kind, of all coordinates that have them."""
    own = np.flatnonzero(form.series[:, 0] == number)
    if not len(own):
        return None
    energies = {
        "stretch": (openmm.CustomBondForce, f"{_powers()}+{_walls('r', STRETCH_NM)}; {_bounded('u', _stretch('r', 'rest'))}"),
        "bend": (openmm.CustomAngleForce,
                 f"{_powers()}+{_walls('cos(theta)', BEND)}; "
                 f"{_bounded('u', _bend('cos(theta)', 'rest'))}"),
        "wing": (_four, f"{_sum(f'w^{power}' for power in WING_POWERS)}; {_wing('w', 1)}"),
        "turn": (openmm.CustomTorsionForce,
                 _sum(f"cos({n}*theta)" for n in range(1, TURNS + 1))),
        "twist": (openmm.CustomTorsionForce,
                  _sum(f"sin({n}*theta)" for n in range(1, TURNS + 1))),
        "pair": (openmm.CustomBondForce, _pair()),
    }  # fmt: skip
    make, energy = energies[kind.name]
    force = make(energy)
    force.setName(f"class II {kind.name}")
    names = ["rest", "low", "high", *(f"c{which}" for which in range(kind.count))]
    add = {"addBond": "PerBond", "addAngle": "PerAngle", "addTorsion": "PerTorsion"}
    method = next(name for name in add if hasattr(force, name))
    for name in names:
        getattr(force, f"add{add[method]}Parameter")(name)
    for coordinate in np.unique(form.series[own, 1]):
        mine = own[form.series[own, 1] == coordinate]
        values = [getattr(seen, name)[coordinate] for name in ("mean", "low", "high")]
        values.extend(coefficients[mine])
        members = atoms[coordinate]
        if kind.name == "wing":
            force.addBond(members, values)
        else:
            getattr(force, method)(*members, values)
    return force


def _four(energy: str) -> openmm.CustomCompoundBondForce:
    return openmm.CustomCompoundBondForce(4, energy)


def _product(one: Kind, two: Kind) -> openmm.CustomCompoundBondForce:
    """Products of two kinds of features; the atoms of the second follow those of the first."""
    first, second = _ATOMS[one.coordinates], _ATOMS[two.coordinates]
    energy = f"k*f1*f2; {_feature(one, 1, 1)}; {_feature(two, 2, 1 + first)}"
    force = openmm.CustomCompoundBondForce(first + second, energy)
    force.setName(f"class II {one.name} with {two.name}")
    for name in ("k", "rest1", "rest2"):
        force.addPerBondParameter(name)
    return force


def _feature(kind: Kind, number: int, start: int) -> str:
    """A feature f<number> of the particles from p<start> on."""
    name, places = f"f{number}", ",".join(f"p{start + n}" for n in range(_ATOMS[kind.coordinates]))
    rest = f"rest{number}"
    if kind.name == "stretch":
        return _bounded(name, _stretch(f"distance({places})", rest))
    if kind.name == "bend":
        return _bounded(name, _bend(f"cos(angle({places}))", rest))
    if kind.name == "wing":
        return _wing(name, start)
    turned = f"dihedral({places})"
    return f"{name}=" + {
        "cosine": f"cos({turned})", "double": f"cos(2*{turned})", "sine": f"sin({turned})",
    }[kind.name]  # fmt: skip


def _sum(functions: "Sequence[str] | object") -> str:
    """Functions times c0, c1 and so on."""
    return "+".join(f"c{which}*{function}" for which, function in enumerate(functions))


def _powers() -> str:
    powers = ("su", "su^2", *(f"u^{power}" for power in range(3, POWERS + 1)))
    return _sum(powers)


def _stretch(length: str, rest: str) -> str:
    return f"({length}-{rest})/{STRETCH_NM!r}"


def _bend(cosine: str, rest: str) -> str:
    return f"({rest}-{cosine})/{BEND!r}"


def _walls(value: str, unit: float) -> str:
    """What rises where a coordinate leaves its range."""
    return f"{WALL!r}*((max(0,low-{value})^2+max(0,{value}-high)^2)/{unit!r}^2)"


def _bounded(name: str, deviation: str) -> str:
    """u of s."""
    return f"{name}=s{name}/sqrt(1+(s{name}/{BOUND!r})^2); s{name}={deviation}"


def _wing(name: str, centre: int) -> str:
    """How far a centre is from the plane of its neighbours, the next three particles."""
    arms = [
        [f"({axis}{centre + n}-{axis}{centre})" for axis in "xyz"] for n in (1, 2, 3)
    ]
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = arms
    volume = f"{ax}*({by}*{cz}-{bz}*{cy})+{ay}*({bz}*{cx}-{bx}*{cz})+{az}*({bx}*{cy}-{by}*{cx})"
    lengths = "*".join(f"distance(p{centre},p{centre + n})" for n in (1, 2, 3))
    return f"{name}=({volume})/({lengths}*{WING!r})"


def _pair() -> str:
    near = "+".join(f"c{power}*near^{power}" for power in range(1, EXPONENTIALS + 1))
    wall = f"{WALL!r}*(max(0,low-r)/{STRETCH_NM!r})^2"
    return f"c0/sqrt(r^2+{SOFT_NM!r}^2)+{near}+{wall}; near=exp(-r/{DECAY_NM!r})"

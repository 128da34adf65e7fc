"""How fast the fastest vibration of a molecule is, and whether a time step can follow it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.errors import ConfigError
from kstep.system.force_field import Terms
from kstep.system.molecule import Molecule, symbol
from kstep.units import PS_PER_FS

STABLE = 2.0
"""Step times angular frequency at which leapfrog's harmonic oscillator explodes."""


@dataclass(frozen=True)
class Vibration:
    """A stretch or a bend on its own.

    Attributes:
        atoms: those of the bond or angle.
        omega: angular frequency, rad/ps.
    """

    atoms: tuple[int, ...]
    omega: float

    @property
    def longest_step(self) -> float:
        """The step that it explodes at, ps."""
        return STABLE / self.omega


def fastest_vibration(terms: Terms, masses: Float[np.ndarray, " N"]) -> Vibration | None:
    """The fastest of all bonds and angles, each by itself; None where there is none.

    A lower bound of what the whole molecule has: coupled ones are somewhat faster.

    Args:
        terms: of its force field; constrained bonds do not vibrate.
        masses: Da.
    """
    found = [*_stretches(terms, 1 / masses), *_bends(terms, 1 / masses)]
    return max(found, key=lambda one: one.omega, default=None)


def check_step(molecule: Molecule, dt_ps: float) -> None:
    """Raise ConfigError for a time step that must make a molecule explode."""
    fastest = fastest_vibration(molecule.terms, molecule.masses)
    if fastest is None or dt_ps < fastest.longest_step:
        return
    atoms = "-".join(f"{symbol(int(molecule.numbers[atom]))}{atom + 1}" for atom in fastest.atoms)
    raise ConfigError(
        f"{molecule.name}: md.dt_fs={dt_ps / PS_PER_FS:g} is too long for its masses, since "
        f"{atoms} explodes from {fastest.longest_step / PS_PER_FS:.2g} fs on: choose a shorter "
        "step, constrained bonds to hydrogen, or other masses with prep.hydrogen_mass."
    )


def _stretches(terms: Terms, w: Float[np.ndarray, " N"]) -> list[Vibration]:
    squares = terms.bond_constants[:, 0] * w[terms.bonds].sum(axis=1)
    return _vibrations(terms.bonds, squares)


def _bends(terms: Terms, w: Float[np.ndarray, " N"]) -> list[Vibration]:
    """By the element of Wilson's G matrix that belongs to an angle at rest."""
    rests = terms.bond_constants[:, 1].tolist()
    lengths = dict(zip(map(frozenset, terms.bonds.tolist()), rests, strict=True))
    arms = np.array(
        [[lengths.get(frozenset(pair), np.inf) for pair in ((a, b), (b, c))]
         for a, b, c in terms.angles.tolist()]
    ).reshape(-1, 2)  # fmt: skip
    ends, vertex = w[terms.angles[:, [0, 2]]], w[terms.angles[:, 1]]
    cosine = np.cos(terms.angle_constants[:, 1])
    across = (arms**-2).sum(axis=1) - 2 * cosine / arms.prod(axis=1)
    squares = terms.angle_constants[:, 0] * ((ends * arms**-2).sum(axis=1) + vertex * across)
    return _vibrations(terms.angles, squares)


def _vibrations(atoms: np.ndarray, squares: Float[np.ndarray, " K"]) -> list[Vibration]:
    return [
        Vibration(tuple(those), float(np.sqrt(square)))
        for those, square in zip(atoms.tolist(), squares, strict=True)
        if square > 0
    ]

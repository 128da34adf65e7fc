"""Potentials whose programs take one geometry at a time, and what such programs have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from kstep.errors import ConfigError, MoleculeError
from kstep.protocols import Evaluation, Identity, Replicas
from kstep.system.molecule import Molecule

Atoms = Float[np.ndarray, "N 3"]
SinglePoint = tuple[float, Atoms]
"""Energy, kJ/mol, and forces, kJ/mol/nm [N, 3], at one geometry."""


class NoEnergyError(Exception):
    """A program found no energy at some positions; the message says why, without a full stop."""


class SinglePoints(ABC):
    """A potential that is asked for one replica after the other.

    Whoever derives from it says what it computes (`identity`) and how (`single_point`).

    Attributes:
        retries: how often an evaluation had to be tried again.
    """

    retries = 0

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """What decides its energies."""

    @abstractmethod
    def single_point(self, x: Atoms) -> SinglePoint:
        """Energy and forces at x, nm; NoEnergyError where there are none."""

    def forget(self) -> None:  # noqa: B027  (most keep nothing)
        """Drop what was kept of earlier evaluations."""

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies and forces at x, nm; NaN for a replica whose evaluation failed."""
        energies, forces = np.full(len(x), np.nan), np.full(x.shape, np.nan)
        reasons: dict[int, str] = {}
        for replica, geometry in enumerate(np.asarray(x, dtype=np.float64)):
            try:
                energies[replica], forces[replica] = self._finite(geometry)
            except NoEnergyError as error:
                reasons[replica] = str(error)
        return Evaluation(energies, forces, reasons)

    def _finite(self, x: Atoms) -> SinglePoint:
        if not np.isfinite(x).all():
            raise NoEnergyError("its positions are not finite")
        energy, forces = self.single_point(x)
        if forces.shape != x.shape or not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise NoEnergyError("its numbers are not finite, or not three for each atom")
        return energy, forces


@contextmanager
def needing(extra: str, method: str) -> Iterator[None]:
    """Within, a package that is not there is a ConfigError that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{method} needs the package {error.name}: install it with "
            f"`pip install 'md-kstep[{extra}]'`."
        ) from None


def cannot_compute(molecule: Molecule, method: str, reason: object) -> MoleculeError:
    """What to raise for a molecule that a method does not know."""
    return MoleculeError(
        f"{molecule.name} cannot be computed with {method} ({one_line(reason)}): leave it out or "
        "choose another potential."
    )


def require_closed_shell(molecule: Molecule, method: str) -> None:
    """Raise MoleculeError where electrons are left unpaired."""
    electrons = int(molecule.numbers.sum()) - molecule.charge
    if electrons % 2:
        raise cannot_compute(
            molecule,
            method,
            f"{electrons} electrons at a net charge of {molecule.charge:+d} leave one unpaired",
        )


def one_line(said: object) -> str:
    """The first line of what an exception says, without its full stop."""
    return next(iter(str(said).strip().splitlines()), "no reason given").rstrip(".")

"""Any ASE calculator: the door to DFT codes and machine-learned potentials.

Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017). ASE counts in Å and eV.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Final

import numpy as np

from kstep.errors import ConfigError
from kstep.potentials.single_point import (
    Atoms,
    NoEnergyError,
    SinglePoint,
    SinglePoints,
    needing,
    one_line,
)
from kstep.protocols import Identity
from kstep.system.molecule import Molecule
from kstep.units import ANGSTROM_PER_NM, MEV_PER_KJ_PER_MOL

KJ_PER_MOL_PER_EV: Final = 1000.0 / MEV_PER_KJ_PER_MOL


@dataclass(frozen=True)
class Ase:
    """An ASE calculator of energies and forces, with the net charge in `atoms.info["charge"]`.

    Attributes:
        calculator: a calculator, a callable that returns one, or the name of such a callable as
            `package.module:callable`; it is called without arguments, once for each molecule.
    """

    calculator: Any
    packages: ClassVar = ("ase",)

    @property
    def label(self) -> str:
        """The calculator, for sentences."""
        given = self.calculator
        own = getattr(given, "__name__", type(given).__name__)
        return f"calculator {given if isinstance(given, str) else own}"

    def of(self, molecule: Molecule) -> "MoleculeAse":
        """The potential of a molecule.

        Raises ConfigError without ASE, when there is no such calculator, when it fails at the
        molecule's positions or has no forces.
        """
        with needing("ase", self.label):
            import ase

        atoms = ase.Atoms(
            numbers=molecule.numbers,
            positions=molecule.positions * ANGSTROM_PER_NM,
            info={"charge": molecule.charge, "spin": 1},  # some count electrons, some multiplets
        )
        atoms.calc = self._made()
        potential = MoleculeAse(atoms)
        try:
            potential.single_point(molecule.positions)
        except NoEnergyError as error:
            raise ConfigError(
                f"{self.label} gives no energy and forces for {molecule.name} ({error}): correct "
                "it, or choose another."
            ) from None
        return potential

    def _made(self) -> Any:
        made: Any = self.calculator
        if isinstance(made, str):
            made = self._imported(made)
        if isinstance(made, type) or not _calculates(made):
            made = self._called(made)
        if not _calculates(made):
            raise ConfigError(
                f"{self.label} returned a {type(made).__name__}, which is no ASE calculator: "
                "return one with energy and forces."
            )
        return made

    def _imported(self, path: str) -> Any:
        module, _, name = path.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{self.label} cannot be imported ({one_line(error)}): give "
                "package.module:callable of a package that is installed, or on PYTHONPATH."
            ) from None
        return found

    def _called(self, factory: Callable[[], Any]) -> Any:
        try:
            return factory()
        except Exception as error:  # the user's own code
            raise ConfigError(
                f"{self.label} could not be called without arguments "
                f"({type(error).__name__}: {one_line(error)}): correct it."
            ) from None


class MoleculeAse(SinglePoints):
    """An ASE calculator, asked for one geometry of a molecule after another."""

    def __init__(self, atoms: Any) -> None:
        """`atoms` is the `ase.Atoms` of the molecule, with its calculator."""
        self._atoms = atoms

    @property
    def identity(self) -> Identity:
        """The calculator's class, its package's version and parameters, atoms and net charge."""
        kind = type(self._atoms.calc)
        parameters = getattr(self._atoms.calc, "parameters", {})
        return {
            "program": "ase",
            "calculator": f"{kind.__module__}.{kind.__qualname__}",
            "version": _version(kind.__module__.partition(".")[0]),
            "parameters": {key: value for key, value in parameters.items() if _is_json(value)},
            "numbers": self._atoms.numbers.tolist(),
            "charge": self._atoms.info["charge"],
        }

    def single_point(self, x: Atoms) -> SinglePoint:
        """Energy and forces at x (nm); NoEnergyError for whatever the calculator raises."""
        self._atoms.positions = x * ANGSTROM_PER_NM
        try:
            forces = np.array(self._atoms.get_forces(), dtype=np.float64)
            energy = float(self._atoms.get_potential_energy())
        except Exception as error:  # every calculator fails in its own way
            raise NoEnergyError(f"{type(error).__name__}: {one_line(error)}") from error
        if forces.shape != x.shape or not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise NoEnergyError("its numbers are not finite, or not three for each atom")
        return energy * KJ_PER_MOL_PER_EV, forces * (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)

    def forget(self) -> None:
        """Have the calculator forget its last geometry, where it can."""
        if hasattr(self._atoms.calc, "reset"):
            self._atoms.calc.reset()


def _calculates(thing: Any) -> bool:
    return hasattr(thing, "get_property") or hasattr(thing, "get_forces")


def _version(package: str) -> str | None:
    """The version of a package that was installed under its own name; None of any other."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True

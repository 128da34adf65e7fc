"""Any ASE calculator: the door to DFT codes and machine-learned potentials.

Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017). ASE counts in Å and eV.
"""

import importlib
from typing import Any, Final

import numpy as np
from jaxtyping import Int

from kstep.errors import ConfigError
from kstep.potentials.python_force import Atoms, Evaluation, NoEnergyError
from kstep.units import ANGSTROM_PER_NM, MEV_PER_KJ_PER_MOL

KJ_PER_MOL_PER_EV: Final = 1000.0 / MEV_PER_KJ_PER_MOL


class AseProgram:
    """An ASE calculator, asked for one geometry after another.

    Attributes:
        retries: 0; what a calculator tries again is its own affair.
    """

    retries = 0

    def __init__(self, calculator: str, numbers: Int[np.ndarray, " N"], x: Atoms) -> None:
        """Ready for positions near x, nm, where the calculator is tried.

        Args:
            calculator: `package.module:callable`, called without arguments.
            numbers: atomic numbers.
            x: nm [N, 3].

        Raises ModuleNotFoundError without ASE, ConfigError when there is no such calculator, it
        fails at x or has no forces.
        """
        from ase import Atoms as Molecule

        self._path = calculator
        self._atoms: Any = Molecule(numbers=numbers, positions=x * ANGSTROM_PER_NM)
        self._atoms.calc = _made(calculator)
        try:
            self(x)
        except NoEnergyError as error:
            raise ConfigError(
                f"potential.calculator {calculator} gives no energy and forces for this molecule "
                f"({error}): correct it, or choose another."
            ) from None

    def __call__(self, x: Atoms) -> Evaluation:
        """Energy and forces at x (nm); NoEnergyError for whatever the calculator raises."""
        self._atoms.positions = x * ANGSTROM_PER_NM
        try:
            forces = np.array(self._atoms.get_forces(), dtype=np.float64)
            energy = float(self._atoms.get_potential_energy())
        except Exception as error:  # every calculator fails in its own way
            raise NoEnergyError(f"{type(error).__name__}: {_one_line(error)}") from error
        if forces.shape != x.shape or not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise NoEnergyError("its numbers are not finite, or not three for each atom")
        return energy * KJ_PER_MOL_PER_EV, forces * (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)

    def forget(self) -> None:
        """Have the calculator forget its last geometry, where it can."""
        if hasattr(self._atoms.calc, "reset"):
            self._atoms.calc.reset()


def _made(path: str) -> Any:
    """What the callable at `package.module:callable` returns."""
    module, _, name = path.partition(":")
    try:
        made: Any = importlib.import_module(module)
        for part in name.split("."):
            made = getattr(made, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"potential.calculator {path} cannot be imported ({_one_line(error)}): give "
            "package.module:callable of a package that is installed, or on PYTHONPATH."
        ) from None
    try:
        calculator = made()
    except Exception as error:  # the user's own code
        raise ConfigError(
            f"potential.calculator {path} could not be called without arguments "
            f"({type(error).__name__}: {_one_line(error)}): correct it."
        ) from None
    if not hasattr(calculator, "get_property") and not hasattr(calculator, "get_forces"):
        raise ConfigError(
            f"potential.calculator {path} returned a {type(calculator).__name__}, which is no ASE "
            "calculator: return one with energy and forces."
        )
    return calculator


def _one_line(error: Exception) -> str:
    """The first line of what an exception says."""
    return next(iter(str(error).strip().splitlines()), "no reason given").rstrip(".")

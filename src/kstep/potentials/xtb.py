"""GFN-xTB, extended tight binding, by tblite.

GFN2: Bannwarth, Ehlert & Grimme, J. Chem. Theory Comput. 15, 1652 (2019); GFN1: Grimme, Bannwarth
& Shushkov, J. Chem. Theory Comput. 13, 1989 (2017); ALPB water: Ehlert, Stahn, Spicher & Grimme,
J. Chem. Theory Comput. 17, 4250 (2021).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, ClassVar, Final

import numpy as np

from kstep.potentials.linear_algebra import load_tblite, on_one_thread
from kstep.potentials.single_point import (
    Atoms,
    NoEnergyError,
    SinglePoint,
    SinglePoints,
    cannot_compute,
    needing,
    one_line,
    require_closed_shell,
)
from kstep.protocols import Identity
from kstep.system.molecule import Molecule

BOHR_PER_NM: Final = 18.8972612462577
KJ_PER_MOL_PER_HARTREE: Final = 2625.4996394799

WAVEFUNCTIONS = 32
"""Wavefunctions kept to start from: enough that replicas that take turns each find their own."""

_USUAL: Final = {"max-iter": 250, "mixer-damping": 0.4, "temperature": 9.5e-4}
_PATIENT: Final = {"max-iter": 1000, "mixer-damping": 0.1, "temperature": 6.4e-3}
"""Iterations, part of the new density mixed in, electronic temperature (Hartree: 300 and 2000 K).

The patient settings lead somewhere from where the usual ones may converge.
"""


@dataclass(frozen=True)
class Xtb:
    """GFN-xTB of closed-shell molecules.

    Attributes:
        method: GFN2-xTB or GFN1-xTB.
        solvent: implicit solvent (ALPB), by tblite's name for it; None: none.
        accuracy: numerical accuracy, tblite's: smaller is finer; energy drifts with more.
    """

    method: str = "GFN2-xTB"
    solvent: str | None = None
    accuracy: float = 0.1
    packages: ClassVar = ("tblite",)

    def of(self, molecule: Molecule) -> "MoleculeXtb":
        """The potential of a molecule at its net charge.

        Raises ConfigError without tblite, MoleculeError when the method lacks an element or
        electrons are left unpaired.
        """
        with needing("xtb", self.method):
            return MoleculeXtb(self, molecule)


gfn1, gfn2 = partial(Xtb, "GFN1-xTB"), partial(Xtb, "GFN2-xTB")


class MoleculeXtb(SinglePoints):
    """GFN-xTB of one molecule, each SCF started from the nearest one before.

    From the wavefunction of a near geometry it converges in 25-40 % fewer cycles than from a
    guess. An SCF that does not converge is tried again from a guess, and then from what patient
    settings converge to; energies are those of the usual settings alone.
    """

    def __init__(self, method: Xtb, molecule: Molecule) -> None:
        load_tblite()
        from tblite.interface import Calculator

        try:
            with on_one_thread():
                self._calculator: Any = Calculator(
                    method.method,
                    molecule.numbers,
                    molecule.positions * BOHR_PER_NM,
                    charge=float(molecule.charge),
                )
                if method.solvent is not None:
                    self._calculator.add("alpb-solvation", method.solvent)
        except (RuntimeError, ValueError) as error:
            raise cannot_compute(molecule, method.method, error) from None
        require_closed_shell(molecule, method.method)
        self._calculator.set("verbosity", 0)
        self._calculator.set("accuracy", method.accuracy)
        self._identity = {
            "program": "tblite",
            "version": version("tblite"),
            "method": method.method,
            "solvent": method.solvent,
            "accuracy": method.accuracy,
            "numbers": molecule.numbers.tolist(),
            "charge": molecule.charge,
        }
        self._places = np.full((WAVEFUNCTIONS, *molecule.positions.shape), np.inf)
        self._wavefunctions: list[Any] = [None] * WAVEFUNCTIONS
        self._oldest = 0

    @property
    def identity(self) -> Identity:
        """Program, version, settings, atoms and net charge."""
        return self._identity

    def single_point(self, x: Atoms) -> SinglePoint:
        """Energy and forces at x (nm); NoEnergyError when atoms collide or no SCF converges."""
        with on_one_thread():
            try:
                self._calculator.update(x * BOHR_PER_NM)
            except RuntimeError as error:
                raise NoEnergyError(one_line(error)) from None
            result = self._converge(x)
        energy = result["energy"] * KJ_PER_MOL_PER_HARTREE
        forces = -result["gradient"] * (KJ_PER_MOL_PER_HARTREE * BOHR_PER_NM)
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise NoEnergyError("the SCF converged to no finite number")
        self._places[self._oldest], self._wavefunctions[self._oldest] = x, result
        self._oldest = (self._oldest + 1) % WAVEFUNCTIONS
        return float(energy), np.asarray(forces)

    def forget(self) -> None:
        """Start the next SCF from a guess."""
        self._places[:] = np.inf
        self._wavefunctions = [None] * WAVEFUNCTIONS
        self._oldest = 0

    def _converge(self, x: Atoms) -> Any:
        """The result at the Calculator's positions, x."""
        nearest = self._nearest(x)
        attempts = [self._from_guess, self._from_patience]
        if nearest is not None:
            attempts.insert(0, partial(self._calculator.singlepoint, nearest, copy=True))
        reason = ""
        for number, attempt in enumerate(attempts):
            self.retries += number > 0
            try:
                return attempt()
            except RuntimeError as error:
                reason = one_line(error)
        raise NoEnergyError(reason)

    def _nearest(self, x: Atoms) -> Any:
        """The wavefunction of the nearest positions, None where there is none."""
        distances = np.einsum("kni,kni->k", self._places - x, self._places - x)
        return self._wavefunctions[int(distances.argmin())]

    def _from_guess(self) -> Any:
        return self._calculator.singlepoint()

    def _from_patience(self) -> Any:
        self._set(_PATIENT)
        try:
            start = self._calculator.singlepoint()
        finally:
            self._set(_USUAL)
        return self._calculator.singlepoint(start)

    def _set(self, settings: Mapping[str, float | int]) -> None:
        for name, value in settings.items():
            self._calculator.set(name, value)

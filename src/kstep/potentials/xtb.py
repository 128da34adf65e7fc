"""GFN-xTB, extended tight binding, by tblite.

GFN2: Bannwarth, Ehlert & Grimme, J. Chem. Theory Comput. 15, 1652 (2019); GFN1: Grimme, Bannwarth
& Shushkov, J. Chem. Theory Comput. 13, 1989 (2017); ALPB water: Ehlert, Stahn, Spicher & Grimme,
J. Chem. Theory Comput. 17, 4250 (2021).
"""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from jaxtyping import Int

from kstep.config import PotentialConfig
from kstep.potentials.linear_algebra import on_one_thread, shared_linear_algebra
from kstep.potentials.python_force import Atoms, Evaluation, NoEnergyError

BOHR_PER_NM: Final = 18.8972612462577
KJ_PER_MOL_PER_HARTREE: Final = 2625.4996394799
_METHODS: Final = {"gfn2-xtb": "GFN2-xTB", "gfn1-xtb": "GFN1-xTB"}

WAVEFUNCTIONS = 32
"""Wavefunctions kept to start from: enough that replicas that take turns each find their own."""

_USUAL: Final = {"max-iter": 250, "mixer-damping": 0.4, "temperature": 9.5e-4}
_PATIENT: Final = {"max-iter": 1000, "mixer-damping": 0.1, "temperature": 6.4e-3}
"""Iterations, part of the new density mixed in, electronic temperature (Hartree: 300 and 2000 K).

The patient settings lead somewhere from where the usual ones may converge.
"""


class Xtb:
    """GFN-xTB of a neutral closed-shell molecule, each SCF started from the nearest one before.

    From the wavefunction of a near geometry it converges in 25-40 % fewer cycles than from a
    guess. An SCF that does not converge is tried again from a guess, and then from what patient
    settings converge to; energies are those of the usual settings alone.

    Attributes:
        retries: how often an SCF had to be tried again.
    """

    def __init__(self, config: PotentialConfig, numbers: Int[np.ndarray, " N"], x: Atoms) -> None:
        """Ready for positions near x, nm.

        Raises ModuleNotFoundError without tblite, ValueError when the method lacks an element.
        """
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # more only slow a small molecule down
        shared_linear_algebra()
        from tblite.interface import Calculator

        try:
            self._calculator: Any = Calculator(_METHODS[config.name], numbers, x * BOHR_PER_NM)
        except RuntimeError as error:
            raise ValueError(_reason(error)) from None
        self._calculator.set("verbosity", 0)
        self._calculator.set("accuracy", config.accuracy)
        if config.solvent == "water":
            self._calculator.add("alpb-solvation", "water")
        self._places = np.full((WAVEFUNCTIONS, *x.shape), np.inf)
        self._wavefunctions: list[Any] = [None] * WAVEFUNCTIONS
        self._oldest = 0
        self.retries = 0

    def __call__(self, x: Atoms) -> Evaluation:
        """Energy and forces at x (nm); NoEnergyError when atoms collide or no SCF converges."""
        try:
            self._calculator.update(x * BOHR_PER_NM)
        except RuntimeError as error:
            raise NoEnergyError(_reason(error)) from None
        with on_one_thread():
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
                reason = _reason(error)
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


def _reason(error: RuntimeError) -> str:
    return str(error).rstrip(".")

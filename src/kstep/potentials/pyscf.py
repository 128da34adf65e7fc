"""Density functional theory with Gaussian basis sets, by PySCF.

Sun et al., J. Chem. Phys. 153, 024109 (2020).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

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
from kstep.potentials.xtb import BOHR_PER_NM, KJ_PER_MOL_PER_HARTREE
from kstep.protocols import Identity
from kstep.system.molecule import Molecule, symbol

CONVERGENCE: Final = 1e-9
"""Hartree, of the SCF: energies to some 1e-5 kJ/mol."""


@dataclass(frozen=True)
class Pyscf:
    """Restricted Kohn-Sham or Hartree-Fock of closed-shell molecules.

    Attributes:
        functional: as PySCF names it; "hf" for Hartree-Fock.
        basis: basis set, as PySCF names it.
        density_fitting: whether Coulomb and exchange are fitted: faster, and off by some 0.1
            kJ/mol that hardly vary.
        dispersion: "d3bj" or "d4", by pyscf-dispersion; None: none.
        grid: level of the integration grid, 0 to 9; forces know how it moves with the atoms.
    """

    functional: str = "pbe"
    basis: str = "def2-svp"
    density_fitting: bool = True
    dispersion: str | None = None
    grid: int = 3
    packages: ClassVar = ("pyscf",)

    def of(self, molecule: Molecule) -> "MoleculePyscf":
        """The potential of a molecule at its net charge.

        Raises ConfigError without PySCF, MoleculeError when functional, basis or dispersion lack
        something and for unpaired electrons.
        """
        require_closed_shell(molecule, f"{self.functional}/{self.basis}")
        with needing("pyscf", "PySCF"):
            return MoleculePyscf(self, molecule)


class MoleculePyscf(SinglePoints):
    """A mean field of one molecule, each SCF started from the density of the one before."""

    def __init__(self, method: Pyscf, molecule: Molecule) -> None:
        import pyscf

        if method.dispersion is not None:
            import pyscf.dispersion
        label = f"{method.functional}/{method.basis}"
        try:
            with _on_one_thread():
                self._field = _mean_field(method, molecule)
        except (RuntimeError, KeyError, ValueError, NotImplementedError) as error:
            raise cannot_compute(molecule, label, error) from None
        self._density: Any = None
        self._identity = {
            "program": "pyscf",
            "version": pyscf.__version__,
            "functional": method.functional,
            "basis": method.basis,
            "density_fitting": method.density_fitting,
            "dispersion": method.dispersion,
            "grid": method.grid,
            "convergence": CONVERGENCE,
            "numbers": molecule.numbers.tolist(),
            "charge": molecule.charge,
        }

    @property
    def identity(self) -> Identity:
        """Program, version, level of theory, atoms and net charge."""
        return self._identity

    def single_point(self, x: Atoms) -> SinglePoint:
        """Energy and forces at x (nm); NoEnergyError when no SCF converges."""
        field = self._field
        with _on_one_thread():
            try:
                field.reset(field.mol.set_geom_(x * BOHR_PER_NM, unit="Bohr", inplace=False))
                energy = self._converged()
                gradient = field.nuc_grad_method()
                gradient.grid_response = hasattr(gradient, "grid_response")
                gradient.verbose = 0
                slope = gradient.kernel()
            except (RuntimeError, np.linalg.LinAlgError) as error:
                raise NoEnergyError(one_line(error)) from None
        self._density = field.make_rdm1()
        forces = -np.asarray(slope) * (KJ_PER_MOL_PER_HARTREE * BOHR_PER_NM)
        return float(energy) * KJ_PER_MOL_PER_HARTREE, forces

    def forget(self) -> None:
        """Start the next SCF from a guess."""
        self._density = None

    def _converged(self) -> float:
        """The energy, from the last density, else from a guess."""
        starts = [None] if self._density is None else [self._density, None]
        for attempt, start in enumerate(starts):
            self.retries += attempt
            energy = self._field.kernel(dm0=start)
            if self._field.converged:
                return float(energy)
        raise NoEnergyError(f"SCF not converged in {self._field.max_cycle} cycles")


def _mean_field(method: Pyscf, molecule: Molecule) -> Any:
    from pyscf import dft, gto, scf

    places = zip(molecule.numbers.tolist(), molecule.positions * BOHR_PER_NM, strict=True)
    mol = gto.M(
        atom=[(symbol(number), place.tolist()) for number, place in places],
        basis=method.basis,
        charge=molecule.charge,
        unit="Bohr",
        verbose=0,
    )
    if method.functional.lower() == "hf":
        field = scf.RHF(mol)
    else:
        field = dft.RKS(mol, xc=method.functional)
        field.grids.level = method.grid
    if method.dispersion is not None:
        field.disp = method.dispersion
    if method.density_fitting:
        field = field.density_fit()
    field.conv_tol = CONVERGENCE
    return field


@contextmanager
def _on_one_thread() -> Iterator[None]:
    """Within, PySCF keeps to one thread, as every process of kstep does."""
    from pyscf import lib

    with lib.with_omp_threads(1):
        yield

"""SO3LR, a machine-learned potential of organic molecules, by so3krates-torch.

Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025). Its weights are in the wheel.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from typing import Any, ClassVar, Final

import numpy as np

from kstep.potentials.calculators import KJ_PER_MOL_PER_EV
from kstep.potentials.single_point import cannot_compute, needing, require_closed_shell
from kstep.protocols import Evaluation, Identity, Replicas
from kstep.system.molecule import Molecule, symbol
from kstep.units import ANGSTROM_PER_NM

ELEMENTS: Final = (1, 6, 7, 8, 9, 15, 16, 17)
"""Those of its training; of any other its weights are what they were before."""

EVERYTHING: Final = 1000.0
"""Å, of the long-range cutoff: no molecule reaches so far, so nothing is cut off."""

BATCH: Final = 64
"""Replicas computed at once."""


@dataclass(frozen=True)
class So3lr:
    """SO3LR in float64, without a cutoff of its long-range terms.

    Attributes:
        device: of torch: cpu or cuda.
    """

    device: str = "cpu"
    packages: ClassVar = ("so3krates-torch",)

    def of(self, molecule: Molecule) -> "MoleculeSo3lr":
        """The potential of a molecule at its net charge.

        Raises ConfigError without so3krates-torch, MoleculeError for an element that it was not
        trained on and for unpaired electrons.
        """
        strange = sorted(set(molecule.numbers.tolist()) - set(ELEMENTS))
        if strange:
            names = ", ".join(symbol(number) for number in strange)
            raise cannot_compute(molecule, "SO3LR", f"it was not trained on {names}")
        require_closed_shell(molecule, "SO3LR")
        with needing("so3lr", "SO3LR"), _at_home():
            return MoleculeSo3lr(_calculator(self.device), molecule, self.device)


class MoleculeSo3lr:
    """SO3LR of one molecule, replicas side by side."""

    def __init__(self, calculator: Any, molecule: Molecule, device: str) -> None:
        """`calculator` is a `SO3LRCalculator`, of which the model is used."""
        import ase
        from so3krates_torch.data.atomic_data import AtomicData
        from so3krates_torch.data.utils import config_from_atoms

        self._model, self._calculator = calculator.models[0], calculator
        self._data, self._config = AtomicData, config_from_atoms
        self._atoms = ase.Atoms(
            numbers=molecule.numbers,
            positions=molecule.positions * ANGSTROM_PER_NM,
            info={"charge": molecule.charge},
        )
        self._device = device
        self._identity = {
            "program": "so3krates-torch",
            "version": version("so3krates-torch"),
            "weights": "so3lr",
            "precision": "float64",
            "device": device,
            "numbers": molecule.numbers.tolist(),
            "charge": molecule.charge,
        }

    @property
    def identity(self) -> Identity:
        """Program, version, weights, precision, device, atoms and net charge."""
        return self._identity

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies and forces at x, nm; NaN for a replica whose positions or energy are none."""
        energies, forces = np.full(len(x), np.nan), np.full(x.shape, np.nan)
        finite = np.flatnonzero(np.isfinite(x).all(axis=(1, 2)))
        for start in range(0, len(finite), BATCH):
            rows = finite[start : start + BATCH]
            with _at_home():
                energies[rows], forces[rows] = self._batch(x[rows])
        return Evaluation(energies, forces)

    def _batch(self, x: Replicas) -> tuple[np.ndarray, np.ndarray]:
        from so3krates_torch.tools import torch_geometric

        batch = torch_geometric.Batch.from_data_list([self._graph(geometry) for geometry in x])
        out = self._model(batch.to(self._device).to_dict(), compute_stress=False)
        energies = out["energy"].detach().cpu().numpy() * KJ_PER_MOL_PER_EV
        forces = out["forces"].detach().cpu().numpy() * (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)
        return energies, forces.reshape(x.shape)

    def _graph(self, x: np.ndarray) -> Any:
        self._atoms.positions = x * ANGSTROM_PER_NM
        calculator = self._calculator
        return self._data.from_config(
            self._config(self._atoms, key_specification=calculator.key_specification),
            z_table=calculator.z_table,
            cutoff=calculator.r_max,
            cutoff_lr=calculator.r_max_lr,
        )


def _calculator(device: str) -> Any:
    from so3krates_torch.calculator.so3 import SO3LRCalculator

    with redirect_stdout(StringIO()):  # it says what dtype it takes
        return SO3LRCalculator(default_dtype="float64", r_max_lr=EVERYTHING, device=device)


@contextmanager
def _at_home() -> Iterator[None]:
    """Within, torch's default is float64, on which its modules count; then all is as it was.

    So is the number of threads, which is one within: for a small molecule two take longer.
    PyTorch's compiler, which is loaded on the way, leaves an environment variable behind.
    """
    import torch

    dtype, threads, environment = torch.get_default_dtype(), torch.get_num_threads(), {*os.environ}
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
        for name in set(os.environ) - environment:
            del os.environ[name]

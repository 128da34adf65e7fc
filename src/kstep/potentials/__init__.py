"""True potentials: methods to choose from, and what the stages make of them.

`Xtb`, `Ase`, `OpenMM`, `So3lr` and `Pyscf` are methods: `method.of(molecule)` is a potential
(`kstep.protocols`), one geometry after another (`single_point`). `choice` makes the one that a
configuration names, `python_force` makes it the force of an OpenMM System with a memory and books,
`minimum` finds local minima of every potential, `checks` what is wrong with one. Programs are
imported when they are needed, and so is everything here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kstep.potentials.calculators import Ase
    from kstep.potentials.checks import check_forces
    from kstep.potentials.choice import make_method, make_potential, programs
    from kstep.potentials.force_field import OpenMM
    from kstep.potentials.minimum import minimise, relax
    from kstep.potentials.pyscf import Pyscf
    from kstep.potentials.python_force import (
        COUNTS,
        CachedPotential,
        PythonSystem,
        counts,
        forget,
        has_python_force,
        stopped,
    )
    from kstep.potentials.so3lr import So3lr
    from kstep.potentials.xtb import Xtb

_PLACES = {
    "calculators": ("Ase",),
    "checks": ("check_forces",),
    "choice": ("make_method", "make_potential", "programs"),
    "force_field": ("OpenMM",),
    "minimum": ("minimise", "relax"),
    "pyscf": ("Pyscf",),
    "python_force": (
        "COUNTS", "CachedPotential", "PythonSystem", "counts", "forget", "has_python_force",
        "stopped",
    ),
    "so3lr": ("So3lr",),
    "xtb": ("Xtb",),
}  # fmt: skip

__all__ = [
    "COUNTS",
    "Ase",
    "CachedPotential",
    "OpenMM",
    "Pyscf",
    "PythonSystem",
    "So3lr",
    "Xtb",
    "check_forces",
    "counts",
    "forget",
    "has_python_force",
    "make_method",
    "make_potential",
    "minimise",
    "programs",
    "relax",
    "stopped",
]


def __getattr__(name: str) -> object:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")

"""True potentials that are programs of their own, made into forces for OpenMM.

`python_force` is what OpenMM calls, with its memory and its books, `xtb` and `calculators` are the
programs (tblite, any ASE calculator), `choice` makes the one that a configuration names, `minimum`
finds local minima of every potential. tblite, ASE and SciPy are imported when they are needed.
"""

from kstep.potentials.choice import make_potential, programs
from kstep.potentials.minimum import minimise, relax
from kstep.potentials.python_force import (
    COUNTS,
    Potential,
    PythonSystem,
    counts,
    forget,
    has_python_force,
    stopped,
)

__all__ = [
    "COUNTS",
    "Potential",
    "PythonSystem",
    "counts",
    "forget",
    "has_python_force",
    "make_potential",
    "minimise",
    "programs",
    "relax",
    "stopped",
]

"""md-kstep: a learned surrogate carries a molecule many steps, the true potential is asked once.

`system`: molecules · `potentials`: true forces · `surrogates`: learned ones · `integrators`: steps
by both · `adaptation`: teaching a surrogate a molecule · `referee`: whether the result can be
trusted · `interop`: OpenMM, files of other programs · `regressed`: networks that return whole
jumps · `workflow`: stages, folders, the command line · `testing`: oracles, and faults to be found.

The names below are imported when they are first used: `import kstep` itself loads nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kstep.interop.openmm_integrator import KStepIntegrator
    from kstep.protocols import Evaluation, Labels, Potential, Surrogate
    from kstep.system.molecule import Molecule
    from kstep.system.trajectory import Trajectory

    __version__: str

_HOMES = {
    "Evaluation": "kstep.protocols",
    "KStepIntegrator": "kstep.interop.openmm_integrator",
    "Labels": "kstep.protocols",
    "Molecule": "kstep.system.molecule",
    "Potential": "kstep.protocols",
    "Surrogate": "kstep.protocols",
    "Trajectory": "kstep.system.trajectory",
}
"""Where the public names are defined."""

__all__ = [
    "Evaluation",
    "KStepIntegrator",
    "Labels",
    "Molecule",
    "Potential",
    "Surrogate",
    "Trajectory",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = importlib.import_module("importlib.metadata").version("md-kstep")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

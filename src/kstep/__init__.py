"""md-kstep: a learned surrogate carries a molecule many steps, the true potential is asked once.

`system`: molecules · `potentials`: true forces · `surrogates`: learned ones · `integrators`: steps
by both · `sampling`: exact ensembles · `adaptation`: teaching a surrogate a molecule · `referee`:
whether the result can be trusted · `interop`: OpenMM, files of other programs · `regressed`:
networks that return whole jumps · `workflow`: stages, folders, the command line · `testing`:
oracles, and faults to be found.

The names below are imported when they are first used: `import kstep` itself loads nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kstep import potentials
    from kstep.adaptation.rounds import AdaptSettings, adapt
    from kstep.interop.openmm_integrator import KStepIntegrator
    from kstep.protocols import Evaluation, Labels, Potential, Surrogate
    from kstep.referee.judgement import judge
    from kstep.sampling.evidence import evidence
    from kstep.sampling.run import SampleSettings, reweight, sample
    from kstep.surrogates.class_two import ClassTwo
    from kstep.surrogates.force_field_like.surrogate import ForceFieldLike
    from kstep.system.molecule import Molecule
    from kstep.system.trajectory import Trajectory

    __version__: str

_HOMES = {
    "AdaptSettings": "kstep.adaptation.rounds",
    "ClassTwo": "kstep.surrogates.class_two",
    "ForceFieldLike": "kstep.surrogates.force_field_like.surrogate",
    "SampleSettings": "kstep.sampling.run",
    "adapt": "kstep.adaptation.rounds",
    "potentials": "kstep.potentials",
    "evidence": "kstep.sampling.evidence",
    "judge": "kstep.referee.judgement",
    "reweight": "kstep.sampling.run",
    "sample": "kstep.sampling.run",
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
    "AdaptSettings",
    "ClassTwo",
    "Evaluation",
    "ForceFieldLike",
    "KStepIntegrator",
    "Labels",
    "Molecule",
    "Potential",
    "SampleSettings",
    "Surrogate",
    "Trajectory",
    "__version__",
    "adapt",
    "evidence",
    "judge",
    "potentials",
    "reweight",
    "sample",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = importlib.import_module("importlib.metadata").version("md-kstep")
    elif name in _HOMES:
        home = importlib.import_module(_HOMES[name])
        value = home if _HOMES[name] == f"{__name__}.{name}" else getattr(home, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

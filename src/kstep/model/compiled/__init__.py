"""The splitting of one molecule as machine code, for the CPU.

The learned potential's coefficients depend on the molecule alone, so that in a run it is a force
field like others, and a jump some hundred thousand multiplications: less than the time torch takes
to call the operations it is written in. Here the same equations stand as loops that Numba compiles,
forces by hand instead of by autograd, in float64, and eight replicas go through them in lockstep.

`lanes`: a number of eight replicas · `functions`: of such numbers · `tables`: a molecule's
coefficients, from torch · `geometry`, `strain`: what they are applied to · `bonded`, `nonbonded`:
forces · `force`: all of them · `rigid`: RATTLE · `jump`: the whole.
"""

from kstep.model.compiled.jump import CompiledJump, Composition
from kstep.model.compiled.rigid import RigidProjection

__all__ = ["CompiledJump", "Composition", "RigidProjection"]

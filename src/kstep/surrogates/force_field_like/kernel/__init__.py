"""The potential of one molecule as machine code, for the CPU.

The coefficients depend on the molecule alone, so that in a run the learned potential is a force
field like others. The equations of `kstep.surrogates.force_field_like` stand here as loops that
Numba compiles, forces by hand instead of by autograd, in float64, eight replicas in lockstep
(`kstep.compiled`).

`tables`: a molecule's coefficients · `geometry`, `strain`: what they are applied to · `bonded`,
`nonbonded`: forces · `force`: all of them · `jump`: drifts and kicks by them.
"""

from kstep.surrogates.force_field_like.kernel.jump import CompiledJump, make_kernel

__all__ = ["CompiledJump", "make_kernel"]

"""md-kstep: learned k-step molecular dynamics with a physics corrector and a verdict.

The stages, in order, each one package and one `run(config, inputs)` function:

`prep` (SMILES → System) → `md` (baseline trajectories) → `dataset` (k-step windows) →
`model` + `train` (the jump) → `hybrid` (jump, correct, guard) → `evaluate` → `report`;
`grid` repeats the last five over k.
"""

from importlib.metadata import version

__version__ = version("md-kstep")

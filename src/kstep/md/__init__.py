"""Baseline molecular dynamics: where the truth comes from. Needs OpenMM alone.

`systems` loads what `prep` made, `integrators` defines the base step, `platforms` finds the
fastest hardware path, `dynamics` is the counted door to the true forces, `sampling` runs one
block, `assembly` writes the NPZ, `stage` runs all molecules.
"""

from kstep.md.stage import run

__all__ = ["run"]

"""Controls: other ways to run plain MD, so that the hybrid is held against the best known.

`respa` prepares Systems, `variants` says what each control is, `timing` times it,
`sampling` runs one replica, `stage` runs all. Needs OpenMM alone.
"""

from kstep.controls.stage import run

__all__ = ["run"]

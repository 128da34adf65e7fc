"""Anybody's trajectory, made ready for the same referee as the hybrid's.

`kstep.interop` reads and checks the files; `folder` writes the molecule, `given` makes it of a
System, `scoring` the trajectory with its true energies, `stage` does all of it. `prepare` makes a
molecule alone, for kstep's own runs under somebody's System.
"""

from kstep.workflow.external.given import prepare
from kstep.workflow.external.stage import Request, run

__all__ = ["Request", "prepare", "run"]

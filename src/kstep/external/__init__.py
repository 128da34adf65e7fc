"""Anybody's trajectory, made ready for the same referee as the hybrid's.

`formats` reads files, `parts` reads topology and System and holds them against each other,
`checks` looks at the frames, `folder` writes the molecule, `scoring` the trajectory with its true
energies, `stage` does all of it.
"""

from kstep.external.stage import Request, run

__all__ = ["Request", "run"]

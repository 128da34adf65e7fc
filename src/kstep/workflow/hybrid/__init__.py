"""The hybrid run of every molecule.

`batches` of replicas in `blocks`, `simulation` of one molecule.
"""

from kstep.workflow.hybrid.stage import run

__all__ = ["run"]

"""The baseline of every molecule, block by block.

`plan`, `baseline`, `assembly`, `motion`, `labelling`.
"""

from kstep.workflow.md.stage import run

__all__ = ["run"]

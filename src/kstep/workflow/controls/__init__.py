"""Plain MD in other ways, for the same referee.

`plan`, `sampling`, `assembly`, `extension`, `timing`.
"""

from kstep.workflow.controls.stage import run

__all__ = ["run"]

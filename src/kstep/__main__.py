"""`python -m kstep` is `kstep`."""

from kstep.workflow.cli.main import entry

entry()

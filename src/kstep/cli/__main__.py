"""`python -m kstep.cli` is `kstep`."""

from kstep.cli.main import entry

entry()

"""The settings of a jump that a network returns whole, for tests of what such jumps go through."""

from pathlib import Path

PROPAGATOR = Path(__file__).parent.parent / "configs" / "propagator"
"""To be given to `load_config` first."""

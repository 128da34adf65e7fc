"""A specialist for one molecule, from a network that knows many.

The start network's own hybrid run says which states matter; true bursts from these states, and
nothing else, train it further. `run` does so for every molecule.
"""

from kstep.adapt.stage import run

__all__ = ["run"]

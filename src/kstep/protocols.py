"""The two nouns of kstep: a *potential*, which is true and dear, and a *surrogate*, which is cheap.

Whoever writes a new one implements a protocol of this module, and passes an object of it; nothing
has to be registered. `kstep.testing.check_potential` and `check_surrogate` say what is wrong with
one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

Replicas = Float[np.ndarray, "R N 3"]
PerReplica = Float[np.ndarray, " R"]

Identity = Mapping[str, object]
"""What decides the numbers that something computes, as JSON: programs, settings, hashes."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Energies and forces of replicas.

    Attributes:
        energies: kJ/mol [R]; NaN where none was found.
        forces: kJ/mol/nm [R, N, 3]; NaN where none were found.
    """

    energies: PerReplica
    forces: Replicas

    @property
    def found(self) -> Bool[np.ndarray, " R"]:
        """Where there are an energy and forces [R]."""
        whole = np.isfinite(self.forces).all(axis=(1, 2))
        return np.asarray(np.isfinite(self.energies) & whole)


@runtime_checkable
class Potential(Protocol):
    """The true potential of one molecule."""

    @property
    def identity(self) -> Identity:
        """What decides its energies: two potentials of one identity give the same numbers."""

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies and forces at x, nm; NaN for a replica whose evaluation failed."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Geometries of one molecule with what the true potential says of them.

    Attributes:
        x: nm [S, N, 3].
        energies: kJ/mol, up to a constant that all share [S].
        forces: kJ/mol/nm [S, N, 3].
    """

    x: Float[np.ndarray, "S N 3"]
    energies: Float[np.ndarray, " S"]
    forces: Float[np.ndarray, "S N 3"]

    def __len__(self) -> int:
        return len(self.x)

    def joined(self, more: "Labels") -> "Labels":
        """These and others."""
        pairs = ((self.x, more.x), (self.energies, more.energies), (self.forces, more.forces))
        return type(self)(*(np.concatenate(pair) for pair in pairs))


@runtime_checkable
class Surrogate(Protocol):
    """A cheap potential of one molecule that learns from labels.

    One that moves replicas faster than by its forces brings `verlet` and `energies` too
    (`kstep.integrators.verlet.Mover`).
    """

    @property
    def identity(self) -> Identity:
        """What decides its energies, and what it learned from."""

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies (up to a constant) and forces, −∂U/∂x, at x, nm."""

    def fit(self, labels: Labels) -> "Surrogate":
        """A surrogate that has learned from labels; this one stays as it is."""

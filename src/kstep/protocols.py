"""The two nouns of kstep: a *potential*, which is true and dear, and a *surrogate*, which is cheap.

Whoever writes a new one implements a protocol of this module, and passes an object of it; nothing
has to be registered. A potential belongs to one molecule; a *method* makes it of any, and is taken
wherever a potential is (`bound`). `kstep.testing.check_potential` and `check_surrogate` say what is
wrong with one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from kstep.system.molecule import Molecule

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
        reasons: why not, without a full stop, by the replica's index; may be left out.
    """

    energies: PerReplica
    forces: Replicas
    reasons: Mapping[int, str] = field(default_factory=dict)

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


@runtime_checkable
class Method(Protocol):
    """What makes the potential of any molecule: a level of theory with its settings."""

    def of(self, molecule: Molecule) -> Potential:
        """The potential of a molecule at its net charge.

        Raises ConfigError when its program is not installed, MoleculeError for a molecule that it
        cannot compute.
        """


def bound(potential: Potential | Method, molecule: Molecule) -> Potential:
    """The potential itself, or what a method makes of the molecule."""
    return potential.of(molecule) if isinstance(potential, Method) else potential


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

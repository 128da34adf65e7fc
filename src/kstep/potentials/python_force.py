"""A potential as the force of an OpenMM System, remembered and counted."""

import sys
import time
from collections import OrderedDict
from typing import Protocol, runtime_checkable

import numpy as np
import openmm
from jaxtyping import Int
from tqdm import tqdm

from kstep.potentials.single_point import Atoms, SinglePoint
from kstep.protocols import Evaluation, Identity, Potential, Replicas

MEMORY = 64
"""Evaluations remembered: those of the last macro-step of as many replicas, and more."""

COUNTS = ("evaluations", "retries", "failures")
"""The books of a CachedPotential, in their order."""

INTERRUPT = "interrupted in a Python force"
"""What OpenMM, which makes an exception of its own of every one, says of an interrupt."""


@runtime_checkable
class Forgetful(Protocol):
    """A potential that starts from what it found before, and may try again.

    Attributes:
        retries: how often an evaluation had to be tried again.
    """

    retries: int

    def forget(self) -> None:
        """Drop what was kept of earlier evaluations."""


class CachedPotential:
    """A potential of one molecule, with a memory and books.

    OpenMM asks for the same positions again: for the energy after the forces, at the start of a
    run, at a state that a refused jump returns to. What was found there is remembered. Where no
    energy is found, and at positions that are no numbers, energy and forces are NaN, which
    every run knows how to deal with; the first time that is said on standard error.

    Attributes:
        source: the potential itself.
        label: which potential of which molecule, for sentences.
        evaluations: how many geometries were evaluated.
        failures: how often there was no energy.
        seconds: wall-clock time spent in the potential.
    """

    def __init__(self, potential: Potential, label: str) -> None:
        self.source = potential
        self._memory: OrderedDict[bytes, SinglePoint] = OrderedDict()
        self.label = label
        self.evaluations = 0
        self.failures = 0
        self.seconds = 0.0

    @property
    def identity(self) -> Identity:
        """That of the potential itself."""
        return self.source.identity

    def __call__(self, x: Atoms) -> SinglePoint:
        """Energy and forces at one geometry x (nm)."""
        key = x.tobytes()
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        found = self._computed(x)
        self._memory[key] = found
        if len(self._memory) > MEMORY:
            self._memory.popitem(last=False)
        return found

    def evaluate(self, x: Replicas) -> Evaluation:
        """Energies and forces at x, nm; NaN for a replica whose evaluation failed."""
        found = [self(geometry) for geometry in x]
        energies = np.array([energy for energy, _ in found], dtype=np.float64)
        return Evaluation(energies, np.array([forces for _, forces in found]).reshape(x.shape))

    def forget(self) -> None:
        """Drop all memory, so that what follows depends on no past.

        A program may start from what it found before, which decides the last digits of what it
        finds next: a run that must give the same bytes when it is resumed forgets where it may be
        cut.
        """
        self._memory.clear()
        if isinstance(self.source, Forgetful):
            self.source.forget()

    @property
    def retries(self) -> int:
        """How often an evaluation had to be tried again."""
        return self.source.retries if isinstance(self.source, Forgetful) else 0

    @property
    def counts(self) -> Int[np.ndarray, " 3"]:
        """What `COUNTS` names, so far."""
        return np.array([self.evaluations, self.retries, self.failures], dtype=np.int64)

    def compute(self, state: openmm.State) -> SinglePoint:
        """Energy and forces of a State: what `openmm.PythonForce` calls."""
        try:
            return self(np.array(state.getPositions(asNumpy=True)._value))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(INTERRUPT) from None

    def _computed(self, x: Atoms) -> SinglePoint:
        if not np.isfinite(x).all():
            return float("nan"), np.full(x.shape, np.nan)
        self.evaluations += 1
        began = time.perf_counter()
        found = self.source.evaluate(x[None])
        self.seconds += time.perf_counter() - began
        if found.found[0]:
            return float(found.energies[0]), found.forces[0]
        self.failures += 1
        if self.failures == 1:
            reason = found.reasons.get(0, "it does not say why")
            sentence = f"warning: {self.label} has no energy at a geometry: {reason}."
            tqdm.write(sentence, file=sys.stderr)
        return float("nan"), np.full(x.shape, np.nan)


class PythonSystem(openmm.System):
    """Masses and constraints of another System, with the forces of a CachedPotential.

    Attributes:
        potential: where the forces come from.
    """

    def __init__(self, other: openmm.System, potential: CachedPotential) -> None:
        super().__init__()
        self.potential = potential
        for index in range(other.getNumParticles()):
            self.addParticle(other.getParticleMass(index))
        for index in range(other.getNumConstraints()):
            self.addConstraint(*other.getConstraintParameters(index))
        self.addForce(openmm.PythonForce(potential.compute))


def forget(system: openmm.System) -> None:
    """Have the potential of a System forget; there is nothing to do for any other System."""
    if isinstance(system, PythonSystem):
        system.potential.forget()


def counts(system: openmm.System) -> Int[np.ndarray, " 3"]:
    """What `COUNTS` names of the potential of a System; zeros for any other System."""
    none = np.zeros(len(COUNTS), dtype=np.int64)
    return system.potential.counts if isinstance(system, PythonSystem) else none


def has_python_force(system: openmm.System) -> bool:
    """Whether Python computes forces of a System."""
    return any(isinstance(force, openmm.PythonForce) for force in system.getForces())


def stopped(error: openmm.OpenMMException, otherwise: Exception) -> BaseException:
    """What to raise for an exception of OpenMM's: the interrupt that it was, or `otherwise`."""
    return KeyboardInterrupt() if INTERRUPT in str(error) else otherwise

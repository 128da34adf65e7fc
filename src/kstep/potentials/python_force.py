"""A Python program as the force of an OpenMM System."""

import sys
import time
from collections import OrderedDict
from typing import Protocol, runtime_checkable

import numpy as np
import openmm
from jaxtyping import Float, Int
from tqdm import tqdm

Atoms = Float[np.ndarray, "N 3"]
Evaluation = tuple[float, Atoms]
"""Energy, kJ/mol, and forces, kJ/mol/nm [N, 3]."""

MEMORY = 64
"""Evaluations remembered: those of the last macro-step of as many replicas, and more."""

COUNTS = ("evaluations", "retries", "failures")
"""The books of a Potential, in their order."""

INTERRUPT = "interrupted in a Python force"
"""What OpenMM, which makes an exception of its own of every one, says of an interrupt."""


class NoEnergyError(Exception):
    """A program found no energy at some positions; the message says why, without a full stop."""


@runtime_checkable
class Program(Protocol):
    """What computes energy and forces at positions in nm.

    Attributes:
        retries: how often an evaluation had to be tried again.
    """

    retries: int

    def __call__(self, x: Atoms) -> Evaluation:
        """Energy and forces at x; NoEnergyError where there are none."""

    def forget(self) -> None:
        """Drop what was kept of earlier evaluations."""


class Potential:
    """The true potential of one molecule, with a memory and books.

    OpenMM asks for the same positions again: for the energy after the forces, at the start of a
    run, at a state that a refused jump returns to. What was found there is remembered. Where the
    program finds no energy, and at positions that are no numbers, energy and forces are NaN, which
    every run knows how to deal with; the first time that is said on standard error.

    Attributes:
        label: which potential of which molecule, for sentences.
        evaluations: how often the program was called.
        failures: how often it found no energy.
        seconds: wall-clock time spent in the program.
    """

    def __init__(self, program: Program, label: str) -> None:
        self._program = program
        self._memory: OrderedDict[bytes, Evaluation] = OrderedDict()
        self.label = label
        self.evaluations = 0
        self.failures = 0
        self.seconds = 0.0

    def __call__(self, x: Atoms) -> Evaluation:
        """Energy and forces at x (nm)."""
        key = x.tobytes()
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        found = self._evaluate(x)
        self._memory[key] = found
        if len(self._memory) > MEMORY:
            self._memory.popitem(last=False)
        return found

    def forget(self) -> None:
        """Drop all memory, so that what follows depends on no past.

        A program may start from what it found before, which decides the last digits of what it
        finds next: a run that must give the same bytes when it is resumed forgets where it may be
        cut.
        """
        self._memory.clear()
        self._program.forget()

    @property
    def counts(self) -> Int[np.ndarray, " 3"]:
        """What `COUNTS` names, so far."""
        return np.array([self.evaluations, self._program.retries, self.failures], dtype=np.int64)

    def compute(self, state: openmm.State) -> Evaluation:
        """Energy and forces of a State: what `openmm.PythonForce` calls."""
        try:
            return self(np.array(state.getPositions(asNumpy=True)._value))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(INTERRUPT) from None

    def _evaluate(self, x: Atoms) -> Evaluation:
        nothing = float("nan"), np.full(x.shape, np.nan)
        if not np.isfinite(x).all():
            return nothing
        self.evaluations += 1
        began = time.perf_counter()
        try:
            return self._program(x)
        except NoEnergyError as error:
            self.failures += 1
            if self.failures == 1:
                sentence = f"warning: {self.label} has no energy at a geometry: {error}."
                tqdm.write(sentence, file=sys.stderr)
            return nothing
        finally:
            self.seconds += time.perf_counter() - began


class PythonSystem(openmm.System):
    """Masses and constraints of another System, with the forces of a Potential.

    Attributes:
        potential: where the forces come from.
    """

    def __init__(self, other: openmm.System, potential: Potential) -> None:
        super().__init__()
        self.potential = potential
        for index in range(other.getNumParticles()):
            self.addParticle(other.getParticleMass(index))
        for index in range(other.getNumConstraints()):
            self.addConstraint(*other.getConstraintParameters(index))
        self.addForce(openmm.PythonForce(potential.compute))


def forget(system: openmm.System) -> None:
    """Have the Potential of a System forget; there is nothing to do for any other System."""
    if isinstance(system, PythonSystem):
        system.potential.forget()


def counts(system: openmm.System) -> Int[np.ndarray, " 3"]:
    """What `COUNTS` names of the Potential of a System; zeros for any other System."""
    none = np.zeros(len(COUNTS), dtype=np.int64)
    return system.potential.counts if isinstance(system, PythonSystem) else none


def has_python_force(system: openmm.System) -> bool:
    """Whether Python computes forces of a System."""
    return any(isinstance(force, openmm.PythonForce) for force in system.getForces())


def stopped(error: openmm.OpenMMException, otherwise: Exception) -> BaseException:
    """What to raise for an exception of OpenMM's: the interrupt that it was, or `otherwise`."""
    return KeyboardInterrupt() if INTERRUPT in str(error) else otherwise

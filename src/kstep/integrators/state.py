"""Phase-space states of several replicas, and the interface of a jump."""

from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from kstep.config import Landing
from kstep.system.mechanics import kinetic_energy

Replicas = Float[np.ndarray, "R N 3"]
Chosen = Bool[np.ndarray, " R"] | Int[np.ndarray, " r"]
"""Replicas, by a mask or by their numbers."""


@runtime_checkable
class Jump(Protocol):
    """Any map over k base steps: a trained network, or an oracle from `kstep.testing`.

    With landing `step` it returns the state at t + k·dt. With landing `half_step` it returns
    what velocity Verlet holds half a step later: the velocity over the step after t + k·dt and
    the point half-way along that step (see `correctors.drift_kick_drift`). With landing
    `closing_kick` it returns the state at t + k·dt, constraints satisfied, but for the kick by
    the true force that closes it (see `correctors.closing_kick`).
    """

    @property
    def k_steps(self) -> int:
        """Base steps per jump."""

    @property
    def landing(self) -> Landing:
        """Where the jump ends."""

    @property
    def closing_ps(self) -> float:
        """Weight of the true force in the kick that closes the jump, ps; 0 where none does."""

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """(x, v) after the jump from states with known true forces; nm, nm/ps, kJ/mol/nm."""


@dataclass(frozen=True, eq=False)
class PhaseState:
    """R replicas of one molecule, each with the true force and energy at its positions.

    Attributes:
        x: nm [R, N, 3].
        v: nm/ps [R, N, 3], at the same instant.
        forces: kJ/mol/nm [R, N, 3].
        epot: kJ/mol [R].
        debt: change of the total energy that is not the thermostat's doing, as far as the
            thermostat has not yet taken it back, kJ/mol [R]; in NVE the change since the start.
    """

    x: Replicas
    v: Replicas
    forces: Replicas
    epot: Float[np.ndarray, " R"]
    debt: Float[np.ndarray, " R"]

    @property
    def n_replicas(self) -> int:
        """R."""
        return len(self.x)

    def of(self, chosen: Chosen) -> "PhaseState":
        """Some of the replicas."""
        return PhaseState(*(getattr(self, part.name)[chosen] for part in fields(self)))

    def with_others(self, chosen: Chosen, others: "PhaseState") -> "PhaseState":
        """The state with some replicas replaced."""
        parts = {part.name: getattr(self, part.name).copy() for part in fields(self)}
        for name, values in parts.items():
            values[chosen] = getattr(others, name)
        return PhaseState(**parts)

    def etot(self, masses: Float[np.ndarray, " N"]) -> Float[np.ndarray, " R"]:
        """Total energy, kJ/mol [R]."""
        return np.asarray(self.epot + kinetic_energy(self.v, masses))

"""Jumps whose right answer is known, to test the hybrid without a trained network.

With the exact jump every departure from the baseline is the hybrid's own fault; with free
flight or NaN every departure is the guard's to catch.
"""

from dataclasses import dataclass

import numpy as np

from kstep.config import Landing
from kstep.integrators.state import Replicas
from kstep.integrators.true_dynamics import TrueDynamics


@dataclass(frozen=True)
class ExactJump:
    """k true steps of velocity Verlet.

    Give it a `TrueDynamics` of its own: its force calls are the oracle's, not the hybrid's.
    """

    dynamics: TrueDynamics
    k_steps: int
    landing: Landing = "step"

    @property
    def closing_ps(self) -> float:
        """Weight of the true force in the last half kick, where that is left to the corrector."""
        return 0.5 * self.dynamics.dt_ps if self.landing == "closing_kick" else 0.0

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """(x, v) after k steps, or half a step later, or without the last half kick."""
        landed = [self._one(a, b) for a, b in zip(x, v, strict=True)]
        return np.stack([a for a, _ in landed]), np.stack([b for _, b in landed])

    def _one(self, x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        end = self.dynamics.steps(x, v, self.k_steps)
        if self.landing == "step":
            return end.x, end.v
        if self.landing == "closing_kick":
            return end.x, _kicked(self.dynamics, end.x, end.v, -self.closing_ps * end.forces)
        following = self.dynamics.more_steps(1)
        return 0.5 * (end.x + following.x), (following.x - end.x) / self.dynamics.dt_ps


@dataclass(frozen=True)
class MistakenJump:
    """Velocity Verlet under a System that is not the true one, between true half kicks.

    Like a splitting it is reversible and keeps volume, however wrong the System, and opens and
    closes with the true force: a proposal for exact sampling that is as bad as one likes.

    Attributes:
        dynamics: of the mistaken System, at a time step that need not be the base step.
        drifts: steps of that.
        k_steps: base steps that the jump stands for.
    """

    dynamics: TrueDynamics
    drifts: int
    k_steps: int
    landing: Landing = "closing_kick"

    @property
    def closing_ps(self) -> float:
        """Half a step."""
        return 0.5 * self.dynamics.dt_ps

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """(x, v) after the last drift."""
        landed = [self._one(*state) for state in zip(x, v, forces, strict=True)]
        return np.stack([a for a, _ in landed]), np.stack([b for _, b in landed])

    def _one(
        self, x: np.ndarray, v: np.ndarray, true_forces: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        dynamics, half = self.dynamics, self.closing_ps
        mistaken, _ = dynamics.evaluate(x)
        v = _kicked(dynamics, x, v, half * (true_forces - mistaken))
        end = dynamics.steps(x, v, self.drifts)
        return end.x, _kicked(dynamics, end.x, end.v, -half * end.forces)


@dataclass(frozen=True)
class FreeFlight:
    """No forces at all: x + τ v."""

    dt_ps: float
    k_steps: int
    landing: Landing = "step"
    closing_ps: float = 0.0

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """(x + τ v, v)."""
        steps = self.k_steps + (0.5 if self.landing == "half_step" else 0.0)
        return x + steps * self.dt_ps * v, v.copy()


@dataclass(frozen=True)
class NaNJump:
    """A network that has lost its mind."""

    k_steps: int
    landing: Landing = "step"
    closing_ps: float = 0.0

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """Nothing but NaN."""
        return np.full_like(x, np.nan), np.full_like(v, np.nan)


@dataclass(frozen=True)
class NoisyJump:
    """Another jump with Gaussian noise on where it lands, as from an imperfect network."""

    jump: ExactJump
    position_noise: float
    velocity_noise: float
    rng: np.random.Generator

    @property
    def k_steps(self) -> int:
        """Base steps per jump."""
        return self.jump.k_steps

    @property
    def landing(self) -> Landing:
        """Where the jump ends."""
        return self.jump.landing

    @property
    def closing_ps(self) -> float:
        """Weight of the true force in the kick that closes the jump, ps."""
        return self.jump.closing_ps

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """The exact landing plus noise of the given widths (nm, nm/ps).

        A landing that no corrector constrains is put back on the constraints.
        """
        landed_x, landed_v = self.jump(x, v, forces)
        landed_x = landed_x + self.position_noise * self.rng.standard_normal(x.shape)
        landed_v = landed_v + self.velocity_noise * self.rng.standard_normal(v.shape)
        if self.landing != "closing_kick":
            return landed_x, landed_v
        dynamics = self.jump.dynamics
        landed_x = dynamics.constrain_all_positions(landed_x)
        return landed_x, dynamics.constrain_all_velocities(landed_x, landed_v)


def _kicked(
    dynamics: TrueDynamics, x: np.ndarray, v: np.ndarray, impulses: np.ndarray
) -> np.ndarray:
    """V after impulses (kJ/mol/nm·ps), along the constraints at x."""
    return dynamics.constrain_velocities(x, v + impulses / dynamics.masses[:, None])

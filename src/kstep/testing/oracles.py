"""Jumps whose right answer is known, to test the hybrid without a trained network.

With the exact jump every departure from the baseline is the hybrid's own fault; with free
flight or NaN every departure is the guard's to catch.
"""

from dataclasses import dataclass

import numpy as np

from kstep.config import Landing
from kstep.hybrid.state import Replicas
from kstep.md.dynamics import TrueDynamics


@dataclass(frozen=True)
class ExactJump:
    """k true steps of velocity Verlet.

    Give it a `TrueDynamics` of its own: its force calls are the oracle's, not the hybrid's.
    """

    dynamics: TrueDynamics
    k_steps: int
    landing: Landing = "step"

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """(x, v) after k steps, or half a step later."""
        landed = [self._one(a, b) for a, b in zip(x, v, strict=True)]
        return np.stack([a for a, _ in landed]), np.stack([b for _, b in landed])

    def _one(self, x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        end = self.dynamics.steps(x, v, self.k_steps)
        if self.landing == "step":
            return end.x, end.v
        following = self.dynamics.more_steps(1)
        return 0.5 * (end.x + following.x), (following.x - end.x) / self.dynamics.dt_ps


@dataclass(frozen=True)
class FreeFlight:
    """No forces at all: x + τ v."""

    dt_ps: float
    k_steps: int
    landing: Landing = "step"

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """(x + τ v, v)."""
        steps = self.k_steps + (0.5 if self.landing == "half_step" else 0.0)
        return x + steps * self.dt_ps * v, v.copy()


@dataclass(frozen=True)
class NaNJump:
    """A network that has lost its mind."""

    k_steps: int
    landing: Landing = "step"

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

    def __call__(self, x: Replicas, v: Replicas, forces: Replicas) -> tuple[Replicas, Replicas]:
        """The exact landing plus noise of the given widths (nm, nm/ps)."""
        landed_x, landed_v = self.jump(x, v, forces)
        return (
            landed_x + self.position_noise * self.rng.standard_normal(x.shape),
            landed_v + self.velocity_noise * self.rng.standard_normal(v.shape),
        )

"""How good a map the macro-step is: reversible, volume-preserving, symplectic, well guarded?

Measured is the whole macro-step as a run applies it (jump, conservation, constraints,
corrector), without guard, rescaling and thermostat, which are there to hide its faults. For true
dynamics (velocity Verlet with RATTLE) reversal errors, log|det J| and symplectic defect are 0.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from kstep.config import GuardConfig, HybridConfig
from kstep.integrators.correctors import true_steps
from kstep.integrators.outer_step import Attempt, MacroStep
from kstep.integrators.state import Jump, Replicas
from kstep.integrators.true_dynamics import Atoms, TrueDynamics
from kstep.units import BOLTZMANN

CHUNK = 128
"""States of one network call."""
STEP = 0.003
"""Displacement of the differences, in parts of a coordinate's thermal momentum: the error of true
dynamics is then 3e-6 in log|det J|, that of a network's float32 about 5e-4."""

Pairs = Int[np.ndarray, "C 2"]
PerState = Float[np.ndarray, " R"]


@dataclass(frozen=True, eq=False)
class GuardCalibration:
    """The guard's opinion of macro-steps beside the truth.

    Attributes:
        energy: size of the change of the total energy, kJ/mol.
        refused: whether energy or displacement would have had the jump refused.
        error_x, error_v: mass-weighted RMS deviation from true dynamics, in parts of what the
            forces change: of x' − x − τv and of v' − v.
    """

    energy: PerState
    refused: Bool[np.ndarray, " R"]
    error_x: PerState
    error_v: PerState


class BareMap:
    """The macro-step of one molecule as a map (x, v) → (x', v').

    Where it does not lead to finite numbers every measure of it is infinite.
    """

    def __init__(
        self, jump: Jump, dynamics: TrueDynamics, config: HybridConfig, constraints: Pairs
    ) -> None:
        """`constraints` are the pairs of atoms at fixed distance."""
        self._jump = jump
        self._dynamics = dynamics
        self._config = config
        self._constraints = constraints
        self._base_steps = MacroStep.base_steps_of(jump, config)
        self._duration = self._base_steps * dynamics.dt_ps

    def reversal(self, x: Replicas, v: Replicas) -> tuple[PerState, PerState]:
        """What map, flip of velocities, map and flip leave of a state, in x and in v.

        RMS(x'' − x) / RMS(x' − x − τv) and RMS(v'' − v) / RMS(v' − v).
        """
        there_x, there_v = self._apply(x, v)
        back_x, back_v = self._apply(there_x, -there_v)
        even = np.ones(x.shape[1])
        curved = there_x - x - self._duration * v
        return _ratio(back_x - x, curved, even), _ratio(back_v + v, there_v - v, even)

    def jacobian(self, x: Atoms, v: Atoms, temperature: float) -> Float[np.ndarray, "D D"]:
        """Derivative of the map at (x, v) on the constraint manifold, by central differences.

        In q = √m x and p = τ√m v (τ the macro-step, so that both have one unit) the phase space
        is the tangent bundle of the manifold. Of a displacement (δq, δp) on it δq is tangential.
        The part of δp normal to the manifold follows from δq and, being normal to any other
        δq', drops out of ω = δq·δp' − δq'·δp. So the tangential parts of δq and δp, in
        orthonormal bases of the tangent spaces at start and end, are canonical coordinates: the
        map is symplectic where JᵀΩJ = Ω, and keeps the Liouville volume where |det J| = 1.

        Args:
            x: nm, on the manifold.
            v: nm/ps, tangential.
            temperature: K, which sets the size of the differences.
        """
        masses = self._dynamics.masses
        weight = np.sqrt(masses)[:, None]
        start = tangent_basis(x, masses, self._constraints)
        size = STEP * self._duration * math.sqrt(BOLTZMANN * temperature)
        shifts = size / weight * np.concatenate([start, -start])
        moved = self._dynamics.constrain_all_positions(x + shifts)
        turned = self._dynamics.constrain_all_velocities(moved, np.broadcast_to(v, moved.shape))
        unmoved = np.broadcast_to(x, shifts.shape)
        kicked = v + shifts / self._duration
        end_x, end_v = self._apply(
            np.concatenate([moved, unmoved]), np.concatenate([turned, kicked])
        )
        centre, _ = self._apply(x[None], v[None])
        if not (np.isfinite(end_x).all() and np.isfinite(centre).all()):
            return np.full((2 * len(start), 2 * len(start)), np.inf)
        end = tangent_basis(centre[0], masses, self._constraints)
        rows = []
        for mapped in (weight * end_x, self._duration * weight * end_v):
            ends = mapped.reshape(2, 2, *start.shape)  # displaced in x or v, there or back
            slopes = (ends[:, 0] - ends[:, 1]) / (2 * size)
            rows.append(np.einsum("eni,bdni->ebd", end, slopes).reshape(len(start), -1))
        return np.concatenate(rows)

    def guard_calibration(self, x: Replicas, v: Replicas) -> GuardCalibration:
        """The configured guard (its bound on the energy debt aside) held against the truth."""
        masses = self._dynamics.masses
        strict = self._config.guard.model_copy(update={"enabled": True, "max_energy_debt": np.inf})
        guarded = self._attempts(x, v, strict)
        free = self._attempts(x, v, GuardConfig(enabled=False))
        landed_x, landed_v = _landings(free)
        true = true_steps(self._dynamics, x, v, self._base_steps)
        curved = true.x - x - self._duration * v
        accepted = np.concatenate([attempt.accepted for attempt in guarded])
        energy = np.concatenate([attempt.error for attempt in free])
        finite = np.concatenate([attempt.accepted for attempt in free])
        return GuardCalibration(
            energy=np.where(finite, np.abs(energy), np.inf),
            refused=~accepted,
            error_x=_ratio(landed_x - true.x, curved, masses),
            error_v=_ratio(landed_v - true.v, true.v - v, masses),
        )

    def _apply(self, x: Replicas, v: Replicas) -> tuple[Replicas, Replicas]:
        return _landings(self._attempts(x, v, GuardConfig(enabled=False)))

    def _attempts(self, x: Replicas, v: Replicas, guard: GuardConfig) -> list[Attempt]:
        config = self._config.model_copy(update={"guard": guard})
        attempts = []
        for first in range(0, len(x), CHUNK):
            some = slice(first, first + CHUNK)
            macro_step = MacroStep(self._jump, self._dynamics, config, len(x[some]))
            attempts.append(macro_step.attempt(macro_step.start(x[some], v[some])))
        return attempts


def tangent_basis(x: Atoms, masses: Float[np.ndarray, " N"], pairs: Pairs) -> Replicas:
    """Orthonormal basis of the mass-weighted displacements that keep `pairs` at their distance.

    Shape [3N − C, N, 3].
    """
    arms = x[pairs[:, 0]] - x[pairs[:, 1]]
    gradients = np.zeros((len(pairs), len(x), 3))
    rows = np.arange(len(pairs))
    for column, sign in ((0, 1.0), (1, -1.0)):
        atoms = pairs[:, column]
        gradients[rows, atoms] = sign * arms / np.sqrt(masses[atoms])[:, None]
    _, _, directions = np.linalg.svd(gradients.reshape(len(pairs), x.size))
    return np.asarray(directions[len(pairs) :].reshape(-1, *x.shape))


def volume_and_defect(jacobian: Float[np.ndarray, "D D"]) -> tuple[float, float]:
    """log|det J| and ‖JᵀΩJ − Ω‖ / ‖Ω‖ (Frobenius); infinite where J is."""
    if not np.isfinite(jacobian).all():
        return math.inf, math.inf
    half = len(jacobian) // 2
    one, none = np.eye(half), np.zeros((half, half))
    omega = np.block([[none, one], [-one, none]])
    defect = np.linalg.norm(jacobian.T @ omega @ jacobian - omega) / np.linalg.norm(omega)
    return float(np.linalg.slogdet(jacobian)[1]), float(defect)


def _landings(attempts: list[Attempt]) -> tuple[Replicas, Replicas]:
    """(x, v) that the map leads to, NaN where it leads to nothing finite."""
    finite = np.concatenate([attempt.accepted for attempt in attempts])[:, None, None]
    x, v = (
        np.concatenate([getattr(attempt.state, name) for attempt in attempts])
        for name in ("x", "v")
    )
    return np.where(finite, x, np.nan), np.where(finite, v, np.nan)


def _ratio(error: Replicas, change: Replicas, weights: Float[np.ndarray, " N"]) -> PerState:
    """Weighted RMS of an error in parts of that of a change; infinite where not finite."""
    squares = [np.einsum("rni,n->r", array**2, weights) for array in (error, change)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(squares[0] / squares[1])
    return np.where(np.isfinite(ratio), ratio, np.inf)

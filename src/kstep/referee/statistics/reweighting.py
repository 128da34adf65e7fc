"""What the true potential says of an ensemble that its surrogate has drawn.

D = U_true − U_surrogate at frames of the surrogate's ensemble tells how far the two ensembles are
apart, which distributions of single coordinates show much later. Up to a constant it is all that
the weights exp(−D/k_B T) depend on, by which averages over these frames become averages over the
true ensemble.
"""

from dataclasses import dataclass
from math import erfc, log10

import numpy as np
from arviz_stats.base import array_stats
from jaxtyping import Float

from kstep.errors import SimulationError
from kstep.referee.statistics.estimates import Uncertain, correlated_mean
from kstep.units import BOLTZMANN

HIGHEST_PARETO_K = 0.7
"""Weights whose tail is heavier converge too slowly to be of use."""

FEWEST_FRAMES = 25
"""A fifth of the frames are the tail, and its shape takes five."""

Chains = Float[np.ndarray, "C F"]


@dataclass(frozen=True, eq=False)
class Weights:
    """How much every frame of a surrogate's ensemble counts in the true one.

    Attributes:
        values: weights, which add up to 1 [C, F].
        effective_fraction: 1 / (n Σw²) of n frames: as many equal weights know as much (Kish).
        spread: standard deviation of D, k_B T.
        predicted_acceptance: erfc(spread / 2), the share that a Metropolis test of independent
            frames accepts where D is normal.
        pareto_k: shape k̂ of the tail of the weights, of which moments up to 1/k exist (Vehtari,
            Simpson, Gelman, Yao & Gabry, J. Mach. Learn. Res. 25, 72 (2024)); ∞ from too few
            frames to tell, −∞ where the largest weights are all the same.
    """

    values: Chains
    effective_fraction: float
    spread: float
    predicted_acceptance: float
    pareto_k: float

    @property
    def reliable(self) -> bool:
        """Whether averages by these weights can be believed: k̂ is below min(0.7, 1 − 1/lg n)."""
        return self.pareto_k < min(HIGHEST_PARETO_K, 1.0 - 1.0 / log10(max(self.values.size, 2)))


@dataclass(frozen=True)
class Reweighted:
    """Averages of one observable.

    Attributes:
        surrogate: over the frames as they were drawn.
        true: over the true ensemble.
        shift: true minus surrogate, of which the error is less than those of the two apart.
    """

    surrogate: Uncertain
    true: Uncertain
    shift: Uncertain


def weigh(differences: Chains, temperature: float) -> Weights:
    """Weights of frames drawn from a surrogate's ensemble.

    Args:
        differences: U_true − U_surrogate, up to a constant, kJ/mol; frames of a chain in order.
        temperature: of both ensembles, K.

    Raises SimulationError where a difference is not finite.
    """
    if not np.isfinite(differences).all():
        count = int((~np.isfinite(differences)).sum())
        raise SimulationError(
            f"{count} of {differences.size} frames have no finite difference of true and "
            "surrogate energy: leave them out, or start from frames that both can evaluate."
        )
    reduced = differences / (BOLTZMANN * temperature)
    values = np.exp(reduced.min() - reduced)
    values /= values.sum()
    spread = float(reduced.std())
    return Weights(
        values=values,
        effective_fraction=float(1.0 / (values.size * (values**2).sum())),
        spread=spread,
        predicted_acceptance=erfc(spread / 2.0),
        pareto_k=_pareto_k(reduced, values),
    )


def reweighted_mean(values: Chains, weights: Weights) -> Reweighted:
    """Averages of an observable over the surrogate's and over the true ensemble.

    Errors are those of blocks of correlated frames; of ratios of averages to first order.

    Args:
        values: the observable at the frames that were weighed.
        weights: of these frames.
    """
    plain = correlated_mean(list(values))
    mean = float((weights.values * values).sum())
    # Of each frame, how much the ratio of averages would change if it counted more.
    influence = weights.values.size * weights.values * (values - mean)
    return Reweighted(
        surrogate=plain,
        true=_with_error(mean, influence),
        shift=_with_error(mean - plain.value, influence - (values - plain.value)),
    )


def _with_error(value: float, influence: Chains) -> Uncertain:
    found = correlated_mean(list(influence))
    return Uncertain(value, found.error, found.dof)


def _pareto_k(reduced: Chains, weights: Chains) -> float:
    """Shape of a generalised Pareto distribution fitted to the largest weights."""
    if reduced.size < FEWEST_FRAMES:
        return np.inf
    ordered = np.sort(reduced, axis=None)
    if ordered[0] == ordered[reduced.size // 5]:
        return -np.inf
    with np.errstate(all="ignore"):
        independent = float(array_stats.ess(weights, method="mean", relative=True))
    share = min(independent, 1.0) if np.isfinite(independent) and independent > 0.0 else 1.0
    with np.errstate(all="ignore"):  # weights that are equal but for rounding
        _, shape = array_stats.psislw(reduced - ordered[0], r_eff=share, axis=(0, 1))
    return float(shape)

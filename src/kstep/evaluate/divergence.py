"""Divergences of binned distributions, judged against what sampling noise alone would give.

Two finite samples of one distribution never have divergence zero. How large it is by chance is
measured on the baseline: cut into blocks, all ways to form two halves of them are compared.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Float

PSEUDO_COUNT = 0.5
"""Added to every bin (Jeffreys' prior), so that an empty bin is improbable, not impossible."""

BLOCKS = 10
"""Blocks of the baseline: 126 different pairs of halves."""

Counts = Float[np.ndarray, " bins"]


def _probabilities(counts: Counts, occupied: np.ndarray) -> Float[np.ndarray, " _"]:
    smoothed = counts[occupied] + PSEUDO_COUNT
    return np.asarray(smoothed / smoothed.sum())


def kullback_leibler(p_counts: Counts, q_counts: Counts) -> float:
    """KL(p ‖ q) in nats over the bins that either occupies: zero for equal histograms."""
    occupied = (p_counts > 0) | (q_counts > 0)
    p, q = _probabilities(p_counts, occupied), _probabilities(q_counts, occupied)
    return float(np.sum(p * np.log(p / q)))


def jensen_shannon(p_counts: Counts, q_counts: Counts) -> float:
    """Jensen-Shannon divergence in nats: symmetric, between 0 and ln 2 (Lin 1991, eq. 3.5)."""
    occupied = (p_counts > 0) | (q_counts > 0)
    p, q = _probabilities(p_counts, occupied), _probabilities(q_counts, occupied)
    middle = (p + q) / 2.0
    return float(np.sum(p * np.log(p / middle) + q * np.log(q / middle)) / 2.0)


def noise_floor(
    blocks: Float[np.ndarray, "blocks bins"], baseline_ps: float, hybrid_ps: float
) -> tuple[float, float]:
    """JS that two runs of these lengths show when nothing is wrong: mean and 95% quantile.

    By chance JS grows as 1/T₁ + 1/T₂ with the lengths T of the two samples; for halves of the
    baseline this is 4/T_b, hence the factor.

    Args:
        blocks: histograms of consecutive blocks of the baseline.
        baseline_ps: simulated time of the baseline, ps.
        hybrid_ps: simulated time of the hybrid, ps.
    """
    n_blocks = len(blocks)
    total = blocks.sum(axis=0)
    halves = [
        blocks[[0, *others]].sum(axis=0)
        for others in combinations(range(1, n_blocks), n_blocks // 2 - 1)
    ]
    chance = np.array([jensen_shannon(half, total - half) for half in halves])
    scale = (1.0 + baseline_ps / hybrid_ps) / 4.0
    return float(chance.mean() * scale), float(np.quantile(chance, 0.95) * scale)

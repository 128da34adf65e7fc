"""Divergences of binned distributions, judged against what sampling noise alone would give.

Two finite samples of one distribution never have divergence zero. How large it is by chance is
measured on the baseline: pairs of independent samples of the two lengths are drawn from its
blocks and compared.
"""

import numpy as np
from jaxtyping import Float

PSEUDO_COUNT = 0.5
"""Added to every bin (Jeffreys' prior), so that an empty bin is improbable, not impossible."""

Counts = Float[np.ndarray, "*draws bins"]


def _probabilities(counts: Counts, occupied: np.ndarray) -> Counts:
    smoothed = np.where(occupied, counts + PSEUDO_COUNT, 0.0)
    return np.asarray(smoothed / smoothed.sum(axis=-1, keepdims=True))


def _relative_entropy(p: Counts, q: Counts) -> Float[np.ndarray, "*draws"]:
    ratio = np.divide(p, q, out=np.ones_like(p), where=q > 0.0)
    return np.asarray((p * np.log(ratio, out=np.zeros_like(p), where=ratio > 0.0)).sum(axis=-1))


def kullback_leibler(p_counts: Counts, q_counts: Counts) -> Float[np.ndarray, "*draws"]:
    """KL(p ‖ q) in nats over the bins that either occupies: zero for equal histograms."""
    occupied = (p_counts > 0) | (q_counts > 0)
    return _relative_entropy(_probabilities(p_counts, occupied), _probabilities(q_counts, occupied))


def jensen_shannon(p_counts: Counts, q_counts: Counts) -> Float[np.ndarray, "*draws"]:
    """Jensen-Shannon divergence in nats: symmetric, between 0 and ln 2 (Lin 1991, eq. 3.5)."""
    occupied = (p_counts > 0) | (q_counts > 0)
    p, q = _probabilities(p_counts, occupied), _probabilities(q_counts, occupied)
    middle = (p + q) / 2.0
    return np.asarray((_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2.0)

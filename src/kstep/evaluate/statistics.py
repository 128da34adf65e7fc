"""Means of correlated series with honest intervals, and medians of few windows.

The statistical inefficiency g of a stationary series (Chodera et al., J. Chem. Theory Comput.
3, 26 (2007), eq. 20) is the number of frames that count as one independent one.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from kstep.evaluate.metrics import Estimate

CONFIDENCE = 0.95


def statistical_inefficiency(series: Sequence[Float[np.ndarray, " _"]]) -> float:
    """Frames per independent sample, at least 1, pooled over segments of one process.

    Autocovariances about the common mean are summed over lags until the first that is not
    positive; lags longer than half of the longest segment carry no information.
    """
    mean = float(np.concatenate(series).mean())
    centred = [np.asarray(segment, dtype=np.float64) - mean for segment in series]
    n_frames = sum(len(segment) for segment in centred)
    variance = sum(float(segment @ segment) for segment in centred) / n_frames
    if variance <= 0.0:
        return 1.0
    inefficiency = 1.0
    for lag in range(1, max(len(segment) for segment in centred) // 2):
        long_enough = [segment for segment in centred if len(segment) > lag]
        products = sum(float(segment[:-lag] @ segment[lag:]) for segment in long_enough)
        pairs = sum(len(segment) - lag for segment in long_enough)
        correlation = products / pairs / variance
        if correlation <= 0.0:
            break
        inefficiency += 2.0 * correlation * pairs / n_frames
    return inefficiency


def correlated_mean(series: Sequence[Float[np.ndarray, " _"]]) -> Estimate:
    """Mean over all segments with its Student interval for the number of independent frames."""
    values = np.concatenate(series).astype(np.float64)
    return _student(values, max(2.0, len(values) / statistical_inefficiency(series)))


def independent_mean(values: Float[np.ndarray, " n"]) -> Estimate:
    """Mean of independent values (two or more) with its Student interval."""
    return _student(values, float(len(values)))


def _student(values: Float[np.ndarray, " n"], independent: float) -> Estimate:
    error = float(values.std(ddof=1)) / independent**0.5
    margin = float(stats.t.ppf(0.5 + CONFIDENCE / 2, independent - 1.0)) * error
    mean = float(values.mean())
    return Estimate(value=mean, low=mean - margin, high=mean + margin)


def relative_error(value: Estimate, reference: Estimate) -> Estimate:
    """Value / reference - 1 of two independent estimates, errors propagated to first order."""
    ratio = value.value / reference.value
    parts = [(e.high - e.low) / 2.0 / abs(e.value) for e in (value, reference)]
    margin = abs(ratio) * math.hypot(*parts)
    return Estimate(value=ratio - 1.0, low=ratio - 1.0 - margin, high=ratio - 1.0 + margin)


def bootstrap_median(values: Float[np.ndarray, " n"], samples: int, seed: int) -> Estimate:
    """Median of independent values with its percentile bootstrap interval."""
    rng = np.random.default_rng(seed)
    draws = np.median(rng.choice(values, size=(samples, len(values))), axis=1)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Estimate(value=float(np.median(values)), low=float(low), high=float(high))

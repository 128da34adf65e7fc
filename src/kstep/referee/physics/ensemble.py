"""Whether potential energies at two temperatures are distributed canonically.

At temperatures T₁ and T₂ the same density of states is weighed with exp(-U/k_B T), so that
whatever the molecule ln(P₂(U) / P₁(U)) is a straight line of slope 1/k_B T₁ - 1/k_B T₂ (Shirts,
J. Chem. Theory Comput. 9, 909 (2013)). Its slope of greatest likelihood is found without bins:
that of a logistic regression which tells from an energy the temperature it was found at.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.config import EvalConfig
from kstep.referee.claims.checks import ENSEMBLE, Measured
from kstep.referee.compared import Side, at_temperature
from kstep.referee.metrics import SIDES, EnsembleMetrics, Pair
from kstep.referee.statistics.estimates import (
    Series,
    Uncertain,
    block_frames,
    block_means,
    inefficiency,
    resample,
)
from kstep.system.trajectory import NVT
from kstep.units import BOLTZMANN

BINS = 30
"""Of the histograms shown."""

LEAST_COUNT = 25
"""Frames at each temperature in a bin shown: fewer have no usable logarithm."""

LEAST_BINS = 3
"""Bins shown below which two temperatures are too far apart to share their energies."""

Curves = dict[str, np.ndarray]
Terms = Float[np.ndarray, "*batch 5"]
"""First derivatives of the log-likelihood by intercept and slope, and second ones, negated."""


@dataclass(frozen=True)
class Line:
    """ln(P₂(U) / P₁(U)) = intercept + slope · (U - centre) / scale; energies in kJ/mol."""

    centre: float
    scale: float
    intercept: float
    slope: float


def compare_ensembles(
    config: EvalConfig, baseline: Side, candidate: Side
) -> tuple[EnsembleMetrics | None, Curves, list[Measured]]:
    """Slopes of both sides, and the candidate's to be judged against the exact one.

    None where the two were not run at a second temperature, or at one that is too far away.

    Curves: `ensemble/<side>/{energy,log_ratio,error}` and `ensemble/expected/{energy,log_ratio}`,
    kJ/mol and ln(P₂/P₁). The expected line meets the baseline's at its mean energy.
    """
    second_K = _second_temperature(baseline, candidate)
    rounded = float(candidate.trajectory.record.get("rounding_nm", 0.0)) > 0.0
    if second_K is None or rounded:  # energies of rounded positions are not the run's
        return None, {}, []
    first_K = candidate.temperature
    curves: Curves = {}
    errors: list[Uncertain] = []
    lines: list[Line] = []
    for name, side in zip(SIDES, (baseline, candidate), strict=True):
        first = side.series(side.trajectory.epot.astype(np.float64))
        second = at_temperature(side, second_K)
        points = log_ratio(first, second)
        if len(points["energy"]) < LEAST_BINS:
            return None, {}, []
        curves |= {f"ensemble/{name}/{key}": values for key, values in points.items()}
        lines.append(fit_line(first, second))
        errors.append(slope_error(first, second, first_K, second_K, config))
    shown = np.concatenate([curves[f"ensemble/{name}/energy"] for name in SIDES])
    ends = np.array([shown.min(), shown.max()])
    curves["ensemble/expected/energy"] = ends
    rise = expected_slope(first_K, second_K) * (ends - lines[0].centre)
    curves["ensemble/expected/log_ratio"] = lines[0].intercept + rise
    label = f"slope of ln(P({second_K:g} K) / P({first_K:g} K)) over the potential energy"
    metrics = EnsembleMetrics(
        temperatures_K=[first_K, second_K],
        slope=Pair(baseline=errors[0].estimate(), candidate=errors[1].estimate()),
    )
    margin, sampled = config.max_ensemble_error, candidate.nvt_ps
    return metrics, curves, [Measured(ENSEMBLE, label, "", errors[1], margin, True, sampled)]


def expected_slope(first_K: float, second_K: float) -> float:
    """1/k_B T₁ - 1/k_B T₂, mol/kJ."""
    return (1.0 / first_K - 1.0 / second_K) / BOLTZMANN


def slope_error(
    first: Series, second: Series, first_K: float, second_K: float, config: EvalConfig
) -> Uncertain:
    """Slope found / slope expected - 1.

    Its error is that of blocks drawn anew at both temperatures: each draw moves the maximum of
    the likelihood by a Newton step, which is a function of block averages of its derivatives.

    Args:
        first: potential energies at the first temperature, a series per replica, kJ/mol.
        second: the same at the second.
        first_K: K.
        second_K: K.
        config: number and seed of the draws.
    """
    line = fit_line(first, second)
    blocks = []
    for at_second, series in enumerate((first, second)):
        terms = [_terms(one, float(at_second), line) for one in series]
        frames = block_frames(inefficiency(series), [len(one) for one in series])
        blocks.append(block_means(terms, frames))
    draws = [
        resample(block, config.bootstrap, config.seed + index) for index, block in enumerate(blocks)
    ]
    counts = np.array([len(block) for block in blocks])
    # Resampled blocks scatter about their own mean, which is less than about the true one.
    unbiased = float(np.sqrt(np.mean(counts / np.maximum(counts - 1, 1))))
    error = float(_newton_step(draws[0] + draws[1])[:, 1].std()) * unbiased
    if counts.min() < 2:  # one block says nothing of how blocks scatter
        error = np.inf
    expected = expected_slope(first_K, second_K) * line.scale
    freedom = float(max(counts.sum() - 2, 1))
    return Uncertain(line.slope / expected - 1.0, error / abs(expected), freedom)


def fit_line(first: Series, second: Series) -> Line:
    """The line of greatest likelihood; both temperatures count alike, however many frames."""
    energies = [np.concatenate(series) for series in (first, second)]
    pooled = np.concatenate(energies)
    line = Line(float(pooled.mean()), float(pooled.std()), 0.0, 0.0)
    for _ in range(100):
        terms = sum(_terms(e, float(i), line).mean(axis=0) for i, e in enumerate(energies))
        step = _newton_step(np.asarray(terms))
        # Newton overshoots where the two hardly overlap: no farther than one unit at a time.
        step = step / max(1.0, float(np.abs(step).max()))
        line = Line(
            line.centre, line.scale, line.intercept + float(step[0]), line.slope + float(step[1])
        )
        if np.abs(step).max() < 1e-10:
            break
    return line


def log_ratio(first: Series, second: Series) -> Curves:
    """ln(P₂/P₁) in bins that hold enough of both: `energy`, `log_ratio` and its `error`."""
    energies = [np.concatenate(series) for series in (first, second)]
    low, high = min(e.min() for e in energies), max(e.max() for e in energies)
    edges = np.linspace(low, high, BINS + 1)
    counts = np.stack([np.histogram(e, bins=edges)[0] for e in energies])
    shown = counts.min(axis=0) >= LEAST_COUNT
    shares = counts[:, shown] / np.array([[len(e)] for e in energies])
    memory = np.array([[inefficiency(first)], [inefficiency(second)]])
    return {
        "energy": (edges[1:] + edges[:-1])[shown] / 2.0,
        "log_ratio": np.log(shares[1] / shares[0]),
        "error": np.sqrt((memory / counts[:, shown]).sum(axis=0)),
    }


def _second_temperature(baseline: Side, candidate: Side) -> float | None:
    """The one nearest to that judged of all others which both sides were run at, K."""
    judged = candidate.temperature
    held = [
        set(side.trajectory.segment_temperature[side.trajectory.segment_kind == NVT].tolist())
        for side in (baseline, candidate)
    ]
    others = (held[0] & held[1]) - {judged}
    return min(others, key=lambda other: (abs(other - judged), other), default=None)


def _terms(energies: Float[np.ndarray, " T"], at_second: float, line: Line) -> Terms:
    """Derivatives of the log-likelihood of energies known to be of one temperature."""
    x = (energies - line.centre) / line.scale
    p = 1.0 / (1.0 + np.exp(-(line.intercept + line.slope * x)))
    residual, weight = at_second - p, p * (1.0 - p)
    return np.stack([residual, residual * x, weight, weight * x, weight * x * x], axis=-1)


def _newton_step(terms: Terms) -> Float[np.ndarray, "*batch 2"]:
    """Change of intercept and slope towards the maximum."""
    by_intercept, by_slope, a, b, c = np.moveaxis(terms, -1, 0)
    determinant = a * c - b * b
    return np.stack(
        [
            (c * by_intercept - b * by_slope) / determinant,
            (a * by_slope - b * by_intercept) / determinant,
        ],
        axis=-1,
    )

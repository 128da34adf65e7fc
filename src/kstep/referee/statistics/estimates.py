"""Estimates of correlated series with honest errors: blocks of independent replicas, resampled.

Every side is a set of *series*, one per replica. They are cut into blocks several correlation
times long; whole blocks are drawn with replacement (Künsch, Ann. Statist. 17, 1217 (1989)), so
that errors hold for any function of averages: ratios, widths, divergences.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from kstep.referee.metrics import UNBOUNDED, Estimate

# pymbar greets its importer with advice on JAX, which nothing here uses.
logging.getLogger("pymbar").setLevel(logging.ERROR)
from pymbar import timeseries  # noqa: E402

CONFIDENCE = 0.90
"""Two one-sided tests at 5% are one 90% interval (Schuirmann, J. Pharmacokinet. Biopharm. 15,
657 (1987))."""

MIN_BLOCKS = 8
"""Blocks that the shortest trajectory accepted for scoring could be cut into."""

SHORTEST_RUN = 4
"""Frames of a run that tells anything of correlation."""

MAX_BLOCKS = 64
"""More make nothing more certain."""

BLOCK_MEMORY = 10.0
"""Length of a block in integrated correlation times, at least."""

NOTHING = 1e-100
"""Squares of what is smaller vanish."""

Series = Sequence[Float[np.ndarray, " _"]]
Average = Callable[[np.ndarray], np.ndarray]
"""A function of averages: [..., K] → [..., M]."""


@dataclass(frozen=True)
class Uncertain:
    """A number with its standard error.

    Attributes:
        value: the estimate.
        error: its standard error.
        dof: degrees of freedom behind the error.
    """

    value: float
    error: float
    dof: float

    def estimate(self) -> Estimate:
        """With its Student interval."""
        margin = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, self.dof)) * self.error
        low, high = max(self.value - margin, -UNBOUNDED), min(self.value + margin, UNBOUNDED)
        return Estimate(value=self.value, low=low, high=high)

    def distance(self, margin: float) -> float:
        """How far the size lies beyond a margin, in standard errors; negative within it."""
        excess = abs(self.value) - margin
        return excess / self.error if self.error > 0.0 else float(np.copysign(np.inf, excess))

    def scaled(self, factor: float, offset: float = 0.0) -> "Uncertain":
        """`factor` times the number, plus `offset`."""
        return Uncertain(factor * self.value + offset, abs(factor) * self.error, self.dof)


@dataclass(frozen=True)
class UncertainSize(Uncertain):
    """A positive number that scatters by factors: `error` is that of its logarithm."""

    def estimate(self) -> Estimate:
        """With its Student interval on the logarithmic scale."""
        factor = float(np.exp(stats.t.ppf(0.5 + CONFIDENCE / 2.0, self.dof) * self.error))
        high = min(self.value * factor, UNBOUNDED)
        return Estimate(value=self.value, low=self.value / factor, high=high)

    def distance(self, margin: float) -> float:
        """Logarithm of its ratio to the margin, in standard errors."""
        excess = float(np.log(self.value / margin))
        return excess / self.error if self.error > 0.0 else float(np.copysign(np.inf, excess))


UNKNOWN = Uncertain(0.0, np.inf, 1.0)
"""What was not measured: it must not pass for right."""


def difference(number: Uncertain, reference: Uncertain) -> Uncertain:
    """Number - reference of two independent ones; degrees of freedom after Welch (1947)."""
    squares = number.error**2, reference.error**2
    total = squares[0] + squares[1]
    if not np.isfinite(total):
        return Uncertain(number.value - reference.value, np.inf, 1.0)
    if total == 0.0:
        return Uncertain(number.value - reference.value, 0.0, min(number.dof, reference.dof))
    dof = total**2 / (squares[0] ** 2 / number.dof + squares[1] ** 2 / reference.dof)
    return Uncertain(number.value - reference.value, total**0.5, dof)


def relative_difference(number: Uncertain, reference: Uncertain) -> Uncertain:
    """Number / reference - 1 of two independent ones, to first order in the errors.

    The reference is positive; the number may be 0, as the warmth of atoms that stand still.
    """
    ratio = number.value / reference.value
    inverse = 1.0 / reference.value
    parts = difference(number.scaled(inverse), reference.scaled(ratio * inverse))
    return Uncertain(ratio - 1.0, parts.error, parts.dof)


def inefficiency(series: Series) -> float:
    """Frames per independent sample, at least 1, about the mean common to all replicas.

    Chodera et al., J. Chem. Theory Comput. 3, 26 (2007), as implemented by pymbar.
    """
    joined = np.concatenate(series)
    still = float(joined.std()) <= 1e-12 * float(np.abs(joined).max()) + NOTHING
    long = [one for one in series if len(one) >= SHORTEST_RUN]
    if still or not long:
        return 1.0
    return float(timeseries.statistical_inefficiency_multiple(long))


def equilibration(series: Float[np.ndarray, " T"]) -> int:
    """Frames at the start of a run that are not yet of its equilibrium.

    The start that leaves most independent samples (Chodera, J. Chem. Theory Comput. 12, 1799
    (2016)), tried at twenty places.
    """
    if len(series) < 40 or float(np.ptp(series)) <= NOTHING:
        return 0
    start, _, _ = timeseries.detect_equilibration(series, fast=True, nskip=len(series) // 20)
    return int(start)


def block_frames(memory: float, lengths: Sequence[int]) -> int:
    """Frames per block: enough correlation times, and no more blocks than are of use.

    Args:
        memory: statistical inefficiency of what is averaged, frames.
        lengths: frames of every replica.
    """
    return max(int(np.ceil(BLOCK_MEMORY * memory)), sum(lengths) // MAX_BLOCKS, 1)


def block_means(
    series: Sequence[Float[np.ndarray, "_ K"]], frames: int
) -> Float[np.ndarray, "B K"]:
    """Averages over blocks of about `frames` frames; no block spans two replicas.

    A replica shorter than that is one block.
    """
    means = []
    for one in series:
        edges = _block_edges(len(one), frames)
        sums = np.add.reduceat(np.asarray(one, dtype=np.float64), edges[:-1], axis=0)
        means.append(sums / np.diff(edges)[:, None])
    return np.concatenate(means)


def block_shares(
    series: Sequence[Int[np.ndarray, "_ members"]], n_bins: int, frames: int
) -> Float[np.ndarray, "B bins"]:
    """Share of each bin (0 to `n_bins` - 1) in the values of every block: a mean of histograms.

    Blocks are those of `block_means`; no histogram of a single frame is made, of which a long run
    has many.
    """
    shares = []
    for one in series:
        lengths = np.diff(_block_edges(len(one), frames))
        first = n_bins * np.repeat(np.arange(len(lengths)), lengths)
        counts = np.bincount((one + first[:, None]).ravel(), minlength=n_bins * len(lengths))
        shares.append(counts.reshape(-1, n_bins) / (lengths * one.shape[1])[:, None])
    return np.concatenate(shares)


def _block_edges(length: int, frames: int) -> Int[np.ndarray, " edges"]:
    """Where the blocks of a run begin, and its end."""
    count = max(1, length // frames)
    return np.linspace(0, length, count + 1).astype(np.int64)


def resample(
    blocks: Float[np.ndarray, "B K"], samples: int, seed: int, size: int | None = None
) -> Float[np.ndarray, "S K"]:
    """Averages over `size` blocks (all of them by default) drawn with replacement."""
    count = len(blocks)
    drawn = size or count
    rng = np.random.default_rng([seed, count, drawn])
    weights = rng.multinomial(drawn, np.full(count, 1.0 / count), size=samples) / drawn
    return np.asarray(weights @ blocks)


def bootstrap(
    blocks: Float[np.ndarray, "B K"], average: Average, samples: int, seed: int
) -> list[Uncertain]:
    """A function of averages with the error that resampled blocks show."""
    count = len(blocks)
    values = np.atleast_1d(average(blocks.mean(axis=0)))
    # Resampled blocks scatter about their own mean, which is less than about the true one.
    unbiased = np.sqrt(count / max(count - 1, 1))
    errors = np.atleast_1d(average(resample(blocks, samples, seed)).std(axis=0) * unbiased)
    if count < 2:  # one block says nothing of how blocks scatter
        errors = np.full_like(errors, np.inf)
    return [
        Uncertain(float(value), float(error), float(max(count - 1, 1)))
        for value, error in zip(values, errors, strict=True)
    ]


def mean_of(values: Float[np.ndarray, " n"]) -> Uncertain:
    """Mean of independent values, two or more."""
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return Uncertain(float(values.mean()), error, float(len(values) - 1))


def correlated_mean(series: Series) -> Uncertain:
    """Mean over all replicas of one observable."""
    frames = block_frames(inefficiency(series), [len(one) for one in series])
    means = block_means([one[:, None] for one in series], frames)[:, 0]
    value = float(np.concatenate(series).mean(dtype=np.float64))
    if len(means) < 2:
        return Uncertain(value, np.inf, 1.0)
    spread = mean_of(means)
    return Uncertain(value, spread.error, spread.dof)


def typical_size(values: Float[np.ndarray, " n"]) -> UncertainSize:
    """Geometric mean of the sizes of independent values, two or more: half are larger."""
    logarithms = mean_of(np.log(np.maximum(np.abs(values), NOTHING)))
    return UncertainSize(float(np.exp(logarithms.value)), logarithms.error, logarithms.dof)

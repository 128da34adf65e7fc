"""Bayesian linear regression on two kinds of data, energies and derivatives of them.

The energies' constant is free: it is taken out by centring. The weight of an energy beside a
derivative and the width of the prior are where the evidence, the probability of the data under
all parameters that the prior allows, is largest (MacKay, Neural Comput. 4, 415 (1992)). There is
nothing to iterate but these two numbers, and no randomness.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

FIRST_TRY = (-6.0, -1.5)
"""log₁₀ of the prior's weight, per derivative, and of an energy's."""
STEPS = (1.0, 0.5)
"""Of these logarithms, from coarse to fine."""
BOUNDS = ((-12.0, 2.0), (-6.0, 4.0))
ROUND_OFF = 1e-12
"""Of the data's square: what counts as noise at least."""

Square = Float[np.ndarray, "P P"]
Column = Float[np.ndarray, " P"]


class Moments:
    """Sums over the data that the regression needs; data are added in any number of parts.

    Args:
        start: parameters that the prior expects; data count as departures from what these say.
    """

    def __init__(self, start: Column) -> None:
        self._start = start
        size = len(start)
        self.gram, self.moment, self.square = np.zeros((size, size)), np.zeros(size), 0.0
        self.count = 0
        self._designs: list[Float[np.ndarray, "P s"]] = []
        self._energies: list[Float[np.ndarray, " s"]] = []

    def add(
        self,
        energies: Float[np.ndarray, " s"],
        energy_design: Float[np.ndarray, "P s"],
        slopes: Float[np.ndarray, " r"],
        slope_design: Float[np.ndarray, "P r"],
    ) -> None:
        """Take in some energies and derivatives and their designs."""
        left = slopes - self._start @ slope_design
        self.gram += slope_design @ slope_design.T
        self.moment += slope_design @ left
        self.square += float(left @ left)
        self.count += len(left)
        self._designs.append(energy_design)
        self._energies.append(energies - self._start @ energy_design)

    def energies(self) -> tuple[Column, Float[np.ndarray, "P S"], Float[np.ndarray, " S"]]:
        """The mean of the energies' design, and design and energies about their means."""
        design, energies = np.concatenate(self._designs, axis=1), np.concatenate(self._energies)
        centre = design.mean(axis=1)
        return centre, design - centre[:, None], energies - energies.mean()


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the data say about the parameters.

    Attributes:
        mean: the parameters [P].
        root: a square root of their covariance, R Rᵀ; upper triangular [P, P].
        centre: the mean of the energies' design [P].
        noise: standard deviation of what no parameters explain in an energy, kJ/mol.
    """

    mean: Column
    root: Square
    centre: Column
    noise: float

    def energy_spread(self, design: Float[np.ndarray, "P S"]) -> Float[np.ndarray, " S"]:
        """Standard deviation of an energy's error, noise included, kJ/mol."""
        unsure = np.square(self.root.T @ (design - self.centre[:, None])).sum(axis=0)
        return np.asarray(np.sqrt(self.noise**2 + unsure))

    def slope_spread(self, design: Float[np.ndarray, "P r"]) -> Float[np.ndarray, " r"]:
        """Standard deviation of a derivative by what the parameters may still be."""
        return np.asarray(np.sqrt(np.square(self.root.T @ design).sum(axis=0)))


def regress(moments: Moments, start: Column, scale: Column) -> Posterior:
    """The parameters that the data ask for.

    Args:
        moments: of the data.
        start: parameters that the prior expects.
        scale: a derivative by each parameter that is usual; the prior's width is its inverse.
    """
    centre, design, energies = moments.energies()
    problem = _Problem(moments, scale, design, energies)
    best = problem.best()
    root, mean, variance = problem.solution(best)
    return Posterior(
        mean=start + mean,
        root=root,
        centre=centre,
        noise=math.sqrt(variance / 10.0 ** best[1]),
    )


class _Problem:
    """The regression in parameters of unit prior width, as a function of the two weights."""

    def __init__(
        self,
        moments: Moments,
        scale: Column,
        design: Float[np.ndarray, "P S"],
        energies: Float[np.ndarray, " S"],
    ) -> None:
        size = len(scale)
        by_slopes, by_energies = np.zeros((size + 1, size + 1)), np.zeros((size + 1, size + 1))
        by_slopes[:size, :size] = moments.gram / scale[:, None] / scale
        by_slopes[size, :size] = moments.moment / scale
        by_slopes[size, size] = moments.square
        scaled = np.vstack([design / scale[:, None], energies])
        by_energies[:] = scaled @ scaled.T
        self._by_slopes, self._by_energies = by_slopes, by_energies
        self._scale, self._n_slopes, self._n_energies = scale, moments.count, len(energies) - 1
        self._known: dict[tuple[float, float], float] = {}

    def best(self) -> tuple[float, float]:
        """log₁₀ of the two weights where the evidence is largest, found by steps."""
        here = FIRST_TRY
        for step in STEPS:
            while True:
                around = [
                    (here[0] + a * step, here[1] + b * step)
                    for a, b in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
                ]
                inside = [
                    place
                    for place in around
                    if all(low <= p <= high for p, (low, high) in zip(place, BOUNDS, strict=True))
                ]
                found = max(inside, key=self._evidence)
                if found == here:
                    break
                here = found
        return here

    def _evidence(self, place: tuple[float, float]) -> float:
        """Logarithm of the evidence but for a constant; the noise is the likeliest."""
        if place not in self._known:
            factor = self._factor(place)
            prior, weight = 10.0 ** np.array(place)
            size, data = len(self._scale), self._n_slopes + self._n_energies
            loss = factor[-1, -1] ** 2
            self._known[place] = 0.5 * (
                self._n_energies * math.log(weight)
                + size * math.log(prior * self._n_slopes)
                - data * math.log(loss)
            ) - float(np.log(np.diag(factor)[:-1]).sum())
        return self._known[place]

    def _factor(self, place: tuple[float, float]) -> Float[np.ndarray, "Q Q"]:
        """Cholesky's factor L of normal equations that the data stand below, as one more row.

        Its last row is L⁻¹ b, and the square of its last element the least loss.
        """
        prior, weight = 10.0 ** np.array(place)
        matrix = self._by_slopes + weight * self._by_energies
        diagonal = np.arange(len(self._scale))
        matrix[diagonal, diagonal] += prior * self._n_slopes
        matrix[:-1, -1] = matrix[-1, :-1]
        matrix[-1, -1] *= 1.0 + ROUND_OFF
        return np.linalg.cholesky(matrix)

    def solution(self, place: tuple[float, float]) -> tuple[Square, Column, float]:
        """A root of the covariance, the mean and the variance of a derivative's noise."""
        factor = self._factor(place)
        inverse = np.linalg.inv(factor[:-1, :-1])
        variance = float(factor[-1, -1] ** 2) / (self._n_slopes + self._n_energies)
        root = inverse.T / self._scale[:, None]
        return math.sqrt(variance) * root, root @ factor[-1, :-1], variance

"""Whether chains have run long enough: rank-normalised R̂ and effective sample sizes.

Vehtari, Gelman, Simpson, Carpenter & Bürkner, Bayesian Anal. 16, 667 (2021), as implemented by
ArviZ. R̂ compares the scatter between chains with that within them, of ranks, so that no moment
has to exist, and of distances from the median, so that widths are compared too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats
from jaxtyping import Float

MAX_R_HAT = 1.01
MIN_ESS = 400.0
"""Effective samples below which R̂ itself is too uncertain to be believed."""

TAILS = (0.05, 0.95)
"""Quantiles whose effective sample size is that of the tails."""

Chains = Float[np.ndarray, "C F"]


@dataclass(frozen=True)
class Mixing:
    """How well chains agree about one observable.

    Attributes:
        r_hat: 1 where they agree; without bound where each stays at a value of its own, ∞ for
            chains too short to tell.
        ess_bulk: independent samples that its average is worth.
        ess_tail: the same of its 5 % and 95 % quantiles, the fewer.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float


@dataclass(frozen=True)
class Convergence:
    """Whether several observables have converged.

    Attributes:
        observables: how well the chains agree about each.
        max_r_hat, min_ess: what was asked of each.
    """

    observables: dict[str, Mixing]
    max_r_hat: float
    min_ess: float

    @property
    def converged(self) -> bool:
        """Whether all have."""
        return not self.unsettled

    @property
    def unsettled(self) -> list[str]:
        """Those that have not, the worst R̂ first."""
        wrong = [name for name, found in self.observables.items() if not self._settled(found)]
        return sorted(wrong, key=lambda name: -self.observables[name].r_hat)

    def _settled(self, found: Mixing) -> bool:
        enough = min(found.ess_bulk, found.ess_tail) >= self.min_ess
        return found.r_hat < self.max_r_hat and enough


def judge_convergence(
    observables: Mapping[str, Chains], max_r_hat: float = MAX_R_HAT, min_ess: float = MIN_ESS
) -> Convergence:
    """Whether chains have converged in every observable.

    Args:
        observables: values by name, frames of a chain in order. An angle is given as its cosine
            and its sine, since it has no order.
        max_r_hat: R̂ that none may reach.
        min_ess: effective samples that each needs, in the bulk and in the tails.
    """
    found = {name: mixing(chains) for name, chains in observables.items()}
    return Convergence(found, max_r_hat, min_ess)


def mixing(chains: Chains) -> Mixing:
    """How well chains agree about one observable; one chain is held against its own halves.

    What never changes in any chain counts as settled: nothing is known against it.
    """
    if (chains == chains.flat[0]).all():
        return Mixing(1.0, float(chains.size), float(chains.size))
    half = chains.shape[1] // 2
    several = chains if len(chains) > 1 else chains[:, : 2 * half].reshape(2, half)
    with np.errstate(all="ignore"):
        r_hat = float(array_stats.rhat(several))
        bulk = float(array_stats.ess(several, method="bulk"))
        tail = float(array_stats.ess(several, method="tail", prob=TAILS))
    # Not a number: each chain stands still, or holds too few frames.
    return Mixing(
        r_hat=r_hat if np.isfinite(r_hat) else np.inf,
        ess_bulk=bulk if np.isfinite(bulk) else 0.0,
        ess_tail=tail if np.isfinite(tail) else 0.0,
    )

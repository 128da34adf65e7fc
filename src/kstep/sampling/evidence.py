"""Whether samples are an ensemble to be believed: exact by construction, and converged.

A run beside plain MD can be accepted, rejected or left open by the referee. Samples of a nested
chain need no run beside them: their distribution is right by construction, whatever the surrogate,
so that what is left to ask is whether there are enough of them. The conditions stand here alone.
"""

from dataclasses import dataclass

from kstep.referee.statistics.convergence import MAX_R_HAT, MIN_ESS
from kstep.referee.statistics.reweighting import HIGHEST_PARETO_K
from kstep.sampling.samples import Samples

FEWEST_CHAINS = 4
"""Chains that must agree: two may have missed the same basin."""

LEAST_EFFECTIVE = 0.05
"""Share of reweighted samples that must count; below it few decide."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for samples, and what is missing.

    Attributes:
        lacking: conditions that do not hold, in words; none where the samples are to be believed.
    """

    lacking: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether they are exact by construction and converged."""
        return not self.lacking

    def __str__(self) -> str:
        """The verdict in a sentence."""
        if self.holds:
            return "exact by construction and converged"
        return f"not shown: {'; '.join(self.lacking)}"


def evidence(samples: Samples) -> Evidence:
    """Whether samples are exact by construction and converged.

    - There are chains enough, and all observables agree between them: rank-normalised R̂ below
      1.01, 400 effective samples in the bulk and in the tails (Vehtari et al., Bayesian Anal. 16,
      667 (2021)).
    - Weights, where they differ, have a tail that can be averaged over (Pareto k̂ ≤ 0.7; Vehtari et
      al., J. Mach. Learn. Res. 25, 72 (2024)), and enough of them count.
    - In a nested chain some proposal of every chain was accepted.
    """
    lacking = []
    n_chains = samples.energies.shape[1]
    if n_chains < FEWEST_CHAINS:
        lacking.append(f"{n_chains} chains, {FEWEST_CHAINS} are needed")
    if not samples.accepted.any(axis=0).all():
        lacking.append("a chain has never left where it began")
    if samples.is_weighted:
        quality = samples.surrogate_quality
        if quality.pareto_k > HIGHEST_PARETO_K:
            lacking.append(
                f"the weights' tail is too heavy to average (k = {quality.pareto_k:.2f})"
            )
        if samples.effective_fraction < LEAST_EFFECTIVE:
            lacking.append(f"only {samples.effective_fraction:.1%} of the samples count")
    unsettled = samples.convergence.unsettled
    if unsettled:
        worst = samples.convergence.observables[unsettled[0]]
        few = min(worst.ess_bulk, worst.ess_tail)
        lacking.append(
            f"{len(unsettled)} of {len(samples.convergence.observables)} observables have not "
            f"converged, least of all {unsettled[0]} (R̂ {worst.r_hat:.3f}, {few:.0f} effective "
            f"samples; {MAX_R_HAT} and {MIN_ESS:.0f} are asked)"
        )
    return Evidence(tuple(lacking))

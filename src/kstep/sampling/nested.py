"""The nested chain: a run of the surrogate's Monte Carlo is one proposal, one true energy its test.

The state is a ladder x₁ … x_T with target π(x₁) Π_{i>1} π_s(x_i; T_i): the true distribution at the
first temperature, the surrogate's at the others. The inner sweeps (`kstep.sampling.ladder`) keep
Π π_s(x_i; T_i), and with velocities drawn anew π_s(x) q(x → x') is symmetric. So

    accept with min(1, exp(−(D(x₁') − D(x₁))/kT₁)),   D = U_true − U_learned,

leaves the target as it is, whatever the surrogate and however many sweeps; a refusal restores the
whole ladder. No reversibility over the whole proposal is needed and no error of the step remains.

Delayed acceptance: Christen & Fox, J. Comput. Graph. Stat. 14, 795 (2005); nested Markov chains:
Iftimie, Salahub, Wei & Schofield, J. Chem. Phys. 113, 4852 (2000); Gelb, J. Chem. Phys. 118, 7747
(2003).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kstep.protocols import Potential
from kstep.sampling.ladder import Ladder, Rungs
from kstep.units import BOLTZMANN

PerChain = Float[np.ndarray, " C"]


@dataclass(frozen=True, eq=False)
class ChainState:
    """Chains between two outer steps.

    Attributes:
        rungs: replicas at all temperatures.
        true: U_true of those at the first, kJ/mol [C].
    """

    rungs: Rungs
    true: PerChain

    @property
    def difference(self) -> PerChain:
        """D = U_true − U_learned at the first temperature, kJ/mol [C]."""
        return np.asarray(self.true - self.rungs.energies[:, 0])


@dataclass(frozen=True, eq=False)
class OuterStep:
    """What an outer step did.

    Attributes:
        state: that it leads to.
        proposed: positions at the first temperature that were tested, nm [C, N, 3].
        proposed_true, proposed_learned: energies there, kJ/mol [C].
        accepted: [C].
    """

    state: ChainState
    proposed: Float[np.ndarray, "C N 3"]
    proposed_true: PerChain
    proposed_learned: PerChain
    accepted: Bool[np.ndarray, " C"]


class NestedChain:
    """Outer steps of chains that sample the true potential at the ladder's first temperature."""

    def __init__(
        self, ladder: Ladder, potential: Potential, sweeps: int, rng: np.random.Generator
    ) -> None:
        """So many sweeps between two true energies."""
        self._ladder, self._potential = ladder, potential
        self._sweeps, self._rng = sweeps, rng
        self._thermal = BOLTZMANN * float(ladder.temperatures[0])

    def begin(self, rungs: Rungs) -> ChainState:
        """Chains at given replicas: a true energy for each chain."""
        return ChainState(rungs, self._potential.evaluate(rungs.x[:, 0]).energies)

    def step(self, state: ChainState) -> OuterStep:
        """Sweeps, a true energy for each chain, and its test; no energy is a refusal."""
        rungs = self._ladder.sweep(state.rungs, self._sweeps)
        true = self._potential.evaluate(rungs.x[:, 0]).energies
        proposal = ChainState(rungs, true)
        luck = -self._thermal * np.log(1.0 - self._rng.random(len(true)))
        with np.errstate(invalid="ignore"):
            accepted = proposal.difference - state.difference < luck
        # A chain that began where there is no true energy leaves at the first that has one.
        accepted |= np.isnan(state.true) & np.isfinite(proposal.difference)
        after = ChainState(
            rungs.chosen(accepted, state.rungs), np.where(accepted, true, state.true)
        )
        return OuterStep(after, rungs.x[:, 0], true, rungs.energies[:, 0], accepted)

"""A jump with the structure of mechanics: drifts along the constraints, kicks between them.

    kick(w F + e G) · drift(h) · kick(h G) · drift(h) · … · drift(h) · kick(w F' + e G')

S drifts of h = τ/S, G the learned force, F and F' the true forces at both ends with weight
w = h/2 + β (τ − h)/2 and e = h/2 − w. Every part is reversible and keeps the
volume of phase space on the constraint manifold, whatever the weights, and the composition is
palindromic: so is the whole, and symplectic where G is a gradient. With G = F it is velocity
Verlet with RATTLE and step h. The last true kick is the corrector's (`closing_kick`), whose force
opens the next jump.

What is learned is G alone. How many drifts, how long and with which β is a matter of the run: the
same network makes jumps of any length.

Leimkuhler & Reich, *Simulating Hamiltonian Dynamics*, 2004, ch. 4 and 7; with β = 1 this is the
impulse method of Tuckerman, Berne & Martyna, J. Chem. Phys. 97, 1990 (1992).
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.config import ModelConfig
from kstep.regressed.networks.batch import JumpBatch, JumpPrediction
from kstep.regressed.networks.direct_kicks import DirectForce
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.networks.physics import JumpPhysics
from kstep.surrogates.constraints import RigidBonds, TangentSpace, mobilities, rigid_bonds
from kstep.surrogates.force_field_like.potential import Force, LearnedPotential
from kstep.surrogates.force_field_like.terms import TermBatch


@dataclass(frozen=True, eq=False)
class SplittingMolecules:
    """What a splitting knows of some molecules before it sees a state of theirs.

    Attributes:
        rigid: their constraints.
        mobility: 1/m, 1/Da [B, N, 1]; 0 at padding.
        force: what the learned kicks come from.
    """

    rigid: RigidBonds
    mobility: Float[Tensor, "B N 1"]
    force: Force


class SplittingJump(JumpModel):
    """Maps (x, v, F) to the state before the true half of the closing kick.

    Args:
        config: arch splitting: kicks, and the size of the force's network.
        physics: stride and closing weight.

    Attributes:
        drifts: S; one for each base step unless `composed` says otherwise.
    """

    def __init__(self, config: ModelConfig, physics: JumpPhysics) -> None:
        super().__init__(config, physics)
        conservative = config.kicks == "conservative"
        self.learned = LearnedPotential(config) if conservative else DirectForce(config)
        self.drifts = physics.k_steps

    @property
    def step(self) -> float:
        """Duration h of a drift, ps."""
        return self.physics.duration / self.drifts

    @property
    def end_weight(self) -> float:
        """Weight e of the learned force in the kicks at both ends, ps."""
        return 0.5 * self.step - self.physics.closing_ps

    def composed(
        self, k_steps: int, dt_ps: float, drifts_per_step: int, impulse: float
    ) -> "SplittingJump":
        """A jump by the same learned force, otherwise composed.

        A force knows of neither steps nor masses, so that any will do.

        Args:
            k_steps: base steps it takes.
            dt_ps: base step, ps.
            drifts_per_step: S/k.
            impulse: β.
        """
        jump = copy.copy(self)
        jump.drifts = k_steps * drifts_per_step
        changes = {
            "k_steps": k_steps,
            "dt_ps": dt_ps,
            "closing_ps": closing_weight(k_steps, dt_ps, drifts_per_step, impulse),
            "masses_Da": {},
        }
        jump.physics = self.physics.model_copy(update=changes)
        return jump

    def forward(self, batch: JumpBatch) -> JumpPrediction:
        """Predict the jump of every state of the batch."""
        tangent, v = self.landing(batch)
        return JumpPrediction(
            dx=tangent.x - batch.x,
            dv=v - batch.v,
            force=None,
            imbalance=torch.zeros_like(batch.x[:, :2]),
        )

    def landing(self, batch: JumpBatch) -> tuple[TangentSpace, Float[Tensor, "B N 3"]]:
        """Where every state of the batch lands, with the velocities there."""
        molecules = self.molecules(batch.species, batch.masses, batch.terms)
        tangent, v = self.open(batch.x, batch.v, batch.f, molecules)
        for _ in range(self.drifts - 1):
            tangent, v = self.advance(tangent, v, molecules)
        return self.land(tangent, v, molecules)

    def molecules(
        self, species: Int[Tensor, "B N"], masses: Float[Tensor, "B N"], terms: TermBatch
    ) -> SplittingMolecules:
        """Constraints and coefficients of some molecules."""
        return SplittingMolecules(
            rigid=rigid_bonds(terms, masses),
            mobility=mobilities(masses),
            force=self.learned.force_of(species, terms),
        )

    def open(
        self,
        x: Float[Tensor, "B N 3"],
        v: Float[Tensor, "B N 3"],
        f: Float[Tensor, "B N 3"],
        molecules: SplittingMolecules,
    ) -> tuple[TangentSpace, Float[Tensor, "B N 3"]]:
        """The opening kick, with the true force f."""
        tangent = molecules.rigid.at(x)
        v = v + self.physics.closing_ps * molecules.mobility * f
        return tangent, self._end_kick(tangent, v, molecules)

    def advance(
        self, tangent: TangentSpace, v: Float[Tensor, "B N 3"], molecules: SplittingMolecules
    ) -> tuple[TangentSpace, Float[Tensor, "B N 3"]]:
        """A drift and a kick by the learned force."""
        tangent, v = tangent.drift(v, self.step)
        return tangent, tangent.project(v + self._kick(tangent, self.step, molecules))

    def land(
        self, tangent: TangentSpace, v: Float[Tensor, "B N 3"], molecules: SplittingMolecules
    ) -> tuple[TangentSpace, Float[Tensor, "B N 3"]]:
        """The last drift, and what the learned force has in the closing kick."""
        tangent, v = tangent.drift(v, self.step)
        return tangent, self._end_kick(tangent, v, molecules)

    def _end_kick(
        self, tangent: TangentSpace, v: Float[Tensor, "B N 3"], molecules: SplittingMolecules
    ) -> Float[Tensor, "B N 3"]:
        if abs(self.end_weight) > 1e-12:
            v = v + self._kick(tangent, self.end_weight, molecules)
        return tangent.project(v)

    def _kick(
        self, tangent: TangentSpace, weight: float, molecules: SplittingMolecules
    ) -> Float[Tensor, "B N 3"]:
        return weight * molecules.mobility * molecules.force(tangent.x)


def closing_weight(
    k_steps: int, dt_ps: float, drifts_per_step: int = 1, impulse: float = 0.0
) -> float:
    """Weight w of the true force in the kicks at both ends, ps."""
    step, duration = dt_ps / drifts_per_step, k_steps * dt_ps
    return 0.5 * (step + impulse * (duration - step))

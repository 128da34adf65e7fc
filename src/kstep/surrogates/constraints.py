"""Rigid bonds in torch: RATTLE's drift and velocity projection, batched and differentiable.

With the incidence matrix S, r = S x are the vectors along the rigid bonds, and the constraints
are σ_c = ½(|r_c|² − d_c²) = 0. Their gradients are S_cᵀ r_c, so that all solving happens in the
space of the bonds, where K = S M⁻¹ Sᵀ says how bonds that share an atom (CH₂, CH₃, NH₃) push each
other: the impulses λ of a drift change r by −K (λ r).

Andersen, J. Comput. Phys. 52, 24 (1983); Leimkuhler & Matthews, Proc. R. Soc. A 472, 20160138
(2016), for the drift along geodesics.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kstep.surrogates.force_field_like.terms import TermBatch

SWEEPS = 8
"""Quasi-Newton sweeps of a drift. Each gains two to three digits at 2 fs."""
CONVERGED = 1e-9
"""Of d², in double precision: what a drift may miss the constraints by and still be reversible."""


@dataclass(frozen=True, eq=False)
class RigidBonds:
    """The constrained bonds of a batch of molecules.

    Attributes:
        incidence: S, +1 and −1 at the atoms of each bond; 0 for padding [B, C, N].
        push: M⁻¹ Sᵀ, what an impulse along each bond does to the atoms, 1/Da [B, N, C].
        coupling: K = S M⁻¹ Sᵀ, 1/Da [B, C, C].
        squares: d², nm² [B, C]; 0 for padding.
        absent: the unit matrix where there is padding [B, C, C].
    """

    incidence: Float[Tensor, "B C N"]
    push: Float[Tensor, "B N C"]
    coupling: Float[Tensor, "B C C"]
    squares: Float[Tensor, "B C"]
    absent: Float[Tensor, "B C C"]

    def at(self, x: Float[Tensor, "B N 3"]) -> "TangentSpace":
        """The constraints at positions x, nm."""
        bonds = self.incidence @ x
        metric = self.coupling * (bonds @ bonds.transpose(1, 2)) + self.absent
        # Without the check for singular matrices, which a GPU would have to wait for.
        inverse = torch.linalg.inv_ex(metric).inverse
        return TangentSpace(self, x, bonds, inverse, x.new_zeros(len(x)))


@dataclass(frozen=True, eq=False)
class TangentSpace:
    """The constraints at some positions: velocities that keep them, and paths that do.

    Attributes:
        rigid: the bonds.
        x: positions, nm [B, N, 3].
        bonds: r = S x, nm [B, C, 3].
        inverse: of the metric σ' M⁻¹ σ'ᵀ [B, C, C].
        missed: the most that a drift on the way here has missed a d² by, in parts of it: where
            velocities are too high its sweeps do not converge [B].
    """

    rigid: RigidBonds
    x: Float[Tensor, "B N 3"]
    bonds: Float[Tensor, "B C 3"]
    inverse: Float[Tensor, "B C C"]
    missed: Float[Tensor, " B"]

    def project(self, v: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 3"]:
        """The velocities without what would change a rigid bond."""
        rates = ((self.rigid.incidence @ v) * self.bonds).sum(-1, keepdim=True)
        return v - self.rigid.push @ ((self.inverse @ rates) * self.bonds)

    def drift(
        self, v: Float[Tensor, "B N 3"], duration: float, sweeps: int = SWEEPS
    ) -> tuple["TangentSpace", Float[Tensor, "B N 3"]]:
        """Free flight along the constraints: where it leads, and the velocities there.

        x' = x + h u, u = v − M⁻¹ Sᵀ(λ r(x)) with σ(x') = 0, and v' = u projected at x': reversible
        and volume-preserving on the constraint manifold where λ is converged.

        Args:
            v: tangential velocities, nm/ps.
            duration: h, ps; may be negative.
            sweeps: number of quasi-Newton sweeps for λ.
        """
        rigid = self.rigid
        free = self.bonds + duration * (rigid.incidence @ v)
        impulse = torch.zeros_like(self.bonds[..., :1])  # h λ
        for _ in range(sweeps):
            bonds = free - rigid.coupling @ (impulse * self.bonds)
            excess = 0.5 * (bonds.square().sum(-1) - rigid.squares)
            impulse = impulse + self.inverse @ excess[..., None]
        shift = rigid.push @ (impulse * self.bonds)
        end = rigid.at(self.x + duration * v - shift)
        end = replace(end, missed=torch.maximum(self.missed, end.off))
        return end, end.project(v - shift / duration)

    @property
    def off(self) -> Float[Tensor, " B"]:
        """The most that a d² is missed by at these positions, in parts of it."""
        squares = self.rigid.squares
        excess = (self.bonds.square().sum(-1) - squares).detach().abs()
        missed = torch.where(squares > 0, excess / squares.clamp_min(1e-12), 0.0)
        return nn.functional.pad(missed, (0, 1)).amax(1)  # 0 where there are no bonds


def rigid_bonds(terms: TermBatch, masses: Float[Tensor, "B N"]) -> RigidBonds:
    """The bonds whose length the force field fixes (those without a stiffness).

    Args:
        terms: of the molecules.
        masses: Da, 0 at padding; their type is that of the result.
    """
    lengths = terms.bond_constants[..., 1].to(masses.dtype)
    rigid = (terms.bond_constants[..., 0] == 0) & (terms.bonds[..., 0] != terms.bonds[..., 1])
    atoms, lengths, present = _first(terms.bonds, lengths, rigid)
    sign = present.to(masses.dtype)[..., None]
    incidence = masses.new_zeros(*present.shape, masses.shape[1])
    incidence = incidence.scatter_add(2, atoms[..., :1], sign)
    incidence = incidence.scatter_add(2, atoms[..., 1:], -sign)
    push = incidence.transpose(1, 2) * mobilities(masses)
    return RigidBonds(
        incidence=incidence,
        push=push,
        coupling=incidence @ push,
        squares=lengths.square() * present,
        absent=torch.diag_embed((~present).to(masses.dtype)),
    )


def mobilities(masses: Float[Tensor, "B N"]) -> Float[Tensor, "B N 1"]:
    """1/m, 1/Da; 0 at padding."""
    return torch.where(masses > 0, 1.0 / masses.clamp_min(1e-9), 0.0)[..., None]


def _first(
    atoms: Int[Tensor, "B NB 2"], lengths: Float[Tensor, "B NB"], chosen: Bool[Tensor, "B NB"]
) -> tuple[Int[Tensor, "B C 2"], Float[Tensor, "B C"], Bool[Tensor, "B C"]]:
    """The chosen bonds of every molecule, padded to the most that one of them has."""
    size = int(chosen.sum(1).max()) if chosen.numel() else 0
    order = torch.argsort((~chosen).to(torch.int8), dim=1, stable=True)[:, :size]
    pairs = torch.gather(atoms, 1, order[..., None].expand(-1, -1, 2))
    return pairs, torch.gather(lengths, 1, order), torch.gather(chosen, 1, order)

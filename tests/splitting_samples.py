"""Small molecules with rigid bonds, states on their constraints, and splittings with any weights.

All in float64: what is tested with them holds to round-off.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kstep.config import ModelConfig
from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.splitting import SplittingJump
from kstep.surrogates.constraints import RigidBonds, rigid_bonds
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.system.force_field import Terms, pad_terms
from kstep.units import BOLTZMANN
from model_samples import PHYSICS
from term_samples import joined_terms

K, DT = 4, 0.002
KICKS = ("conservative", "direct")

Force = Callable[[Tensor], Tensor]
Map = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Sample:
    """A molecule at rest."""

    numbers: np.ndarray
    masses: np.ndarray
    x: np.ndarray
    terms: Terms

    @property
    def rigid_pairs(self) -> np.ndarray:
        return self.terms.bonds[self.terms.bond_constants[:, 0] == 0.0]

    def batch(self, copies: int = 1) -> TermBatch:
        return batch_terms(pad_terms([self.terms]), torch.float64).expand(copies)

    def rigid(self, copies: int = 1) -> RigidBonds:
        masses = torch.from_numpy(self.masses).expand(copies, -1)
        return rigid_bonds(self.batch(copies), masses)

    def states(self, copies: int = 1, seed: int = 0, spread: float = 0.004) -> JumpBatch:
        """Displaced states at 300 K, on the constraints, with forces by `springs`."""
        rng = np.random.default_rng(seed)
        shape = (copies, *self.x.shape)
        x = torch.from_numpy(self.x + rng.normal(0.0, spread, shape))
        thermal = np.sqrt(BOLTZMANN * 300.0 / self.masses)[:, None]
        tangent, _ = self.rigid(copies).at(x).drift(torch.zeros_like(x), 1.0, sweeps=40)
        return JumpBatch(
            species=torch.from_numpy(self.numbers).expand(copies, -1),
            masses=torch.from_numpy(self.masses).expand(copies, -1),
            x=tangent.x,
            v=tangent.project(torch.from_numpy(rng.normal(size=shape) * thermal)),
            f=self.springs(tangent.x),
            terms=self.batch(copies),
        )

    def springs(self, x: Tensor) -> Tensor:
        """A true force: soft springs between all atoms, kJ/mol/nm."""
        rest = torch.from_numpy(np.linalg.norm(self.x[:, None] - self.x[None], axis=-1))
        own = torch.eye(len(self.x), dtype=x.dtype)
        difference = x[:, :, None] - x[:, None]
        distance = (difference.square().sum(-1) + own).sqrt()
        pull = -1e4 * (distance - rest - own) / distance
        return (pull[..., None] * difference).sum(2)


def hydroxylamine(constrained: bool = True) -> Sample:
    """H₂N–OH: a coupled group, a single rigid bond, and a torsion."""
    x = np.zeros((5, 3))
    x[1] = [0.145, 0.0, 0.0]
    x[2] = 0.102 * _unit([-0.25, 0.55, 0.8])
    x[3] = 0.102 * _unit([-0.25, 0.55, -0.8])
    x[4] = x[1] + 0.097 * _unit([0.2, 0.5, 0.84])
    numbers = np.array([7, 8, 1, 1, 1])
    return _sample(numbers, x, [(0, 1), (0, 2), (3, 0), (1, 4)], constrained)


def ethylammonium(constrained: bool = True) -> Sample:
    """CH₃–CH₂–NH₃⁺: groups of three, two and three rigid bonds that share an atom."""
    heavy = np.array([[0.0, 0.0, 0.0], [0.153, 0.0, 0.0], [0.203, 0.14, 0.0]])
    links = (heavy[0] - heavy[1], heavy[2] - heavy[1])
    bisector = -_unit(_unit(links[0]) + _unit(links[1]))
    out = np.array([0.0, 0.0, 1.0])
    hydrogens = [
        *(heavy[0] + 0.109 * d for d in _tripod(heavy[1] - heavy[0])),
        *(heavy[1] + 0.109 * _unit(bisector + side * out) for side in (1.4, -1.4)),
        *(heavy[2] + 0.101 * d for d in _tripod(heavy[1] - heavy[2])),
    ]
    numbers = np.array([6, 6, 7, *[1] * 8])
    bonds = [(0, 1), (1, 2), (0, 3), (0, 4), (5, 0), (1, 6), (7, 1), (2, 8), (2, 9), (2, 10)]
    return _sample(numbers, np.stack([*heavy, *hydrogens]), bonds, constrained)


def make_splitting(
    kicks: str = "conservative",
    seed: int = 1,
    noise: float = 0.05,
    impulse: float = 0.0,
    drifts_per_step: int = 1,
    strains: bool = True,
) -> SplittingJump:
    """A small splitting of K base steps; `noise` on all its weights, so that nothing is silent."""
    torch.manual_seed(seed)
    config = ModelConfig(
        arch="splitting", kicks=kicks, strains=strains, hidden_channels=8, rbf_size=6
    )
    closed = {"landing": "closing_kick", "k_steps": K, "dt_ps": DT}
    model = build_model(config, PHYSICS.model_copy(update=closed)).double().eval()
    assert isinstance(model, SplittingJump)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += noise * torch.randn_like(parameter)
    return model.requires_grad_(False).composed(K, DT, drifts_per_step, impulse)


def macro_step(model: SplittingJump, start: JumpBatch, true: Force) -> Map:
    """Jump and closing kick, with another true force: (x, v) → (x', v')."""
    mobility = 1.0 / start.masses[..., None]
    rigid = rigid_bonds(start.terms, start.masses)

    def step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        jump = model(replace(start, x=x, v=v, f=true(x)))
        x, v = x + jump.dx, v + jump.dv
        return x, rigid.at(x).project(v + model.physics.closing_ps * mobility * true(x))

    return step


def _sample(
    numbers: np.ndarray, x: np.ndarray, bonds: list[tuple[int, int]], constrained: bool
) -> Sample:
    rng = np.random.default_rng(7)
    terms = joined_terms(x, bonds, rng, rigid=0.0)
    constants = terms.bond_constants.copy()
    if constrained:
        light = (numbers[terms.bonds] == 1).any(1)
        constants[light, 0] = 0.0
        ends = x[terms.bonds[light]]
        constants[light, 1] = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
    terms = replace(terms, bond_constants=constants)
    masses = np.array([{1: 1.0, 6: 12.0, 7: 14.0, 8: 16.0}[n] for n in numbers.tolist()])
    return Sample(numbers, masses, x, terms)


def _unit(vector: list[float] | np.ndarray) -> np.ndarray:
    return np.asarray(vector) / np.linalg.norm(vector)


def _tripod(neighbour: np.ndarray) -> list[np.ndarray]:
    """Three directions at the angles of a tetrahedron to that of a neighbour."""
    axis = _unit(neighbour)
    across = _unit(np.cross(axis, [0.0, 0.0, 1.0]))
    third = np.cross(axis, across)
    turns = 2.0 * np.pi * np.arange(3) / 3.0
    return [-axis / 3.0 + np.sqrt(8.0) / 3.0 * (np.cos(t) * across + np.sin(t) * third)
            for t in turns]  # fmt: skip

"""One molecule's potential learned from labels: forces along the constraints, and energies.

Forces say how steep the potential is everywhere, energies how high its basins lie above each
other: the spread of the difference between true and learned energy, which decides what a Metropolis
test accepts, falls by a factor of four with them.

All states are of one molecule, so that its coefficients are made once a batch, not once a state.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.config import TrainConfig
from kstep.protocols import Labels
from kstep.surrogates.constraints import RigidBonds, mobilities, rigid_bonds
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.surrogates.optimiser import learning_rate, make_optimiser, update_average
from kstep.system.force_field import pad_terms
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.molecule import Molecule

ENERGY_UNIT = 2.5
"""kJ/mol of energy error that counts as one: kT at room temperature."""
Report = Callable[[float], None]
"""Told of the share of the work done since it was last told."""


@dataclass(frozen=True)
class FitSettings:
    """How a fit goes.

    Attributes:
        steps: of the optimiser.
        batch_size: labels in each.
        lr, lr_min: first and last learning rate; half a cosine between them.
        energy_weight: of the energies' loss beside that of the forces, which is relative.
        weight_decay: of matrices.
        grad_clip: largest norm of the gradient.
        seed: of the batches.
    """

    steps: int = 2000
    batch_size: int = 32
    lr: float = 4e-3
    lr_min: float = 1e-5
    energy_weight: float = 3e-3
    weight_decay: float = 1e-4
    grad_clip: float = 1.0
    seed: int = 42


@dataclass(frozen=True, eq=False)
class Learner:
    """What a fit knows of its molecule.

    Attributes:
        species: atomic numbers [1, N].
        terms: of its force field.
        rigid: its constraints.
        mobility: 1/m, 1/Da [1, N, 1].
    """

    species: Tensor
    terms: TermBatch
    rigid: RigidBonds
    mobility: Float[Tensor, "1 N 1"]

    @classmethod
    def of(cls, molecule: Molecule) -> "Learner":
        """In float32."""
        terms = batch_terms(pad_terms([molecule.terms]))
        masses = torch.from_numpy(molecule.masses.astype(np.float32))[None]
        species = torch.from_numpy(molecule.numbers.astype(np.int64))[None]
        return cls(species, terms, rigid_bonds(terms, masses), mobilities(masses))

    def loss(
        self,
        network: LearnedPotential,
        x: Float[Tensor, "B N 3"],
        energies: Float[Tensor, " B"],
        forces: Float[Tensor, "B N 3"],
        energy_weight: float,
    ) -> Float[Tensor, ""]:
        """Relative error of the accelerations along the constraints, and that of energies in kT."""
        x = x.requires_grad_(True)
        learned = network.energy(x, network.parameters_of(self.species, self.terms))
        (slope,) = torch.autograd.grad(learned.sum(), x, create_graph=True)
        tangent = self.rigid.at(x.detach())
        root = self.mobility.rsqrt()
        truth = root * tangent.project(self.mobility * forces)
        error = root * tangent.project(self.mobility * -slope) - truth
        by_force = error.square().sum() / truth.square().sum()
        off = (energies - learned) / ENERGY_UNIT
        centred = off - off.mean()
        by_energy = torch.nn.functional.huber_loss(centred, torch.zeros_like(centred))
        total: Tensor = by_force + energy_weight * by_energy
        return total


def fit_network(
    start: LearnedPotential,
    molecule: Molecule,
    labels: Labels,
    settings: FitSettings,
    report: Report = lambda share: None,
) -> LearnedPotential:
    """The network after `settings.steps` more steps: the average of its weights, in float32."""
    learner = Learner.of(molecule)
    arrays = (remove_centre_of_mass(labels.x, molecule.masses), labels.energies, labels.forces)
    centred = labels.energies - np.median(labels.energies)  # float32 holds differences
    x, energies, forces = (
        torch.from_numpy(array.astype(np.float32)) for array in (arrays[0], centred, arrays[2])
    )
    rng = np.random.default_rng(settings.seed)
    network = copy.deepcopy(start).float().train().requires_grad_(True)
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = make_optimiser(
        network, TrainConfig(lr=settings.lr, lr_min=0.0, weight_decay=settings.weight_decay)
    )
    order = _batches(rng, len(labels), settings.batch_size)
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step / settings.steps, settings.lr, settings.lr_min)
        chosen = torch.from_numpy(next(order))
        batch = x[chosen], energies[chosen], forces[chosen]
        loss = learner.loss(network, *batch, settings.energy_weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.grad_clip)
        if torch.isfinite(norm):
            optimiser.step()
        update_average(average, network, step + 1)
        report(1.0 / settings.steps)
    return average.eval()


def _batches(rng: np.random.Generator, count: int, size: int) -> Iterator[Int[np.ndarray, " B"]]:
    """Batches that go through all labels before one comes again."""
    while True:
        order = rng.permutation(count)
        for first in range(0, max(count - size, 0) + 1, size):
            yield order[first : first + size]

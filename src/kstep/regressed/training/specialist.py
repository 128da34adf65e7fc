"""Learning one molecule's forces from labelled states: what an adaptation does.

All states are of one molecule, so that its coefficients are made once a batch, not once a state:
two to three times as fast as the training of a transferable network.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from kstep.config import TrainConfig
from kstep.protocols import Labels
from kstep.regressed.networks.splitting import SplittingJump, SplittingMolecules
from kstep.regressed.training.objective import relative_error
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.surrogates.optimiser import learning_rate, make_optimiser, update_average
from kstep.system.force_field import Terms, pad_terms

_AT_ONCE = 64
"""States in one call where no gradient is taken."""


@dataclass(frozen=True, eq=False)
class OneMolecule:
    """What training knows of the molecule.

    Attributes:
        species: atomic numbers [1, N].
        masses: Da.
        terms: of its force field.
    """

    species: Int[Tensor, "1 N"]
    masses: Float[Tensor, "1 N"]
    terms: TermBatch

    @classmethod
    def of(
        cls, numbers: Int[np.ndarray, " N"], masses: Float[np.ndarray, " N"], terms: Terms
    ) -> "OneMolecule":
        """From arrays, in float32."""
        return cls(
            torch.from_numpy(numbers.astype(np.int64))[None],
            torch.from_numpy(masses.astype(np.float32))[None],
            batch_terms(pad_terms([terms])),
        )

    def known_to(self, model: SplittingJump) -> SplittingMolecules:
        """What a splitting makes of the molecule."""
        return model.molecules(self.species, self.masses, self.terms)


def learn_forces(
    start: SplittingJump,
    molecule: OneMolecule,
    states: Labels,
    config: TrainConfig,
    report: Callable[[float], None],
) -> SplittingJump:
    """The start network, trained further: the average of its weights.

    Args:
        start: left as it is.
        molecule: whose states they are.
        states: to learn from.
        config: optimiser, rates, batch_size, seed, and when to end: `max_steps`, or `max_minutes`
            where that is set and comes first.
        report: told of the share of the training done since it was last told.
    """
    rng = np.random.default_rng(config.seed)
    model = copy.deepcopy(start).float().train().requires_grad_(True)
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = make_optimiser(model, config)
    began, done, steps = time.monotonic(), 0.0, 0
    while done < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(done, config.lr, config.lr_min)
        chosen = rng.integers(len(states), size=config.batch_size)
        loss = relative_error(molecule.known_to(model), *_tensors(states, chosen))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        if torch.isfinite(norm):
            optimiser.step()
        steps += 1
        update_average(average, model, steps)
        now = _share_done(steps, began, config)
        report(now - done)
        done = now
    return average.eval()


def _share_done(steps: int, began: float, config: TrainConfig) -> float:
    """Share of the training that is done: of its steps, or of its time if that ends it first."""
    assert config.max_steps is not None
    done = steps / config.max_steps
    if config.max_minutes is not None:
        done = max(done, (time.monotonic() - began) / (60.0 * config.max_minutes))
    return min(done, 1.0)


def force_error(model: SplittingJump, molecule: OneMolecule, states: Labels) -> float:
    """Relative error of the learned accelerations along the constraints, root mean square."""
    wrong = total = 0.0
    with torch.no_grad():
        known = molecule.known_to(model)
        for part in _parts(len(states)):
            size = float((states.forces[part] ** 2 / molecule.masses.numpy()[..., None]).sum())
            wrong += size * float(relative_error(known, *_tensors(states, part)))
            total += size
    return math.sqrt(wrong / total)


def disagreement(
    one: SplittingJump, other: SplittingJump, molecule: OneMolecule, x: Float32[np.ndarray, "S N 3"]
) -> Float[np.ndarray, " S"]:
    """Root mean square difference of two networks' forces at every geometry, mass-weighted."""
    found = []
    with torch.no_grad():
        known = [molecule.known_to(model) for model in (one, other)]
        for part in _parts(len(x)):
            at = torch.from_numpy(x[part])
            difference = known[0].force(at) - known[1].force(at)
            weighted = difference.square() * known[0].mobility
            found.append(weighted.mean((1, 2)).sqrt().numpy())
    return np.concatenate(found)


def _tensors(states: Labels, chosen: Int[np.ndarray, " B"]) -> tuple[Tensor, Tensor]:
    """Positions and forces of some states."""
    x, forces = (array[chosen].astype(np.float32) for array in (states.x, states.forces))
    return torch.from_numpy(x), torch.from_numpy(forces)


def _parts(count: int) -> list[Int[np.ndarray, " B"]]:
    """Numbers below `count`, in parts that fit into one call."""
    return np.array_split(np.arange(count), -(-count // _AT_ONCE))

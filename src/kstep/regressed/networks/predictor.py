"""A trained jump for the hybrid loop: NumPy states in, NumPy states out."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.compiled.propagation import Composition
from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.networks.jump import JumpModel, RegressedJump
from kstep.regressed.networks.propagator import Propagator
from kstep.regressed.networks.recording import Recorder
from kstep.regressed.networks.splitting import SplittingJump
from kstep.surrogates.constraints import CONVERGED
from kstep.surrogates.force_field_like.kernel.jump import CompiledJump
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms
from kstep.system.force_field import Terms, pad_terms

Replicas = Float[np.ndarray, "R N 3"]


@runtime_checkable
class JumpPredictor(Protocol):
    """Jumps replicas of one molecule."""

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """The states after one jump from (x, v) with forces f, all replicas in one network call.

        nm, nm/ps and kJ/mol/nm; what comes back is (x', v') at the model's landing.
        """


def make_predictor(
    model: JumpModel,
    numbers: Int[np.ndarray, " N"],
    masses: Float[np.ndarray, " N"],
    terms: Terms,
) -> JumpPredictor:
    """The predictor of a trained model for one molecule of its chemistry (see `require_match`).

    Args:
        model: the model.
        numbers: atomic numbers [N].
        masses: Da [N].
        terms: of its force field.
    """
    if isinstance(model, SplittingJump):
        if isinstance(model.learned, LearnedPotential):
            return CompiledJump(model.learned, composition_of(model), numbers, masses, terms)
        return DirectPredictor(model, _Molecule(model, numbers, masses, terms, torch.float64))
    assert isinstance(model, RegressedJump)
    return RegressedPredictor(model, _Molecule(model, numbers, masses, terms, torch.float32))


class _Molecule:
    """One molecule as tensors of one type, where a model's weights are."""

    def __init__(
        self,
        model: JumpModel,
        numbers: Int[np.ndarray, " N"],
        masses: Float[np.ndarray, " N"],
        terms: Terms,
        dtype: torch.dtype,
    ) -> None:
        self._device, self._dtype = next(model.parameters()).device, dtype
        self._species = torch.from_numpy(numbers.astype(np.int64)).to(self._device)
        self._masses = self.tensor(masses)
        self._terms = batch_terms(pad_terms([terms]), dtype).to(self._device)
        self.weights = masses / masses.sum()

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array in the molecule's type and place."""
        return torch.tensor(array, dtype=self._dtype, device=self._device)

    def copies(self, replicas: int) -> tuple[Tensor, Tensor, TermBatch]:
        """Species, masses and terms of so many copies."""
        species, masses = self._species.expand(replicas, -1), self._masses.expand(replicas, -1)
        return species, masses, self._terms.expand(replicas)


class RegressedPredictor:
    """Jumps by a network that returns them.

    The network computes differences in float32; they are added to the float64 state, so a
    jump costs no precision of the state.
    """

    def __init__(self, model: RegressedJump, molecule: _Molecule) -> None:
        self._molecule = molecule
        network = _OneMolecule(model, molecule).eval()
        # The propagator does the same operations whatever the state: they can be recorded.
        recordable = isinstance(model.network, Propagator)
        self._jump = Recorder(network) if recordable else network

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """As of every `JumpPredictor`."""
        # Centred in float64: far from the origin float32 would lose the geometry.
        centred = x - np.einsum("rni,n->ri", x, self._molecule.weights)[:, None]
        with one_thread(), torch.inference_mode():
            dx, dv = self._jump(*(self._molecule.tensor(array) for array in (centred, v, f)))
        return x + dx.cpu().numpy(), v + dv.cpu().numpy()


class _OneMolecule(nn.Module):
    """A model as a function of the states of one molecule alone."""

    def __init__(self, model: JumpModel, molecule: _Molecule) -> None:
        super().__init__()
        self._model, self._molecule = model, molecule

    def forward(
        self, x: Float[Tensor, "R N 3"], v: Float[Tensor, "R N 3"], f: Float[Tensor, "R N 3"]
    ) -> tuple[Float[Tensor, "R N 3"], Float[Tensor, "R N 3"]]:
        """Δx, nm, and Δv, nm/ps."""
        species, masses, terms = self._molecule.copies(len(x))
        jump = self._model(JumpBatch(species, masses, x, v, f, terms))
        return jump.dx, jump.dv


class DirectPredictor:
    """Jumps by drifts and direct kicks, in float64: reversible to round-off.

    NaN, for the guard to refuse, where the constraints of a drift did not converge.
    """

    def __init__(self, model: SplittingJump, molecule: _Molecule) -> None:
        self._model = copy.deepcopy(model).double().requires_grad_(False).eval()
        self._molecule = molecule

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """As of every `JumpPredictor`."""
        with one_thread(), torch.no_grad():
            species, masses, terms = self._molecule.copies(len(x))
            tensor = self._molecule.tensor
            batch = JumpBatch(species, masses, tensor(x), tensor(v), tensor(f), terms)
            end, moving = self._model.landing(batch)
            lost = (end.missed > CONVERGED)[:, None, None]
            landed = [part.masked_fill(lost, torch.nan).cpu() for part in (end.x, moving)]
        return landed[0].numpy(), landed[1].numpy()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread meanwhile: on a small molecule a second costs more than it gives."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def composition_of(model: SplittingJump) -> Composition:
    """How a splitting is composed, for compiled code."""
    return Composition(model.drifts, model.step, model.physics.closing_ps, model.end_weight)

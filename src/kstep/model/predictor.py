"""A trained jump for the hybrid loop: NumPy states in, NumPy states out."""

import copy
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.force_field import Terms, pad_terms
from kstep.model.batch import JumpBatch
from kstep.model.constraints import TangentSpace
from kstep.model.jump import JumpModel, RegressedJump
from kstep.model.propagator import Propagator
from kstep.model.recording import Recorder
from kstep.model.splitting import SplittingJump, SplittingMolecules
from kstep.model.terms import TermBatch, batch_terms

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
        return SplittingPredictor(model, numbers, masses, terms)
    return RegressedPredictor(model, numbers, masses, terms)


class RegressedPredictor:
    """Jumps by a network that returns them.

    The network computes differences in float32; they are added to the float64 state, so a
    jump costs no precision of the state.

    Args:
        model, numbers, masses, terms: as for `make_predictor`.
    """

    def __init__(
        self,
        model: JumpModel,
        numbers: Int[np.ndarray, " N"],
        masses: Float[np.ndarray, " N"],
        terms: Terms,
    ) -> None:
        self._device = next(model.parameters()).device
        self._weights = masses / masses.sum()
        species = torch.from_numpy(numbers.astype(np.int64)).to(self._device)
        padded = batch_terms(pad_terms([terms])).to(self._device)
        self._network = _OneMolecule(model, species, self._single(masses), padded).eval()
        # The propagator does the same operations whatever the state: they can be recorded.
        recordable = isinstance(model, RegressedJump) and isinstance(model.network, Propagator)
        self._jump = Recorder(self._network) if recordable else self._network

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """As of every `JumpPredictor`."""
        # Centred in float64: far from the origin float32 would lose the geometry.
        centred = x - np.einsum("rni,n->ri", x, self._weights)[:, None]
        states = (self._single(centred), self._single(v), self._single(f))
        with torch.inference_mode():
            dx, dv = self._jump(*states)
        return x + dx.cpu().numpy(), v + dv.cpu().numpy()

    def _single(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self._device)


class _OneMolecule(nn.Module):
    """A model as a function of the states of one molecule alone."""

    def __init__(
        self,
        model: JumpModel,
        species: Int[Tensor, " N"],
        masses: Float[Tensor, " N"],
        terms: TermBatch,
    ) -> None:
        super().__init__()
        self._model, self._species, self._masses, self._terms = model, species, masses, terms

    def forward(
        self, x: Float[Tensor, "R N 3"], v: Float[Tensor, "R N 3"], f: Float[Tensor, "R N 3"]
    ) -> tuple[Float[Tensor, "R N 3"], Float[Tensor, "R N 3"]]:
        """Δx, nm, and Δv, nm/ps."""
        replicas = len(x)
        species, masses = self._species.expand(replicas, -1), self._masses.expand(replicas, -1)
        jump = self._model(JumpBatch(species, masses, x, v, f, self._terms.expand(replicas)))
        return jump.dx, jump.dv


class SplittingPredictor:
    """Jumps by drifts and learned kicks, in float64: reversible to round-off.

    Args:
        model, numbers, masses, terms: as for `make_predictor`.
    """

    def __init__(
        self,
        model: SplittingJump,
        numbers: Int[np.ndarray, " N"],
        masses: Float[np.ndarray, " N"],
        terms: Terms,
    ) -> None:
        self._model = copy.deepcopy(model).double().requires_grad_(False).eval()
        self._device = next(model.parameters()).device
        self._species = torch.from_numpy(numbers.astype(np.int64)).to(self._device)
        self._masses = self._double(masses)
        self._terms = batch_terms(pad_terms([terms]), torch.float64).to(self._device)
        self._copies: dict[int, _Copies] = {}

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """As of every `JumpPredictor`."""
        with torch.no_grad():
            copies = self._copies_of(len(x))
            landed, velocities = copies.jump(*(self._double(array) for array in (x, v, f)))
        return landed.cpu().numpy(), velocities.cpu().numpy()

    def _copies_of(self, replicas: int) -> "_Copies":
        if replicas not in self._copies:
            species, masses = (a.expand(replicas, -1) for a in (self._species, self._masses))
            molecules = self._model.molecules(species, masses, self._terms.expand(replicas))
            self._copies[replicas] = _Copies(self._model, molecules)
        return self._copies[replicas]

    def _double(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.astype(np.float64)).to(self._device)


class _Copies:
    """So many replicas of a molecule, with the parts of their jump recorded."""

    def __init__(self, model: SplittingJump, molecules: SplittingMolecules) -> None:
        self._model, self._molecules = model, molecules
        self._advance, self._land = Recorder(self._advanced), Recorder(self._landed)

    def jump(self, x: Tensor, v: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        tangent, v = self._model.open(x, v, f, self._molecules)
        state = (tangent.x, v, tangent.bonds, tangent.inverse)
        for _ in range(self._model.drifts - 1):
            state = self._advance(*state)
        x, v, _, _ = self._land(*state)
        return x, v

    def _advanced(
        self, x: Tensor, v: Tensor, bonds: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        tangent = TangentSpace(self._molecules.rigid, x, bonds, inverse)
        tangent, v = self._model.advance(tangent, v, self._molecules)
        return tangent.x, v, tangent.bonds, tangent.inverse

    def _landed(
        self, x: Tensor, v: Tensor, bonds: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        tangent = TangentSpace(self._molecules.rigid, x, bonds, inverse)
        tangent, v = self._model.land(tangent, v, self._molecules)
        return tangent.x, v, tangent.bonds, tangent.inverse

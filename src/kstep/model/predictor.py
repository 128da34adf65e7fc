"""A trained jump for the hybrid loop: NumPy states in, NumPy states out."""

import copy
from collections.abc import Callable
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
        return SplittingPredictor(model, _Molecule(model, numbers, masses, terms, torch.float64))
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
        with torch.inference_mode():
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


class SplittingPredictor:
    """Jumps by drifts and learned kicks, in float64: reversible to round-off."""

    def __init__(self, model: SplittingJump, molecule: _Molecule) -> None:
        self._model = copy.deepcopy(model).double().requires_grad_(False).eval()
        self._molecule = molecule
        self._copies: dict[int, _Copies] = {}

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """As of every `JumpPredictor`."""
        with torch.no_grad():
            copies = self._copies_of(len(x))
            landed, velocities = copies.jump(*map(self._molecule.tensor, (x, v, f)))
        return landed.cpu().numpy(), velocities.cpu().numpy()

    def _copies_of(self, replicas: int) -> "_Copies":
        if replicas not in self._copies:
            molecules = self._model.molecules(*self._molecule.copies(replicas))
            self._copies[replicas] = _Copies(self._model, molecules)
        return self._copies[replicas]


Part = Callable[[TangentSpace, Tensor, SplittingMolecules], tuple[TangentSpace, Tensor]]


class _Copies:
    """So many replicas of a molecule, with the parts of their jump recorded."""

    def __init__(self, model: SplittingJump, molecules: SplittingMolecules) -> None:
        self._model, self._molecules = model, molecules
        self._advance = Recorder(self._on_tensors(model.advance))
        self._land = Recorder(self._on_tensors(model.land))

    def jump(self, x: Tensor, v: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        tangent, v = self._model.open(x, v, f, self._molecules)
        state = (tangent.x, v, tangent.bonds, tangent.inverse)
        for _ in range(self._model.drifts - 1):
            state = self._advance(*state)
        x, v, _, _ = self._land(*state)
        return x, v

    def _on_tensors(self, part: Part) -> Callable[..., tuple[Tensor, ...]]:
        """A part of the jump, its tangent spaces taken apart for the recorder."""

        def taken_apart(x: Tensor, v: Tensor, bonds: Tensor, inverse: Tensor) -> tuple[Tensor, ...]:
            tangent = TangentSpace(self._molecules.rigid, x, bonds, inverse)
            tangent, v = part(tangent, v, self._molecules)
            return tangent.x, v, tangent.bonds, tangent.inverse

        return taken_apart

"""A trained jump for the hybrid loop: NumPy states in, NumPy states out."""

import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kstep.force_field import Terms, pad_terms
from kstep.model.batch import JumpBatch
from kstep.model.jump import JumpModel
from kstep.model.propagator import Propagator
from kstep.model.terms import TermBatch, batch_terms

WORTH_RECORDING = 100
"""Jumps of one number of replicas after which the network is recorded for it: recording takes
the time of some 200 jumps of one replica, and nearly halves that of each that follows."""
_SETTLING = 3
"""Calls in which torch optimises what it recorded."""

Jump = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class JumpPredictor:
    """Jumps replicas of one molecule.

    The network computes differences in float32; they are added to the float64 state, so a
    jump costs no precision of the state.

    Args:
        model: a trained model of this molecule's chemistry (see `require_match`).
        numbers: atomic numbers [N].
        masses: Da [N].
        terms: of its force field.
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
        self._recordable = isinstance(model.network, Propagator) and self._device.type == "cpu"
        self._recorded: dict[int, Jump] = {}
        self._calls: Counter[int] = Counter()

    def __call__(
        self,
        x: Float[np.ndarray, "R N 3"],
        v: Float[np.ndarray, "R N 3"],
        f: Float[np.ndarray, "R N 3"],
    ) -> tuple[Float[np.ndarray, "R N 3"], Float[np.ndarray, "R N 3"]]:
        """The states after one jump from (x, v) with forces f, all replicas in one network call.

        nm, nm/ps and kJ/mol/nm; what comes back is (x', v') at the model's landing.
        """
        # Centred in float64: far from the origin float32 would lose the geometry.
        centred = x - np.einsum("rni,n->ri", x, self._weights)[:, None]
        states = (self._single(centred), self._single(v), self._single(f))
        with torch.inference_mode():
            dx, dv = self._jump_for(states)(*states)
        return x + dx.cpu().numpy(), v + dv.cpu().numpy()

    def _jump_for(self, states: tuple[Tensor, Tensor, Tensor]) -> Jump:
        replicas = len(states[0])
        self._calls[replicas] += 1
        if self._recordable and self._calls[replicas] == WORTH_RECORDING:
            self._recorded[replicas] = _record(self._network, states)
        return self._recorded.get(replicas, self._network)

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


def _record(network: _OneMolecule, states: tuple[Tensor, Tensor, Tensor]) -> Jump:
    """The network's operations on so many replicas, without Python between them.

    A jump of one small molecule is a thousand small operations, and calling them takes longer
    than doing them. The result is the same to the bit; where it is not, or torch cannot record,
    the network itself is returned. (`torch.jit.freeze` would compute once what depends on the
    molecule alone. That is 5 % faster, but in another order: not the same to the bit.)
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that shapes become constants is the purpose
            recorded: Jump = torch.jit.trace(network, states, check_trace=False)  # type: ignore[no-untyped-call]
            for _ in range(_SETTLING):
                recorded(*states)
    except RuntimeError:
        return network
    pairs = zip(recorded(*states), network(*states), strict=True)
    return recorded if all(torch.equal(*pair) for pair in pairs) else network

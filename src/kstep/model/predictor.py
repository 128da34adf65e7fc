"""A trained jump for the hybrid loop: NumPy states in, NumPy states out."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.model.batch import JumpBatch
from kstep.model.jump import JumpModel


class JumpPredictor:
    """Jumps replicas of one molecule.

    The network computes differences in float32; they are added to the float64 state, so a
    jump costs no precision of the state.

    Args:
        model: a trained model of this molecule's chemistry (see `require_match`).
        numbers: atomic numbers [N].
        masses: Da [N].
    """

    def __init__(
        self, model: JumpModel, numbers: Int[np.ndarray, " N"], masses: Float[np.ndarray, " N"]
    ) -> None:
        self._model = model.eval()
        self._device = next(model.parameters()).device
        self._species = torch.from_numpy(numbers.astype(np.int64)).to(self._device)
        self._masses = self._single(masses)
        self._weights = masses / masses.sum()

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
        with torch.inference_mode():
            batch = JumpBatch(
                self._species.expand(len(x), -1),
                self._masses.expand(len(x), -1),
                self._single(centred),
                self._single(v),
                self._single(f),
            )
            jump = self._model(batch)
        return x + jump.dx.cpu().numpy(), v + jump.dv.cpu().numpy()

    def _single(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self._device)

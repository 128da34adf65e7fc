"""A molecule's force-field terms as tensors, for several molecules at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.system.force_field import TERM_ARRAYS


@dataclass(frozen=True, eq=False)
class TermBatch:
    """Terms of the molecules of a batch, padded to the most that one of them has.

    A padded bond, angle or torsion has 0 for all its atoms; constants are as in
    `kstep.system.force_field.Terms`.
    """

    bonds: Int[Tensor, "M NB 2"]
    bond_constants: Float[Tensor, "M NB 2"]
    angles: Int[Tensor, "M NA 3"]
    angle_constants: Float[Tensor, "M NA 2"]
    torsions: Int[Tensor, "M NT 4"]
    torsion_constants: Float[Tensor, "M NT 7"]
    nonbonded: Float[Tensor, "M N 3"]

    def of(self, rows: Int[Tensor, " B"], n_atoms: int) -> "TermBatch":
        """The terms of some rows, without the padding that they do not need."""
        chosen = {name: getattr(self, name)[rows] for name in TERM_ARRAYS}
        for name in ("bonds", "angles", "torsions"):
            present = chosen[name][..., 0] != chosen[name][..., 1]
            size = int(present.sum(1).max()) if present.numel() else 0
            chosen[name] = chosen[name][:, :size]
            constants = f"{name.removesuffix('s')}_constants"
            chosen[constants] = chosen[constants][:, :size]
        chosen["nonbonded"] = chosen["nonbonded"][:, :n_atoms]
        return type(self)(**chosen)

    def expand(self, n_batch: int) -> "TermBatch":
        """The terms of a single molecule for many states of it, without copies."""
        arrays = {name: getattr(self, name) for name in TERM_ARRAYS}
        return type(self)(**{n: array.expand(n_batch, -1, -1) for n, array in arrays.items()})

    def to(self, device: torch.device, non_blocking: bool = False) -> "TermBatch":
        """The same terms on another device."""
        return type(self)(
            **{n: getattr(self, n).to(device, non_blocking=non_blocking) for n in TERM_ARRAYS}
        )

    def to_dtype(self, dtype: torch.dtype) -> "TermBatch":
        """The same terms with constants of another floating-point type."""
        arrays = {name: getattr(self, name) for name in TERM_ARRAYS}
        return type(self)(**{n: a.to(dtype) if a.is_floating_point() else a
                             for n, a in arrays.items()})  # fmt: skip


def batch_terms(arrays: Mapping[str, np.ndarray], dtype: torch.dtype = torch.float32) -> TermBatch:
    """Tensors of what `kstep.system.force_field.pad_terms` makes of some molecules' terms."""
    tensors = {name: torch.from_numpy(np.asarray(arrays[name])) for name in TERM_ARRAYS}
    return TermBatch(**{name: tensor.to(dtype if tensor.is_floating_point() else torch.int64)
                        for name, tensor in tensors.items()})  # fmt: skip

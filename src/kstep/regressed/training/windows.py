"""Training windows as tensors: starts, targets, both directions of time, batches of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kstep.config import Landing
from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.training.landings import landings
from kstep.regressed.windows.windows import Dataset
from kstep.surrogates.force_field_like.terms import TermBatch, batch_terms


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Starts of some windows of equal size and where they land.

    Attributes:
        start: the states to jump from.
        dx: true displacement, nm [B, N, 3].
        dv: true change of velocity, nm/ps [B, N, 3].
        force: true forces at t + k steps, kJ/mol/nm [B, N, 3].
    """

    start: JumpBatch
    dx: Float[Tensor, "B N 3"]
    dv: Float[Tensor, "B N 3"]
    force: Float[Tensor, "B N 3"]

    def to(self, device: torch.device) -> "WindowBatch":
        """The same batch on another device."""
        return type(self)(
            start=self.start.to(device),
            dx=self.dx.to(device, non_blocking=True),
            dv=self.dv.to(device, non_blocking=True),
            force=self.force.to(device, non_blocking=True),
        )


@dataclass(frozen=True, eq=False)
class JumpWindows:
    """All windows of a dataset, forwards (0) and backwards in time (1).

    Attributes:
        molecule: row of `species` for every window [W].
        species: atomic numbers [M, N]; 0 marks padding.
        masses: Da [M, N].
        terms: of the molecules' force fields, by row.
        x, v, f: start of the jump [2, W, N, 3].
        dx, dv, force: its targets [2, W, N, 3], as in `WindowBatch`.
    """

    molecule: Int[Tensor, " W"]
    species: Int[Tensor, "M N"]
    masses: Float[Tensor, "M N"]
    terms: TermBatch
    x: Float[Tensor, "2 W N 3"]
    v: Float[Tensor, "2 W N 3"]
    f: Float[Tensor, "2 W N 3"]
    dx: Float[Tensor, "2 W N 3"]
    dv: Float[Tensor, "2 W N 3"]
    force: Float[Tensor, "2 W N 3"]

    def batch(
        self, windows: Int[Tensor, " B"], backwards: Bool[Tensor, " B"] | None = None
    ) -> WindowBatch:
        """Gather windows, some of them reversed, without padding beyond their largest molecule."""
        rows = self.molecule[windows]
        size = int((self.species[rows] > 0).sum(1).max())
        time = torch.zeros_like(windows) if backwards is None else backwards.long()
        x, v, f, dx, dv, force = (
            array[time, windows, :size]
            for array in (self.x, self.v, self.f, self.dx, self.dv, self.force)
        )
        species, masses, terms = self.species[rows], self.masses[rows], self.terms.of(rows, size)
        start = JumpBatch(species[:, :size], masses[:, :size], x, v, f, terms)
        return WindowBatch(start, dx, dv, force)

    def rows(self, windows: Int[Tensor, " B"]) -> list[int]:
        """The molecules that some windows are of, ascending."""
        return sorted(set(self.molecule[windows].tolist()))

    def by_molecule(
        self, windows: Int[Tensor, " B"], size: int
    ) -> Iterator[tuple[int, WindowBatch]]:
        """Molecules, with their windows in batches of at most `size`, forwards in time."""
        molecules = self.molecule[windows]
        for row in self.rows(windows):
            own = windows[molecules == row]
            for start in range(0, len(own), size):
                yield row, self.batch(own[start : start + size])


def jump_windows(dataset: Dataset, landing: Landing, closing_ps: float = 0.0) -> JumpWindows:
    """Starts and targets of every window of `dataset`, for one landing.

    Args:
        dataset: windows with states at both ends.
        landing: where the jump ends.
        closing_ps: weight of the true force in the closing kick, ps.
    """
    forwards, backwards = landings(dataset, landing, closing_ps)
    x = np.stack((dataset.x_t, dataset.x_tk))
    v = np.stack((dataset.v_t, -dataset.v_tk))
    landed = [np.stack(pair) for pair in zip(forwards, backwards, strict=True)]
    arrays: Mapping[str, np.ndarray] = {
        "x": x,
        "v": v,
        "f": np.stack((dataset.f_t, dataset.f_tk)),
        "dx": landed[0] - x,
        "dv": landed[1] - v,
        "force": np.stack((dataset.f_tk, dataset.f_t)),
    }
    return JumpWindows(
        molecule=torch.from_numpy(np.asarray(dataset.molecule_id, dtype=np.int64)),
        species=torch.from_numpy(np.asarray(dataset.atom_types, dtype=np.int64)),
        masses=torch.from_numpy(np.asarray(dataset.masses, dtype=np.float32)),
        terms=batch_terms(dataset.terms),
        **{name: torch.from_numpy(a.astype(np.float32)) for name, a in arrays.items()},
    )

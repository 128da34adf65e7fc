"""Where the windows of a dataset end, forwards and backwards in time, for every landing."""

import numpy as np
import torch
from jaxtyping import Float

from kstep.config import Landing
from kstep.regressed.training.reversal import reversed_half_velocity
from kstep.regressed.windows.windows import Dataset
from kstep.surrogates.constraints import rigid_bonds
from kstep.surrogates.force_field_like.terms import batch_terms

Vectors = Float[np.ndarray, "W N 3"]
State = tuple[Vectors, Vectors]


def landings(dataset: Dataset, landing: Landing, closing_ps: float) -> tuple[State, State]:
    """(x, v) where a jump from every window's start ends, and one from its end, reversed.

    Args:
        dataset: windows with states at both ends.
        landing: where the jump ends.
        closing_ps: weight of the true force in the closing kick, ps.
    """
    if landing == "half_step":
        return _half_step(dataset), _reversed_half_step(dataset)
    forwards = dataset.x_tk.astype(np.float64), dataset.v_tk.astype(np.float64)
    backwards = dataset.x_t.astype(np.float64), -dataset.v_t.astype(np.float64)
    if landing == "step":
        return forwards, backwards
    return (
        _before_closing_kick(dataset, forwards, dataset.f_tk, closing_ps),
        _before_closing_kick(dataset, backwards, dataset.f_t, closing_ps),
    )


def _half_step(dataset: Dataset) -> State:
    v = dataset.v_tk_half.astype(np.float64)
    return dataset.x_tk + 0.5 * dataset.dt_ps * v, v


def _reversed_half_step(dataset: Dataset) -> State:
    dt = dataset.dt_ps
    v = np.zeros(dataset.x_t.shape, dtype=np.float64)
    for row, species in enumerate(dataset.atom_types):
        of = np.flatnonzero(dataset.molecule_id == row)
        size = int(np.count_nonzero(species))
        masses = dataset.masses[row, :size].astype(np.float64)
        ends = (dataset.x_t, dataset.v_t, dataset.v_t_half)
        x, start, half = (array[of, :size] for array in ends)
        v[of, :size] = reversed_half_velocity(x, start, half, masses, dt)
    return dataset.x_t + 0.5 * dt * v, v


def _before_closing_kick(dataset: Dataset, end: State, forces: Vectors, closing_ps: float) -> State:
    """The end without the kick w P F/m by the true force, P the projection on the constraints."""
    x, v = end
    terms = batch_terms(dataset.terms, torch.float64)
    masses = torch.from_numpy(dataset.masses.astype(np.float64))
    before = v.copy()
    for row in range(len(dataset.molecules)):
        of = np.flatnonzero(dataset.molecule_id == row)
        own, own_masses = terms.of(torch.tensor([row]), masses.shape[1]), masses[row : row + 1]
        rigid = rigid_bonds(own.expand(len(of)), own_masses.expand(len(of), -1))
        heavy = np.where(dataset.masses[row] > 0, dataset.masses[row], np.inf)[:, None]
        kick = forces[of].astype(np.float64) / heavy
        tangential = rigid.at(torch.from_numpy(x[of])).project(torch.from_numpy(kick))
        before[of] -= closing_ps * tangential.numpy()
    return x, before

"""How good a model is: relative errors, chained jumps, how far atoms move."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kstep.regressed.networks.batch import JumpBatch
from kstep.regressed.networks.jump import JumpModel
from kstep.regressed.training.windows import JumpWindows
from kstep.regressed.windows.windows import ROLLOUT_JUMPS, Dataset
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.system.molecule import symbol

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class RelativeError:
    """RMS error of a residual over the RMS of that residual, mass-weighted: 1 is no skill.

    Attributes:
        rel_dx: of √m (Δx − τ v), what the jump adds to free flight.
        rel_dv: of √m Δv.
    """

    rel_dx: float
    rel_dv: float

    @classmethod
    def of(cls, sums: Float[Tensor, "4"]) -> "RelativeError":
        """From squared error and squared residual of Δx, then of Δv."""
        error_x, target_x, error_v, target_v = sums.tolist()
        return cls(
            rel_dx=float(np.sqrt(error_x / max(target_x, 1e-30))),
            rel_dv=float(np.sqrt(error_v / max(target_v, 1e-30))),
        )

    def loss(self, lambda_vel: float) -> float:
        """What early stopping watches: position plus weighted velocity error, squared."""
        return self.rel_dx**2 + lambda_vel * self.rel_dv**2


@dataclass(frozen=True)
class Score:
    """Relative errors over some windows, whole and in parts.

    Attributes:
        all: over everything.
        by_molecule: by row of the dataset's molecules.
        by_element: by chemical symbol.
    """

    all: RelativeError
    by_molecule: dict[int, RelativeError]
    by_element: dict[str, RelativeError]


def score(model: JumpModel, windows: JumpWindows, chosen: Int[Tensor, " W"]) -> Score:
    """Relative errors of a model over the chosen windows, forwards in time."""
    device = next(model.parameters()).device
    rows = windows.rows(chosen)
    sums = torch.zeros(len(windows.species), int(windows.species.max()) + 1, 4).double()
    with torch.inference_mode():
        for row, batch in windows.by_molecule(chosen, EVALUATION_BATCH):
            prediction = model(batch.start.to(device))
            vectors = (
                prediction.dx.cpu() - batch.dx,
                batch.dx - model.physics.duration * batch.start.v,
                prediction.dv.cpu() - batch.dv,
                batch.dv,
            )
            squares = [batch.start.masses * part.square().sum(-1) for part in vectors]
            per_atom = torch.stack(squares, dim=-1).double().sum(0)  # [N, 4]
            sums[row].index_add_(0, batch.start.species[0], per_atom)
    return Score(
        all=RelativeError.of(sums.sum((0, 1))),
        by_molecule={row: RelativeError.of(sums[row].sum(0)) for row in rows},
        by_element={
            symbol(number): RelativeError.of(sums[:, number].sum(0))
            for number in range(sums.shape[1])
            if sums[:, number, 1].sum() > 0
        },
    )


def rollout_rmsd(model: JumpModel, dataset: Dataset, chosen: Int[Tensor, " W"]) -> list[float]:
    """RMSD to the truth after 1, 2 and 3 chained jumps, nm; empty without rollout targets.

    Every jump starts from where the one before ended, with the true forces stored for that
    time: what the corrector will do, without running it. A jump that lands on the half step is
    taken back to the full step with the true half kick, v = v̂ − (v_half − v) and
    x = x̂ − dt/2 v̂, so that an exact jump chains exactly; one that lacks its closing kick gets it.
    """
    device = next(model.parameters()).device
    physics, terms = model.physics, batch_terms(dataset.terms)
    picked = np.flatnonzero(np.isin(dataset.rollout_window, chosen.numpy()))
    squares, atoms = np.zeros(ROLLOUT_JUMPS), 0
    for part in np.array_split(picked, max(1, len(picked) // EVALUATION_BATCH)):
        truth = _rollout_states(dataset, part)
        row = dataset.molecule_id[dataset.rollout_window[part]]
        species = torch.from_numpy(dataset.atom_types[row])
        masses = torch.from_numpy(dataset.masses[row].astype(np.float32))
        chosen_terms = terms.of(torch.from_numpy(row), species.shape[1])
        x, v, f, _ = truth[0]
        with torch.inference_mode():
            for jump, target in enumerate(truth[1:]):
                prediction = model(JumpBatch(species, masses, x, v, f, chosen_terms).to(device))
                x, v = x + prediction.dx.cpu(), v + prediction.dv.cpu()
                true_x, true_v, f, true_half = target
                if physics.landing == "half_step":
                    x = x - 0.5 * physics.dt_ps * v
                    v = v - (true_half - true_v)
                elif physics.landing == "closing_kick":
                    v = v + physics.closing_ps * f / masses.clamp_min(1e-6)[..., None]
                squares[jump] += float((x - true_x).double().square().sum())
        atoms += int((species > 0).sum())
    return [] if atoms == 0 else np.sqrt(squares / atoms).tolist()


def displacement_histogram(
    model: JumpModel, windows: JumpWindows, chosen: Int[Tensor, " W"], bins: int = 60
) -> list[dict[str, float | int | str]]:
    """|Δx| by element: rows of element, bin edges in nm, counts of atoms in truth and model."""
    device = next(model.parameters()).device
    edges = np.linspace(0.0, max(model.physics.caps_nm.values()), bins + 1)
    elements = sorted(model.physics.elements)
    counts = np.zeros((len(elements), 2, bins), dtype=np.int64)
    with torch.inference_mode():
        for _, batch in windows.by_molecule(chosen, EVALUATION_BATCH):
            predicted = model(batch.start.to(device)).dx.cpu()
            for side, vectors in enumerate((batch.dx, predicted)):
                lengths = vectors.norm(dim=-1).clamp_max(edges[-1])
                for index, number in enumerate(elements):
                    own = lengths[batch.start.species == number].numpy()
                    counts[index, side] += np.histogram(own, edges)[0]
    return [
        {
            "element": symbol(number),
            "lower_nm": float(edges[bin_]),
            "upper_nm": float(edges[bin_ + 1]),
            "true": int(counts[index, 0, bin_]),
            "predicted": int(counts[index, 1, bin_]),
        }
        for index, number in enumerate(elements)
        for bin_ in range(bins)
    ]


States = tuple[Tensor, Tensor, Tensor, Tensor]


def _rollout_states(dataset: Dataset, part: Int[np.ndarray, " P"]) -> Sequence[States]:
    """(x, v, f, v_half) at t, t + k, t + 2k, t + 3k."""
    window = dataset.rollout_window[part]
    ends = (
        (dataset.x_t, dataset.v_t, dataset.f_t, dataset.v_t_half),
        (dataset.x_tk, dataset.v_tk, dataset.f_tk, dataset.v_tk_half),
    )
    later = (dataset.rollout_x, dataset.rollout_v, dataset.rollout_f, dataset.rollout_v_half)
    arrays = [tuple(array[window] for array in end) for end in ends]
    arrays += [tuple(array[part, index] for array in later) for index in range(ROLLOUT_JUMPS - 1)]
    states = [tuple(torch.from_numpy(array) for array in state) for state in arrays]
    return [(x, v, f, half) for x, v, f, half in states]

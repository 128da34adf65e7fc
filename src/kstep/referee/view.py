"""A few frames of both sides, superposed, for the report's view of the moving molecule."""

import numpy as np
from jaxtyping import Float32

from kstep.referee.compared import Side
from kstep.referee.metrics import SIDES
from kstep.referee.structure.basin import superposed
from kstep.system.molecule import Molecule

VIEW_FRAMES = 60
VIEW_SPACING_PS = 0.5


def aligned_views(molecule: Molecule, baseline: Side, candidate: Side) -> dict[str, np.ndarray]:
    """Consecutive frames of the first run of each side, heavy atoms superposed on the first.

    Curves: `view/{numbers,bonds,baseline,candidate}`, nm.
    """
    fitted = np.flatnonzero(molecule.numbers > 1)
    if len(fitted) < 3:  # fewer fix no orientation
        fitted = np.arange(molecule.n_atoms)
    reference = molecule.positions
    curves: dict[str, np.ndarray] = {"view/numbers": molecule.numbers, "view/bonds": molecule.bonds}
    for name, side in zip(SIDES, (baseline, candidate), strict=True):
        stride = max(1, round(VIEW_SPACING_PS / side.frame_ps))
        frames = side.nvt[0][::stride][:VIEW_FRAMES]
        curves[f"view/{name}"] = _superposed_on(side.trajectory.pos[frames], reference, fitted)
    return curves


def _superposed_on(
    frames: np.ndarray, reference: np.ndarray, fitted: np.ndarray
) -> Float32[np.ndarray, "F N 3"]:
    moved = [superposed(frame, reference, fitted) for frame in frames]
    return np.asarray(moved, dtype=np.float32)

"""The moving picture of a molecule: both trajectories as data for `templates/viewer.js.j2`."""

import base64
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.referee.metrics import SIDES, MoleculeMetrics
from kstep.referee.report.figures.style import Curves
from kstep.referee.report.reading import side_names


@dataclass(frozen=True)
class View:
    """Two trajectories of one molecule, ready to be inlined.

    Attributes:
        names: what the sides are called, baseline first.
        frames: frames that both sides have.
        data: atomic numbers, bonds, and coordinates of each side as base64 of 16-bit integers
            in units of `scale` nm.
    """

    names: list[str]
    frames: int
    data: dict[str, object]


def view_of(molecule: MoleculeMetrics, curves: Curves) -> View | None:
    """Both trajectories, turned to face the reader; None when there are no frames of both."""
    if not all(len(curves.get(f"view/{side}", ())) for side in SIDES):
        return None
    frames = min(len(curves[f"view/{side}"]) for side in SIDES)
    positions = np.stack([curves[f"view/{side}"][:frames] for side in SIDES]).astype(float)
    positions = (positions - positions[0].mean(axis=(0, 1))) @ _facing(positions[0, 0]).T
    scale = float(np.abs(positions).max()) / np.iinfo(np.int16).max
    data = {
        "numbers": curves["view/numbers"].tolist(),
        "bonds": curves["view/bonds"].tolist(),
        "scale": scale,
        "sides": [_encoded(side / scale) for side in positions],
    }
    return View(list(side_names(molecule).values()), frames, data)


def _facing(atoms: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation that lays the longest principal axis across and the shortest towards the reader."""
    _, _, axes = np.linalg.svd(atoms - atoms.mean(axis=0), full_matrices=True)
    # The sign of an axis is arbitrary: its largest component decides, on every machine alike.
    across, upright = (axis * np.sign(axis[np.abs(axis).argmax()]) for axis in axes[:2])
    return np.stack([across, upright, np.cross(across, upright)])


def _encoded(values: np.ndarray) -> str:
    return base64.b64encode(np.round(values).astype("<i2").tobytes()).decode()

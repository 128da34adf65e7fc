"""Torsional wells: how often a run crosses their rims, so that no rare event passes for an error.

Two faultless runs that cross a barrier twice each have very different dihedral distributions,
and neither of them shows in its own blocks how uncertain it is. Whether a difference of
populations can be judged is a matter of how often the rim of the well concerned was crossed.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

BARRIER = 0.05
"""Density between two wells relative to the peak: a barrier of 3 k_B T. Lower ones are crossed
within picoseconds and need no counting."""

NARROWEST_GAP_DEG = 30.0
"""Thinner gaps are the scatter of a tail, not barriers."""

SAME_POPULATION = 0.1
"""Populations that differ by less cannot bring a divergence to any sensible margin."""


def find_wells(density: Float[np.ndarray, " bins"]) -> Int[np.ndarray, " bins"]:
    """Well of every bin of a histogram over the whole circle; -1 on the barriers between."""
    n_bins = len(density)
    inside = density > BARRIER * density.max()
    if inside.all():
        return np.zeros(n_bins, dtype=np.int64)
    # Turned so that it starts on a barrier: no well then reaches over the seam.
    start = _middle_of_widest_gap(inside)
    order = (start + np.arange(n_bins)) % n_bins
    wells = np.full(n_bins, -1, dtype=np.int64)
    current, gap = -1, n_bins
    for position in order.tolist():
        if not inside[position]:
            gap += 1
            continue
        if gap * 360.0 / n_bins >= NARROWEST_GAP_DEG:
            current += 1
        wells[position], gap = current, 0
    return wells


def _middle_of_widest_gap(inside: np.ndarray) -> int:
    n_bins = len(inside)
    doubled = np.concatenate([inside, inside])
    edges = np.flatnonzero(np.concatenate([[True], doubled, [True]]))
    widths = np.diff(edges)
    widest = int(widths.argmax())
    return int((edges[widest] + widths[widest] // 2 - 1) % n_bins)


def crossings(states: Sequence[Int[np.ndarray, "_ members"]], well: int) -> float:
    """Times a run came into a well or left it for another, mean over pooled members.

    Args:
        states: well of every frame of every segment, -1 on a barrier (which is no visit).
        well: the well.
    """
    total = 0
    for segment in states:
        for member in segment.T:
            inside = member[member >= 0] == well
            total += int(np.count_nonzero(inside[1:] != inside[:-1]))
    return total / int(states[0].shape[1])


def rarest_difference(
    baseline: Sequence[Float[np.ndarray, "_ members"]],
    hybrid: Sequence[Float[np.ndarray, "_ members"]],
    edges: Float[np.ndarray, " edges"],
) -> tuple[float, float] | None:
    """Crossings, per side, of the rim of the well whose population differs most.

    Arguments are dihedrals in degrees by segment, and bin edges over the circle. None when there
    is but one well, or no population differs by much.
    """
    sides = (baseline, hybrid)
    densities = [np.histogram(np.concatenate(side), bins=edges, density=True)[0] for side in sides]
    wells = find_wells(sum(densities, np.zeros(len(edges) - 1)))
    populations = np.array(
        [
            [density[wells == well].sum() / density.sum() for well in range(wells.max() + 1)]
            for density in densities
        ]
    )
    difference = np.abs(populations[0] - populations[1])
    if len(difference) < 2 or difference.max() < SAME_POPULATION:
        return None
    well, last = int(difference.argmax()), len(edges) - 2
    counted = [
        crossings([wells[np.minimum(np.digitize(s, edges) - 1, last)] for s in side], well)
        for side in sides
    ]
    return counted[0], counted[1]

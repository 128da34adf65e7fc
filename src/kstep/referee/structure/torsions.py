"""Torsional wells: populations, transition rates, and how uncertain rare events leave them.

Two faultless runs that cross a barrier twice each have very different dihedral distributions,
and neither of them shows in its own blocks how uncertain it is. How well a population is known
is a matter of how often the rim of its well was crossed. Unless symmetry fixes it: then nobody has
to cross (`states`).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from kstep.config import EvalConfig
from kstep.referee.claims.checks import DYNAMICS, STRUCTURE, Measured
from kstep.referee.metrics import Estimate, Pair, TorsionState
from kstep.referee.statistics.estimates import Uncertain, block_means, bootstrap, difference
from kstep.referee.structure.observed import Observed
from kstep.referee.structure.states import States, find_states
from kstep.units import PS_PER_NS

BARRIER = 0.05
"""Density between two wells relative to the peak: a barrier of 3 k_B T. Lower ones are crossed
within picoseconds and need no counting."""

NARROWEST_GAP_DEG = 30.0
"""Thinner gaps are the scatter of a tail, not barriers."""


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


def compare_torsions(
    config: EvalConfig,
    label: str,
    observed: Sequence[Observed],
    edges: Float[np.ndarray, " edges"],
    bonds: Int[np.ndarray, " members"],
) -> tuple[list[TorsionState], list[Measured]]:
    """Populations and transition rates of every well of a dihedral class, and their checks.

    Nothing where there is but one well. A population is as uncertain as its blocks show or as
    the changes of state allow, whichever is more: a two-state process that crossed N times
    knows the share p of its time to 2 p (1 - p) / √N. Where all wells are one state by symmetry
    the changes do not matter, and what nobody crosses has no rate to be judged.

    Args:
        config: margins and bootstrap.
        label: of the class.
        observed: the class along both sides.
        edges: of the bins over the circle, degrees.
        bonds: number of the bond that each member of the class turns about, from 0.
    """
    densities = [np.histogram(one.values, bins=edges, density=True)[0] for one in observed]
    wells = find_wells(np.mean(densities, axis=0))
    n_wells = int(wells.max()) + 1
    if n_wells < 2:
        return [], []
    sampled_ps = len(observed[1].values) * observed[1].frame_ps
    visits = [[well_of(run, wells) for run in one.runs] for one in observed]
    found = find_states(visits, bonds, n_wells)
    counted = _on_one_grid(observed, visits)
    # Members about one bond turn together: three of them see every hop in a well twice.
    members = min(len(bonds), 3 * (int(bonds.max()) + 1))
    ns = [len(one.values) * one.frame_ps / PS_PER_NS for one in observed]
    states: list[TorsionState] = []
    measured: list[Measured] = []
    centres = (edges[1:] + edges[:-1]) / 2.0
    density = np.mean(densities, axis=0)
    for well in range(n_wells):
        crossed = [crossings(side, well) for side in counted]
        populations = [
            _population(config, one, side, well, seed, found)
            for seed, (one, side) in enumerate(zip(observed, visits, strict=True))
        ]
        centre = float(centres[np.where(wells == well, density, 0.0).argmax()])
        states.append(_state(label, centre, populations, crossed, ns))
        if well == n_wells - 1 and n_wells == 2:
            continue  # what is not in the one is in the other
        where = f"dihedral {label} at {centre:.0f}°"
        measured.append(
            Measured(
                STRUCTURE, f"population of {where}", "",
                difference(populations[1], populations[0]), config.max_population_error, True,
                sampled_ps,
            )
        )  # fmt: skip
        if found.only_one and not any(crossed):
            continue
        measured.append(
            Measured(
                DYNAMICS, f"rate of {where}", "e-folds",
                _rate_ratio(crossed, ns, members), config.max_rate_error, True, sampled_ps,
            )
        )  # fmt: skip
    return states, measured


def _on_one_grid(
    observed: Sequence[Observed], visits: Sequence[Sequence[Int[np.ndarray, "_ members"]]]
) -> list[list[Int[np.ndarray, "_ members"]]]:
    """Visits of both sides at the times of the coarser one.

    Frames farther apart miss recrossings, which must be missed on both sides.
    """
    coarsest = max(one.frame_ps for one in observed)
    return [
        [run[:: max(1, round(coarsest / one.frame_ps))] for run in side]
        for one, side in zip(observed, visits, strict=True)
    ]


def _state(
    label: str,
    centre_deg: float,
    populations: Sequence[Uncertain],
    crossed: Sequence[float],
    ns: Sequence[float],
) -> TorsionState:
    baseline, candidate = populations
    return TorsionState(
        label=label,
        centre_deg=centre_deg,
        population=Pair[Estimate](baseline=baseline.estimate(), candidate=candidate.estimate()),
        crossings=Pair[float](baseline=crossed[0], candidate=crossed[1]),
        rate_per_ns=Pair[float](baseline=crossed[0] / ns[0], candidate=crossed[1] / ns[1]),
    )


def well_of(
    run: Float[np.ndarray, "T members"], wells: Int[np.ndarray, " bins"]
) -> Int[np.ndarray, "T members"]:
    """Well of every frame, -1 on a barrier."""
    n_bins = len(wells)
    index = np.floor((run + 180.0) / 360.0 * n_bins).astype(np.int64)
    return np.asarray(wells[np.clip(index, 0, n_bins - 1)])


def _population(
    config: EvalConfig,
    observed: Observed,
    visits: Sequence[Int[np.ndarray, "_ members"]],
    well: int,
    seed: int,
    states: States,
) -> Uncertain:
    """Share of the time in a well on one side, the `seed`-th."""
    inside = [(run == well).mean(axis=1)[:, None] for run in visits]
    blocks = block_means(inside, observed.block_frames)
    share = bootstrap(blocks, lambda mean: mean, config.bootstrap, config.seed + seed)[0]
    if states.only_one:
        return share
    runs = [run[:, well] for run in states.shares[seed]]
    step = states.step(well)
    counted = _counting_error(runs, step, len(blocks)) if step > 0.0 else 0.0
    return Uncertain(share.value, max(share.error, counted), share.dof)


def _counting_error(shares: Sequence[Float[np.ndarray, " _"]], step: float, n_blocks: int) -> float:
    """Error of the mean of a process that jumps, from its variance V and its jumps: 2V / √Σδ².

    If it forgets where it was within τ, the mean over a time T is uncertain by √(2Vτ/T), and its
    squared jumps add up to 2VT/τ. So it is for several bonds, of which each is a process of its
    own. Half a jump by the whole step more than was seen (Jeffreys), so that none is not certainty.
    """
    variance = float(np.concatenate(shares).var())
    jumps = sum(float((np.diff(run) ** 2).sum()) for run in shares)
    least = 0.25 * step**2 / max(n_blocks, 1)
    return float(2.0 * max(variance, least) / np.sqrt(jumps + 0.5 * step**2))


def _rate_ratio(crossed: Sequence[float], ns: Sequence[float], members: int) -> Uncertain:
    """Logarithm of candidate's over baseline's rate; crossings are counted events."""
    counts = [n * members + 0.5 for n in crossed]
    value = float(np.log(counts[1] / ns[1]) - np.log(counts[0] / ns[0]))
    # A molecule that crosses often crosses back: events come in pairs, hence the factor.
    error = float(np.sqrt(2.0 * sum(1.0 / n for n in counts)))
    return Uncertain(value, error, max(1.0, min(counts) - 1.0))

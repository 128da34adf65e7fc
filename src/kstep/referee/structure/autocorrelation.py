"""How long torsions remember, and how many independent samples a run is therefore worth."""

import numpy as np
from jaxtyping import Float, Int

from kstep.referee.compared import Side
from kstep.referee.cost.savings import Timing
from kstep.referee.metrics import SIDES, EfficiencyMetrics, Pair, TorsionMemory
from kstep.referee.structure.coordinates import CoordinateClass, coordinate_classes
from kstep.referee.structure.observed import Observed, observe
from kstep.system.molecule import Molecule, neighbours, symbol

TURNS_DEG = 60.0
"""A dihedral that is never farther from its mean direction librates, it does not turn."""

DECAYED = 0.02
"""Autocorrelation at which a curve ends."""

Curves = dict[str, np.ndarray]


def compare_memories(
    molecule: Molecule, baseline: Side, candidate: Side
) -> tuple[list[TorsionMemory], Curves]:
    """Autocorrelation times of every dihedral class that turns on either side, and the curves.

    Curves: `memory/<label>/{times,baseline,candidate}`, ps and normalised autocorrelation of
    cos φ and sin φ together, until both have decayed or for half a run.
    """
    torsions: list[TorsionMemory] = []
    curves: Curves = {}
    for dihedral in _dihedrals(molecule):
        observed = [observe(molecule, side, dihedral) for side in (baseline, candidate)]
        if not any(turns(one.values) for one in observed):
            continue
        times = [one.memory * one.frame_ps / 2.0 for one in observed]
        torsions.append(
            TorsionMemory(
                label=dihedral.label,
                time_ps=Pair[float](baseline=times[0], candidate=times[1]),
            )
        )
        found = _decays(observed)
        curves |= {f"memory/{dihedral.label}/{key}": values for key, values in found.items()}
    return torsions, curves


def efficiency(
    molecule: Molecule, baseline: Side, candidate: Side, timing: Timing | None
) -> EfficiencyMetrics | None:
    """Independent samples of the baseline's slowest observable, and what they cost each side.

    None for a molecule without observables, or where a trajectory does not say its force calls.
    """
    sides = (baseline, candidate)
    calls = [side.nvt_calls for side in sides]
    slow = slowest_observable(molecule, baseline)
    if slow is None or min(calls) == 0:
        return None
    samples = [independent_samples(molecule, side, slow) for side in sides]
    per_call = [1000.0 * n / spent for n, spent in zip(samples, calls, strict=True)]
    per_second = None
    if timing is not None:
        seconds = [
            side.nvt_ps * speed
            for side, speed in zip(sides, (timing.baseline_s_per_ps, timing.s_per_ps), strict=True)
        ]
        per_second = Pair[float](
            baseline=samples[0] / seconds[0], candidate=samples[1] / seconds[1]
        )
    return EfficiencyMetrics(
        observable=f"{slow.kind} {slow.label}",
        independent=Pair[float](baseline=samples[0], candidate=samples[1]),
        per_1000_calls=Pair[float](baseline=per_call[0], candidate=per_call[1]),
        per_second=per_second,
    )


def slowest_observable(molecule: Molecule, side: Side) -> CoordinateClass | None:
    """The dihedral, or the distance of the ends, of which a side has fewest independent samples."""
    return min(
        _observables(molecule),
        key=lambda one: independent_samples(molecule, side, one),
        default=None,
    )


def independent_samples(molecule: Molecule, side: Side, observable: CoordinateClass) -> float:
    """Effective number of samples of an observable in all constant-temperature runs."""
    observed = observe(molecule, side, observable)
    return float(len(observed.values) / observed.memory)


def turns(degrees: Float[np.ndarray, "T members"]) -> bool:
    """Whether any member of a dihedral class leaves the surroundings of its mean direction."""
    directions = np.exp(1j * np.radians(degrees))
    from_mean = np.angle(directions * directions.mean(axis=0).conj(), deg=True)
    return bool(np.abs(from_mean).max() > TURNS_DEG)


def autocorrelation(runs: list[Float[np.ndarray, "_ members"]]) -> Float[np.ndarray, " lags"]:
    """Normalised autocorrelation of cos φ and sin φ of dihedrals (degrees), to half a run.

    A mean over members and runs. It is about the mean direction of every member: what chemistry
    fixes (cis or trans at a double bond) is not memory.
    """
    directions = [np.exp(1j * np.radians(run.astype(np.float64))) for run in runs]
    mean = np.concatenate(directions).mean(axis=0)
    lags = max(1, min(len(run) for run in runs) // 2)
    products, pairs = np.zeros(lags), np.zeros(lags)
    for run in directions:
        # Padded, so that the end of a run does not meet its start.
        power = np.abs(np.fft.fft(run - mean, n=2 * len(run), axis=0)) ** 2
        products += np.fft.ifft(power.sum(axis=1)).real[:lags]
        pairs += len(run) - np.arange(lags)
    covariance = products / pairs
    return np.asarray(covariance / covariance[0]) if covariance[0] > 0.0 else np.ones(lags)


def end_to_end(molecule: Molecule) -> list[CoordinateClass]:
    """The distance of the two heavy atoms with most bonds between them; none with fewer than two.

    The first such pair, if there are several.
    """
    heavy = np.flatnonzero(molecule.numbers > 1)
    if len(heavy) < 2:
        return []
    apart = _bonds_between(molecule)[np.ix_(heavy, heavy)]
    first, second = (int(heavy[i]) for i in np.unravel_index(int(apart.argmax()), apart.shape))
    label = "–".join(f"{symbol(int(molecule.numbers[a]))}{a + 1}" for a in (first, second))
    return [CoordinateClass("distance", label, np.array([[first, second]]))]


def _dihedrals(molecule: Molecule) -> list[CoordinateClass]:
    return [one for one in coordinate_classes(molecule) if one.kind == "dihedral"]


def _observables(molecule: Molecule) -> list[CoordinateClass]:
    """What may be slow: dihedrals, and the distance of the heavy atoms farthest apart."""
    return [*_dihedrals(molecule), *end_to_end(molecule)]


def _decays(observed: list[Observed]) -> Curves:
    """Autocorrelations of both sides on the finer of their grids."""
    decays = [autocorrelation(one.runs) for one in observed]
    grids = [
        one.frame_ps * np.arange(len(decay)) for one, decay in zip(observed, decays, strict=True)
    ]
    spacing = min(one.frame_ps for one in observed)
    longest = min(
        min(grid[-1] for grid in grids),
        max(_end(grid, decay) for grid, decay in zip(grids, decays, strict=True)),
    )
    times = spacing * np.arange(int(longest / spacing) + 1)
    curves = {
        name: np.interp(times, grid, decay)
        for name, grid, decay in zip(SIDES, grids, decays, strict=True)
    }
    return {"times": times, **curves}


def _end(times: Float[np.ndarray, " lags"], decay: Float[np.ndarray, " lags"]) -> float:
    """When an autocorrelation has decayed; the end of it if it never does."""
    below = np.flatnonzero(decay < DECAYED)
    return float(times[below[0]] if len(below) else times[-1])


def _bonds_between(molecule: Molecule) -> Int[np.ndarray, "N N"]:
    """Bonds on the shortest way from every atom to every other; -1 where there is none."""
    adjacent = neighbours(molecule.n_atoms, molecule.bonds)
    result = np.full((molecule.n_atoms, molecule.n_atoms), -1)
    for start in range(molecule.n_atoms):
        front, distance = [start], 0
        while front:
            result[start, front] = distance
            distance += 1
            front = [b for a in front for b in adjacent[a] if result[start, b] < 0]
    return result

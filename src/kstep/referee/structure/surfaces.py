"""The free-energy surface over a molecule's two slowest torsions, with its standard error."""

import numpy as np
from jaxtyping import Float

from kstep.config import EvalConfig
from kstep.referee.compared import Side
from kstep.referee.metrics import SIDES
from kstep.referee.statistics.estimates import block_frames, block_shares, resample
from kstep.referee.structure.autocorrelation import turns
from kstep.referee.structure.coordinates import CoordinateClass, coordinate_classes
from kstep.referee.structure.observed import Observed, observe
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

BINS = 24
"""Of 15 degrees along each torsion: finer ones stay empty."""

Curves = dict[str, np.ndarray]


def free_energy_surface(
    config: EvalConfig, molecule: Molecule, baseline: Side, candidate: Side
) -> Curves:
    """F over two torsions about different bonds, kJ/mol from its minimum; none with fewer.

    Of each dihedral class one member is taken, of all that turn the two that remember longest.

    Curves: `surface/{first,second}` (labels), `surface/angle` (bin centres, degrees) and
    `surface/<side>` and `surface/<side>_error`, first × second, NaN where never visited.
    """
    chosen = _slowest_two(molecule, baseline)
    if len(chosen) < 2:
        return {}
    edges = np.linspace(-180.0, 180.0, BINS + 1)
    curves: Curves = {
        "surface/first": np.array(chosen[0].label),
        "surface/second": np.array(chosen[1].label),
        "surface/angle": (edges[1:] + edges[:-1]) / 2.0,
    }
    thermal = BOLTZMANN * candidate.temperature
    for seed, (name, side) in enumerate(zip(SIDES, (baseline, candidate), strict=True)):
        pair = [observe(molecule, side, one) for one in chosen]
        blocks = _shares(pair)
        shares = blocks.mean(axis=0)
        visited = shares > 0.0
        scatter = resample(blocks, config.bootstrap, config.seed + seed).std(axis=0)
        safe = np.where(visited, shares, 1.0)
        surface = np.where(visited, -thermal * np.log(safe / shares.max()), np.nan)
        error = np.where(visited, thermal * scatter / safe, np.nan)
        curves[f"surface/{name}"] = surface.reshape(BINS, BINS)
        curves[f"surface/{name}_error"] = error.reshape(BINS, BINS)
    return curves


def _slowest_two(molecule: Molecule, side: Side) -> list[CoordinateClass]:
    """Single dihedrals, of the two bonds whose torsions remember longest."""
    slowest: dict[tuple[int, ...], tuple[float, CoordinateClass]] = {}
    for dihedral in coordinate_classes(molecule):
        if dihedral.kind != "dihedral":
            continue
        member = CoordinateClass("dihedral", dihedral.label, dihedral.members[:1])
        observed = observe(molecule, side, member)
        if not turns(observed.values):
            continue
        bond = tuple(sorted(member.members[0, 1:3].tolist()))
        if bond not in slowest or observed.memory > slowest[bond][0]:
            slowest[bond] = (observed.memory, member)
    ranked = sorted(slowest.values(), key=lambda found: (-found[0], found[1].label))
    return [member for _, member in ranked[:2]]


def _shares(pair: list[Observed]) -> Float[np.ndarray, "B cells"]:
    """Share of every block of frames in each cell of the surface."""
    series = []
    for first, second in zip(pair[0].runs, pair[1].runs, strict=True):
        places = [
            np.clip(((run[:, 0] + 180.0) / 360.0 * BINS).astype(np.int64), 0, BINS - 1)
            for run in (first, second)
        ]
        series.append((places[0] * BINS + places[1])[:, None])
    frames = block_frames(max(one.memory for one in pair), [len(one) for one in series])
    return block_shares(series, BINS * BINS, frames)

"""Distributions of bonds, angles, dihedrals and distances, candidate against baseline.

A radial distribution of an isolated molecule has no bulk density to be relative to. What is
given instead is the intramolecular pair density: pairs found between r and r + dr, per pair of
atoms and per volume of that shell (nm⁻³), so that its integral over space is 1.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from kstep.config import EvalConfig
from kstep.referee.claims.checks import STRUCTURE, Measured
from kstep.referee.compared import Side
from kstep.referee.metrics import SIDES, Divergence, Pair, StructureMetrics, TorsionState
from kstep.referee.statistics.divergence import jensen_shannon, kullback_leibler
from kstep.referee.statistics.estimates import (
    Uncertain,
    block_means,
    block_shares,
    bootstrap,
    difference,
    resample,
)
from kstep.referee.structure.coordinates import (
    CoordinateClass,
    all_pairs,
    coordinate_classes,
    heavy_pair_classes,
)
from kstep.referee.structure.observed import Observed, observe
from kstep.referee.structure.torsions import compare_torsions
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

Curves = dict[str, np.ndarray]
DISTANCES = ("distance", "all distances")


@dataclass(frozen=True, eq=False)
class Histograms:
    """Common bins of both sides and the share of every block of frames in them.

    Attributes:
        edges: bin edges, nm or degrees.
        blocks: shares by block of each side [B, bins + 1]; the last bin is all beyond the edges.
        values: number of values behind each side.
    """

    edges: Float[np.ndarray, " edges"]
    blocks: list[Float[np.ndarray, "_ bins"]]
    values: list[int]

    @property
    def counts(self) -> list[Float[np.ndarray, " bins"]]:
        """Values in every bin, per side."""
        return [b.mean(axis=0) * n for b, n in zip(self.blocks, self.values, strict=True)]


def compare_structures(
    config: EvalConfig, molecule: Molecule, baseline: Side, candidate: Side
) -> tuple[StructureMetrics, Curves, list[Measured]]:
    """Divergences of all coordinate classes, their histograms, and what is to be judged.

    Curves: `<kind>/<label>/{edges,baseline,candidate}` (densities: 1/nm, 1/degree, nm⁻³ for
    distances), and `fes/<label>/...` of dihedrals.
    """
    sides = (baseline, candidate)
    alike = np.array_equal(baseline.trajectory.masses, candidate.trajectory.masses)
    divergences: list[Divergence] = []
    torsions: list[TorsionState] = []
    curves: Curves = {}
    measured: list[Measured] = []
    classes = [*coordinate_classes(molecule), *heavy_pair_classes(molecule), *all_pairs(molecule)]
    for coordinates in classes:
        observed = [observe(molecule, side, coordinates) for side in sides]
        if not alike:  # rates depend on the masses, averages over positions do not
            observed = [replace(one, rates=None) for one in observed]
        histograms = bin_both(config, coordinates, observed)
        divergence, checks = _compare(config, coordinates, observed, histograms, candidate.nvt_ps)
        divergences.append(divergence)
        measured += checks
        prefix = f"{coordinates.kind}/{coordinates.label}"
        density = pair_density if coordinates.kind in DISTANCES else line_density
        curves[f"{prefix}/edges"] = histograms.edges
        for name, counts in zip(SIDES, histograms.counts, strict=True):
            curves[f"{prefix}/{name}"] = density(counts, histograms.edges)
        if coordinates.kind == "dihedral":
            states, checks = compare_torsions(
                config, coordinates.label, observed, histograms.edges, coordinates.bonds
            )
            torsions += states
            measured += checks
            curves |= _free_energies(config, coordinates.label, histograms, candidate.temperature)
    divergences.sort(key=lambda divergence: -divergence.excess)
    metrics = StructureMetrics(
        coordinates=divergences, torsions=torsions, fixed_bonds=len(molecule.constraints)
    )
    return metrics, curves, measured


def bin_both(
    config: EvalConfig, coordinates: CoordinateClass, observed: list[Observed]
) -> Histograms:
    """Histograms of both sides by block, in common bins."""
    low = min(float(one.values.min()) for one in observed)
    high = max(float(one.values.max()) for one in observed)
    edges = bin_edges(config, coordinates.kind, low, high)
    return Histograms(
        edges=edges,
        blocks=[binned_shares(one, edges) for one in observed],
        values=[one.values.size for one in observed],
    )


def _compare(
    config: EvalConfig,
    coordinates: CoordinateClass,
    observed: list[Observed],
    histograms: Histograms,
    sampled_ps: float,
) -> tuple[Divergence, list[Measured]]:
    excess, noise = divergence_excess(config, histograms)
    counts = histograms.counts
    what = f"{coordinates.kind} {coordinates.label}"
    found = [
        Measured(
            STRUCTURE, f"divergence of {what}", "nats", excess, config.max_divergence, True,
            sampled_ps,
        )
    ]  # fmt: skip
    shift = width = stiffness = None
    elastic = coordinates.kind in ("bond", "angle")
    if elastic:
        shift, width, stiffness = _moments(config, observed)
        for word, unit, number, margin in (
            ("mean", "widths", shift, config.max_mean_shift),
            ("width", "", width, config.max_width_error),
            ("effective frequency", "", stiffness, config.max_stiffness_error),
        ):
            if number is not None:
                label = f"{word} of {what}"
                found.append(Measured(STRUCTURE, label, unit, number, margin, True, sampled_ps))
    circular = coordinates.kind == "dihedral"
    means = [float(one.values.mean(dtype=np.float64)) for one in observed]
    widths = [float(one.values.std(dtype=np.float64)) for one in observed]
    js = float(jensen_shannon(*counts))
    divergence = Divergence(
        label=coordinates.label,
        kind=coordinates.kind,
        members=len(coordinates.members),
        mean=None if circular else Pair[float](baseline=means[0], candidate=means[1]),
        width=Pair[float](baseline=widths[0], candidate=widths[1]) if elastic else None,
        mean_shift=None if shift is None else shift.estimate(),
        width_error=None if width is None else width.estimate(),
        stiffness_error=None if stiffness is None else stiffness.estimate(),
        kl=float(kullback_leibler(*counts)),
        js=js,
        noise=float(noise.mean()),
        noise_95=float(np.quantile(noise, 0.95)),
        excess=excess.value,
        blocks=len(histograms.blocks[0]),
    )
    return divergence, found


def divergence_excess(
    config: EvalConfig, histograms: Histograms
) -> tuple[Uncertain, Float[np.ndarray, " draws"]]:
    """JS beyond its mean by chance, and draws of what chance gives, nats.

    By chance: pairs of samples of the baseline's blocks, as long as the two sides are.
    """
    (baseline, candidate), (n_baseline, n_candidate) = histograms.blocks, histograms.values
    size = max(1, round(len(baseline) * n_candidate / n_baseline))
    seeds = [4 * config.seed + part for part in range(4)]
    noise = jensen_shannon(
        resample(baseline, config.bootstrap, seeds[0]) * n_baseline,
        resample(baseline, config.bootstrap, seeds[1], size) * n_candidate,
    )
    scatter = jensen_shannon(
        resample(baseline, config.bootstrap, seeds[2]) * n_baseline,
        resample(candidate, config.bootstrap, seeds[3]) * n_candidate,
    )
    js = float(jensen_shannon(*histograms.counts))
    dof = float(max(1, min(len(baseline), len(candidate)) - 1))
    error = float(scatter.std()) if min(len(baseline), len(candidate)) > 1 else np.inf
    return Uncertain(js - float(noise.mean()), error, dof), noise


def _moments(
    config: EvalConfig, observed: list[Observed]
) -> tuple[Uncertain, Uncertain, Uncertain | None]:
    """Shift of the mean in widths, and relative errors of width and effective frequency."""
    means, widths, stiffnesses = [], [], []
    scale = float(observed[0].values.std(dtype=np.float64))
    centre = float(observed[0].values.mean(dtype=np.float64))
    for seed, one in enumerate(observed):
        scaled = [(run.astype(np.float64) - centre) / scale for run in one.runs]
        columns = [[run.mean(axis=1), (run**2).mean(axis=1)] for run in scaled]
        if one.rates is not None:
            for column, rate in zip(columns, one.rates, strict=True):
                column.append((rate**2).mean(axis=1, dtype=np.float64))
        blocks = block_means([np.stack(c, axis=1) for c in columns], one.block_frames)
        found = bootstrap(blocks, _width_and_frequency, config.bootstrap, config.seed + seed)
        means.append(found[0])
        widths.append(found[1])
        stiffnesses.append(found[2] if one.rates is not None else None)
    stiffness = None
    if stiffnesses[0] is not None and stiffnesses[1] is not None:
        stiffness = _of_logarithms(stiffnesses[1], stiffnesses[0])
    return difference(means[1], means[0]), _of_logarithms(widths[1], widths[0]), stiffness


def _width_and_frequency(average: np.ndarray) -> np.ndarray:
    """Mean, ln width and, with rates, ln effective frequency from averages of q, q², q̇²."""
    variance = average[..., 1] - average[..., 0] ** 2
    columns = [average[..., 0], 0.5 * np.log(variance)]
    if average.shape[-1] > 2:
        columns.append(0.5 * np.log(average[..., 2] / variance))
    return np.stack(columns, axis=-1)


def _of_logarithms(number: Uncertain, reference: Uncertain) -> Uncertain:
    """Ratio - 1 of two numbers given as logarithms."""
    log = difference(number, reference)
    ratio = float(np.exp(log.value))
    return Uncertain(ratio - 1.0, ratio * log.error, log.dof)


def _free_energies(
    config: EvalConfig, label: str, histograms: Histograms, temperature: float
) -> Curves:
    """Free-energy profile of a dihedral, kJ/mol from its minimum, with standard errors."""
    curves: Curves = {}
    prefix = f"fes/{label}"
    edges = histograms.edges
    curves[f"{prefix}/angle"] = (edges[1:] + edges[:-1]) / 2.0
    for seed, (name, blocks) in enumerate(zip(SIDES, histograms.blocks, strict=True)):
        shares = blocks.mean(axis=0)[:-1]
        draws = resample(blocks, config.bootstrap, config.seed + seed)[:, :-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            profile = -BOLTZMANN * temperature * np.log(shares)
            # To first order; a bin that hardly any block visits has an error of its own size.
            error = BOLTZMANN * temperature * draws.std(axis=0) / shares
        visited = shares > 0.0
        curves[f"{prefix}/{name}"] = np.where(visited, profile - profile[visited].min(), np.nan)
        curves[f"{prefix}/{name}_error"] = np.where(visited, error, np.nan)
    return curves


def bin_edges(config: EvalConfig, kind: str, low: float, high: float) -> Float[np.ndarray, " _"]:
    """Common bin edges: the whole circle or range, or multiples of the width that hold all."""
    if kind == "dihedral":
        return np.linspace(-180.0, 180.0, max(2, round(360.0 / config.dihedral_bin_deg)) + 1)
    if kind in DISTANCES:
        return config.bin_nm * np.arange(round(config.rdf_max_nm / config.bin_nm) + 1)
    width = config.bond_bin_nm if kind == "bond" else config.angle_bin_deg
    return np.asarray(width * np.arange(np.floor(low / width), np.floor(high / width) + 2.0))


def binned_shares(
    observed: Observed, edges: Float[np.ndarray, " edges"]
) -> Float[np.ndarray, "B bins"]:
    """Share of the values of every block in each bin; beyond the edges in one more bin."""
    places = [_bins_of(run, edges) for run in observed.runs]
    return block_shares(places, len(edges), observed.block_frames)


def _bins_of(
    run: Float[np.ndarray, "T members"], edges: Float[np.ndarray, " edges"]
) -> Int[np.ndarray, "T members"]:
    """Bin of every value; the last takes what lies beyond the edges."""
    n_bins = len(edges)
    place = (run - edges[0]) / (edges[1] - edges[0])
    # As in any histogram the last edge belongs to the last bin: 180° is on the circle.
    index = np.where(run == edges[-1], n_bins - 2, np.floor(place)).astype(np.int64)
    return np.where((index < 0) | (index > n_bins - 1), n_bins - 1, index)


def line_density(
    histogram: Float[np.ndarray, " bins"], edges: Float[np.ndarray, " edges"]
) -> Float[np.ndarray, " _"]:
    """Probability per nm or degree in every bin."""
    return np.asarray(histogram[:-1] / histogram.sum() / np.diff(edges))


def pair_density(
    histogram: Float[np.ndarray, " bins"], edges: Float[np.ndarray, " edges"]
) -> Float[np.ndarray, " _"]:
    """Probability per volume of every spherical shell, nm⁻³."""
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return np.asarray(histogram[:-1] / histogram.sum() / shells)

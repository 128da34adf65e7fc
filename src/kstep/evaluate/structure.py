"""Distributions of bonds, angles, dihedrals and heavy-atom distances, hybrid against baseline.

A radial distribution of an isolated molecule has no bulk density to be relative to. What is
given instead is the intramolecular pair density: pairs found between r and r + dr, per pair of
atoms and per volume of that shell (nm⁻³), so that its integral over space is 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.config import EvalConfig
from kstep.evaluate.coordinates import (
    CoordinateClass,
    as_mdtraj,
    coordinate_classes,
    heavy_pair_classes,
    values,
)
from kstep.evaluate.divergence import BLOCKS, jensen_shannon, kullback_leibler, noise_floor
from kstep.evaluate.metrics import Divergence, Pair, StructureMetrics
from kstep.evaluate.wells import rarest_difference
from kstep.molecule import Molecule

Curves = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Sample:
    """Constant-temperature positions of one side.

    Attributes:
        positions: nm [T, N, 3], in order of time.
        breaks: where a new segment begins, frames from the start.
        length_ps: the simulated time they stand for, ps.
    """

    positions: Float[np.ndarray, "T N 3"]
    breaks: list[int]
    length_ps: float


def compare_structures(
    config: EvalConfig, molecule: Molecule, baseline: Sample, hybrid: Sample
) -> tuple[StructureMetrics, Curves]:
    """Divergences of all coordinate classes, and their histograms for the figures.

    Curves are named `<kind>/<label>/{edges,baseline,hybrid}`: bin edges (nm or degrees) and
    densities (1/nm, 1/degree; nm⁻³ for distances).
    """
    samples = (baseline, hybrid)
    frames = [as_mdtraj(molecule, sample.positions) for sample in samples]
    divergences: list[Divergence] = []
    curves: Curves = {}
    for coordinates in [*coordinate_classes(molecule), *heavy_pair_classes(molecule)]:
        found = [values(side, coordinates) for side in frames]
        divergence, histograms = _compare(config, coordinates, samples, found)
        divergences.append(divergence)
        prefix = f"{coordinates.kind}/{coordinates.label}"
        curves |= {f"{prefix}/{name}": array for name, array in histograms.items()}
    divergences.sort(key=lambda divergence: -divergence.excess)
    metrics = StructureMetrics(
        coordinates=divergences, fixed_bonds=len(molecule.constraints), blocks=BLOCKS
    )
    return metrics, curves


def _compare(
    config: EvalConfig,
    coordinates: CoordinateClass,
    samples: tuple[Sample, Sample],
    found: list[Float[np.ndarray, "_ members"]],
) -> tuple[Divergence, Curves]:
    baseline, hybrid = found
    edges = bin_edges(config, coordinates.kind, baseline, hybrid)
    blocks = np.stack([counts(block, edges) for block in np.array_split(baseline, BLOCKS)])
    baseline_counts, hybrid_counts = blocks.sum(axis=0), counts(hybrid, edges)
    js = jensen_shannon(baseline_counts, hybrid_counts)
    noise, noise_95 = noise_floor(blocks, *(sample.length_ps for sample in samples))
    circular = coordinates.kind == "dihedral"
    crossed = (
        rarest_difference(
            np.split(baseline, samples[0].breaks), np.split(hybrid, samples[1].breaks), edges
        )
        if circular
        else None
    )
    divergence = Divergence(
        label=coordinates.label,
        kind=coordinates.kind,
        members=len(coordinates.members),
        mean=None
        if circular
        else Pair[float](baseline=float(baseline.mean()), hybrid=float(hybrid.mean())),
        kl=kullback_leibler(baseline_counts, hybrid_counts),
        js=js,
        noise=noise,
        noise_95=noise_95,
        excess=js - noise,
        crossings=None if crossed is None else Pair(baseline=crossed[0], hybrid=crossed[1]),
    )
    density = pair_density if coordinates.kind == "distance" else line_density
    return divergence, {
        "edges": edges,
        "baseline": density(baseline_counts, edges),
        "hybrid": density(hybrid_counts, edges),
    }


def bin_edges(
    config: EvalConfig,
    kind: str,
    baseline: Float[np.ndarray, "T1 members"],
    hybrid: Float[np.ndarray, "T2 members"],
) -> Float[np.ndarray, " edges"]:
    """Common bin edges: the whole circle or range, or multiples of the width that hold all."""
    if kind == "dihedral":
        return np.linspace(-180.0, 180.0, max(2, round(360.0 / config.dihedral_bin_deg)) + 1)
    if kind == "distance":
        return config.bin_nm * np.arange(round(config.rdf_max_nm / config.bin_nm) + 1)
    width = config.bond_bin_nm if kind == "bond" else config.angle_bin_deg
    low = np.floor(min(baseline.min(), hybrid.min()) / width)
    high = np.floor(max(baseline.max(), hybrid.max()) / width) + 1.0
    return np.asarray(width * np.arange(low, high + 1.0))


def counts(
    sample: Float[np.ndarray, "T members"], edges: Float[np.ndarray, " edges"]
) -> Float[np.ndarray, " bins"]:
    """Values in each bin, and beyond the last edge in one more bin, so that none is lost."""
    inside, _ = np.histogram(sample, bins=edges)
    return np.append(inside, sample.size - inside.sum()).astype(np.float64)


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

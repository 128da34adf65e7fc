"""Everything measured on one molecule, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kstep.config import EvalConfig
from kstep.referee.claims.acceptance import verdict
from kstep.referee.claims.checks import DYNAMICS, ENSEMBLE, MECHANICS, Measured
from kstep.referee.compared import Files, Side, load_sides, recorded
from kstep.referee.cost.methods import limit_of_small_steps, score_methods
from kstep.referee.cost.savings import cost, load_timing
from kstep.referee.metrics import (
    DynamicsMetrics,
    EnergyMetrics,
    EnsembleMetrics,
    MoleculeMetrics,
    Pair,
    SpectralPeak,
    StructureMetrics,
    TemperatureMetrics,
)
from kstep.referee.physics.energy import compare_energies
from kstep.referee.physics.ensemble import compare_ensembles
from kstep.referee.physics.map_quality import map_quality
from kstep.referee.physics.spectrum import compare_spectra
from kstep.referee.physics.temperature import compare_temperatures
from kstep.referee.statistics.estimates import UNKNOWN
from kstep.referee.structure.autocorrelation import compare_memories, efficiency
from kstep.referee.structure.basin import time_to_basin
from kstep.referee.structure.distributions import compare_structures
from kstep.referee.structure.surfaces import free_energy_surface
from kstep.referee.view import aligned_views
from kstep.system.molecule import Molecule
from kstep.system.prepared import PreparedMolecule

Curves = dict[str, np.ndarray]

LIMIT = "the limit of small steps"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two trajectories of one molecule say about each other.

    Attributes:
        energy, temperature, ensemble, structure, dynamics: as in `MoleculeMetrics`.
        curves: for the figures.
        measured: every deviation that the acceptance rule judges.
    """

    energy: Pair[EnergyMetrics]
    temperature: TemperatureMetrics | None
    ensemble: EnsembleMetrics | None
    structure: StructureMetrics
    dynamics: DynamicsMetrics
    curves: Curves
    measured: list[Measured]


def compare(config: EvalConfig, molecule: Molecule, baseline: Side, candidate: Side) -> Comparison:
    """Measure a candidate against a baseline."""
    sides = (baseline, candidate)
    energy, curves, measured = compare_energies(config, molecule, *sides)
    temperature = None
    if all(side.trajectory.has_velocities for side in sides):
        temperature, found, checks = compare_temperatures(config, molecule, *sides)
        curves |= found
        measured += checks
    ensemble, found, checks = compare_ensembles(config, *sides)
    curves |= found
    measured += checks
    structure, found, checks = compare_structures(config, molecule, *sides)
    curves |= found | free_energy_surface(config, molecule, *sides)
    measured += checks
    dynamics, found, checks = _compare_dynamics(config, molecule, *sides)
    return Comparison(
        energy, temperature, ensemble, structure, dynamics, curves | found, measured + checks
    )


def score(
    config: EvalConfig, molecule: PreparedMolecule, files: Files
) -> tuple[MoleculeMetrics, Pair[dict[str, object]], Curves]:
    """Everything measured on one molecule, the records of its trajectories, and its curves.

    Raises ArtifactError when a file is broken, foreign or too short.
    """
    sides = baseline, candidate = load_sides(files, molecule)
    record = candidate.trajectory.record
    found = compare(config, molecule, *sides)
    map_metrics, map_curves = map_quality(files.map)
    measured, judge = found.measured, "baseline"
    if not candidate.is_dynamics:
        measured, judge = _of_averages(config, molecule, files, candidate, measured)
    timing = load_timing(files.timing) if files.timing.is_file() else None
    metrics = MoleculeMetrics(
        name=molecule.name,
        smiles=molecule.smiles,
        n_atoms=molecule.n_atoms,
        candidate=str(record.get("candidate", "hybrid")),
        k_steps=record.get("k_steps"),
        corrector=record.get("corrector"),
        acceptance=record.get("acceptance"),
        dt_ps=float(recorded(baseline.path, baseline.trajectory, "dt_ps")),
        sampling=Pair(baseline=baseline.sampling, candidate=candidate.sampling),
        energy=found.energy,
        temperature=found.temperature,
        ensemble=found.ensemble,
        structure=found.structure,
        dynamics=found.dynamics,
        map=map_metrics,
        cost=None if timing is None else cost(config, *sides, timing),
        efficiency=efficiency(molecule, *sides, timing),
        basin=None if timing is None else time_to_basin(config, molecule, files, timing),
        methods=score_methods(config, molecule, files, *sides, timing),
        judged_against=judge,
        external_forces=list(molecule.external_forces),
        verdict=verdict(measured),
    )
    records = Pair[dict[str, object]](baseline=baseline.trajectory.record, candidate=record)
    return metrics, records, found.curves | map_curves | aligned_views(molecule, *sides)


def _of_averages(
    config: EvalConfig,
    molecule: PreparedMolecule,
    files: Files,
    candidate: Side,
    measured: Sequence[Measured],
) -> tuple[list[Measured], str]:
    """What sampling by Metropolis tests can be held to: averages, and these at no step at all.

    Returns the deviations, and what they are deviations from.

    Its distribution is exact where the baseline's has the error of a base step, some 4 % in the
    width of a stiff bond at 2 fs. So temperature and structure are held against the limit of
    small steps, where there is one.
    """
    limit = limit_of_small_steps(files, molecule, candidate.temperature)
    if limit is not None:
        _, _, warm = compare_temperatures(config, molecule, limit, candidate)
        _, _, shaped = compare_structures(config, molecule, limit, candidate)
        kept = [one for one in measured if one.claim in (MECHANICS, ENSEMBLE)]
        measured = [*kept, *warm, *shaped]
    judge = "baseline" if limit is None else LIMIT
    return [one for one in measured if one.claim != DYNAMICS], judge


def _compare_dynamics(
    config: EvalConfig, molecule: Molecule, baseline: Side, candidate: Side
) -> tuple[DynamicsMetrics, Curves, list[Measured]]:
    torsions, curves = compare_memories(molecule, baseline, candidate)
    nyquist = resolution = None
    peaks: list[SpectralPeak] = []
    measured: list[Measured] = []
    if baseline.motion is not None and candidate.motion is not None:
        masses = baseline.trajectory.masses.astype(np.float64)
        nyquist, resolution, peaks, found, measured = compare_spectra(
            config, baseline.motion, candidate.motion, masses
        )
        curves |= found
    if not any(peak.resolved for peak in peaks):
        label = "place of every band of the spectrum"
        measured.append(Measured(DYNAMICS, label, "1/cm", UNKNOWN, config.max_peak_shift))
    metrics = DynamicsMetrics(
        nyquist=nyquist, resolution=resolution, peaks=peaks, torsions=torsions
    )
    return metrics, curves, measured

"""The eval stage: every molecule with both trajectories, scored; `metrics.json`, `curves.npz`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kstep.artifacts import hash_config, hash_file, write_json, write_npz
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.evaluate.acceptance import ACCEPTANCE_VERSION, overall, verdict
from kstep.evaluate.basin import time_to_basin
from kstep.evaluate.cost import cost, load_timing
from kstep.evaluate.energy import energy_conservation
from kstep.evaluate.metrics import (
    SIDES,
    EnergyMetrics,
    Metrics,
    MoleculeMetrics,
    Pair,
    load_metrics,
)
from kstep.evaluate.sides import Files, files_of, load_sides
from kstep.evaluate.structure import Sample, compare_structures
from kstep.evaluate.temperature import compare_temperatures
from kstep.molecule import Molecule
from kstep.progress import progress

CURVES_SCHEMA = "kstep.curves"
CURVES_VERSION = 1

Curves = dict[str, np.ndarray]


def run(config: Config, molecules: Sequence[Molecule]) -> Path:
    """Score all molecules that have a baseline and a hybrid trajectory.

    Writes `<paths.run>/eval/metrics.json`, with `metrics.schema.json` that describes it and
    `curves.npz` for the figures, and returns the first; does nothing when they are there and
    were made from the same files and settings.

    A molecule whose files are missing, broken, foreign or too short is named on standard error
    and in `missing`; the others are scored.

    Raises ArtifactError when none can be.
    """
    target = config.paths.run / "eval" / "metrics.json"
    scored, missing = _sort_out(config, molecules)
    sources = {
        f"{path.parent.name}/{path.name}": hash_file(path)
        for molecule in scored
        for path in files_of(config, molecule.name).present
    }
    if _is_current(target, config, sources, missing):
        return target
    results: list[MoleculeMetrics] = []
    provenance: dict[str, Pair[dict[str, object]]] = {}
    curves: Curves = {}
    failure: ArtifactError | None = None
    with progress("eval", float(len(scored)), "molecules") as bar:
        for molecule in scored:
            try:
                metrics, records, own = score(config, molecule)
            except ArtifactError as error:
                print(f"{molecule.name} is not scored: {error}", file=sys.stderr)
                missing.append(molecule.name)
                failure = error
                continue
            results.append(metrics)
            provenance[molecule.name] = records
            curves |= {f"{molecule.name}/{key}": array for key, array in own.items()}
            bar.update(1)
    if failure is not None and not results:
        raise failure
    curves_path = curves_of(target)
    write_npz(curves_path, curves, _curves_record(config))
    outcome, sentence = overall(results)
    report = Metrics(
        acceptance_version=ACCEPTANCE_VERSION,
        config_hash=hash_config(config.eval),
        config={"eval": config.eval.model_dump(mode="json")},
        source_hashes=sources,
        curves_hash=hash_file(curves_path),
        provenance=provenance,
        missing=missing,
        molecules=results,
        outcome=outcome,
        sentence=sentence,
    )
    write_json(target.with_name("metrics.schema.json"), Metrics.model_json_schema())
    write_json(target, report.model_dump(mode="json", by_alias=True))
    return target


def curves_of(metrics: Path) -> Path:
    """The arrays of the figures that belong to a `metrics.json`."""
    return metrics.with_name("curves.npz")


def score(
    config: Config, molecule: Molecule
) -> tuple[MoleculeMetrics, Pair[dict[str, object]], Curves]:
    """Everything measured on one molecule, the records of its trajectories, and its curves."""
    files = files_of(config, molecule.name)
    baseline, hybrid, temperature_K = load_sides(files, molecule)
    sides = (baseline, hybrid)
    curves: Curves = {}
    energies: list[EnergyMetrics] = []
    for name, side in zip(SIDES, sides, strict=True):
        found, traces = energy_conservation(config.eval, side.trajectory)
        energies.append(found)
        curves |= {f"energy/{name}/{key}": array for key, array in traces.items()}
    energy = Pair[EnergyMetrics](baseline=energies[0], hybrid=energies[1])
    temperature, histograms = compare_temperatures(molecule, baseline, hybrid, temperature_K)
    samples = [Sample(s.trajectory.pos[s.nvt_frames], s.nvt_breaks, s.nvt_ps) for s in sides]
    structure, distributions = compare_structures(config.eval, molecule, *samples)
    timing = load_timing(files.timing) if files.timing.is_file() else None
    record = hybrid.trajectory.record
    metrics = MoleculeMetrics(
        name=molecule.name,
        smiles=molecule.smiles,
        n_atoms=molecule.n_atoms,
        k_steps=int(record["k_steps"]),
        corrector=str(record["corrector"]),
        dt_ps=float(record["dt_ps"]),
        sampling=Pair(baseline=baseline.sampling, hybrid=hybrid.sampling),
        energy=energy,
        temperature=temperature,
        structure=structure,
        cost=None if timing is None else cost(files.hybrid, record, timing),
        basin=None if timing is None else time_to_basin(config.eval, molecule, files, timing),
        verdict=verdict(config.eval, energy, temperature, structure),
    )
    records = Pair[dict[str, object]](baseline=baseline.trajectory.record, hybrid=record)
    return metrics, records, curves | histograms | distributions


def _sort_out(config: Config, molecules: Sequence[Molecule]) -> tuple[list[Molecule], list[str]]:
    """Molecules with both trajectories, and the names of the others (said on standard error)."""
    complete: list[Molecule] = []
    missing: list[str] = []
    for molecule in sorted(molecules, key=lambda one: one.name):
        files: Files = files_of(config, molecule.name)
        absent = [path for path in (files.baseline, files.hybrid) if not path.is_file()]
        if absent:
            missing.append(molecule.name)
            print(
                f"{molecule.name} is not scored: {absent[0]} is missing: run `kstep md` and "
                "`kstep run` first.",
                file=sys.stderr,
            )
        else:
            complete.append(molecule)
    if not complete:
        raise ArtifactError(
            f"no molecule has both a baseline in {config.paths.data / 'md'} and a hybrid run in "
            f"{config.paths.run / 'hybrid'}: run `kstep md` and `kstep run` first."
        )
    return complete, missing


def _is_current(target: Path, config: Config, sources: dict[str, str], missing: list[str]) -> bool:
    """Whether the metrics that lie there are of these files and settings."""
    if not (target.is_file() and curves_of(target).is_file()):
        return False
    try:
        found = load_metrics(target)
    except ArtifactError:
        return False
    return (
        (found.acceptance_version, found.config_hash)
        == (ACCEPTANCE_VERSION, hash_config(config.eval))
        and (found.source_hashes, found.missing) == (sources, missing)
        and found.curves_hash == hash_file(curves_of(target))
    )


def _curves_record(config: Config) -> dict[str, object]:
    return {
        "schema": CURVES_SCHEMA,
        "schema_version": CURVES_VERSION,
        "config_hash": hash_config(config.eval),
    }

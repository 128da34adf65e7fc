"""The eval stage: every molecule with both trajectories, scored; `metrics.json`, `curves.npz`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kstep.artifacts import hash_config, hash_file, write_json, write_npz
from kstep.config import Config, EvalConfig
from kstep.errors import ArtifactError
from kstep.parallel import Report, run_parallel
from kstep.referee.claims.acceptance import ACCEPTANCE_VERSION, overall
from kstep.referee.compared import files_of
from kstep.referee.metrics import Metrics, MoleculeMetrics, Pair, load_metrics
from kstep.referee.scoring import Curves, score
from kstep.system.prepared import PreparedMolecule

CURVES_SCHEMA = "kstep.curves"
CURVES_VERSION = 2


@dataclass(frozen=True, eq=False)
class Scored:
    """What scoring one molecule gave, fit to be sent from one process to another.

    Attributes:
        metrics: its metrics as JSON: generic pydantic classes cannot be pickled.
        records: of both trajectories, by side.
        curves: for the figures.
    """

    metrics: str
    records: dict[str, dict[str, object]]
    curves: Curves


def run(config: Config, molecules: Sequence[PreparedMolecule]) -> Path:
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
    results = _score_all(config, scored, missing)
    molecule_metrics = [
        MoleculeMetrics.model_validate_json(result.metrics) for result in results.values()
    ]
    _save(config, target, sources, missing, results, molecule_metrics)
    return target


def _score_all(
    config: Config, molecules: Sequence[PreparedMolecule], missing: list[str]
) -> dict[str, Scored]:
    """Every molecule that can be scored; the names of the others are added to `missing`."""
    outcomes = run_parallel(
        {molecule.name: partial(_score, config, molecule) for molecule in molecules},
        config.eval.workers,
        f"eval ({len(molecules)} molecules)",
        [1.0] * len(molecules),
        "molecules",
    )
    results: dict[str, Scored] = {}
    for name, found in outcomes.items():
        if isinstance(found, ArtifactError):
            print(f"{name} is not scored: {found}", file=sys.stderr)
            missing.append(name)
        else:
            results[name] = found
    if not results:
        raise next(error for error in outcomes.values() if isinstance(error, ArtifactError))
    return results


def _save(
    config: Config,
    target: Path,
    sources: dict[str, str],
    missing: list[str],
    results: dict[str, Scored],
    molecules: list[MoleculeMetrics],
) -> None:
    curves_path = curves_of(target)
    curves = {
        f"{name}/{key}": array
        for name, result in results.items()
        for key, array in result.curves.items()
    }
    write_npz(curves_path, curves, _curves_record(config))
    outcome, sentence = overall(molecules)
    report = Metrics(
        acceptance_version=ACCEPTANCE_VERSION,
        config_hash=hash_config(_judging(config)),
        config={"eval": _judging(config).model_dump(mode="json")},
        source_hashes=sources,
        curves_hash=hash_file(curves_path),
        provenance={
            name: Pair[dict[str, object]].model_validate(result.records)
            for name, result in results.items()
        },
        missing=missing,
        molecules=molecules,
        outcome=outcome,
        sentence=sentence,
    )
    write_json(target.with_name("metrics.schema.json"), Metrics.model_json_schema())
    write_json(target, report.model_dump(mode="json", by_alias=True))


def curves_of(metrics: Path) -> Path:
    """The arrays of the figures that belong to a `metrics.json`."""
    return metrics.with_name("curves.npz")


def _score(config: Config, molecule: PreparedMolecule, report: Report) -> Scored | ArtifactError:
    """One molecule; an error is returned, so that it does not stop the others."""
    try:
        metrics, records, curves = score(config.eval, molecule, files_of(config, molecule.name))
        return Scored(metrics.model_dump_json(), records.model_dump(), curves)
    except ArtifactError as error:
        return error
    finally:
        report(1.0)


def _judging(config: Config) -> EvalConfig:
    """The settings without the number of processes, which changes no result."""
    return config.eval.model_copy(update={"workers": 0})


def _sort_out(
    config: Config, molecules: Sequence[PreparedMolecule]
) -> tuple[list[PreparedMolecule], list[str]]:
    """Molecules with both trajectories, and the names of the others (said on standard error)."""
    complete: list[PreparedMolecule] = []
    missing: list[str] = []
    for molecule in sorted(molecules, key=lambda one: one.name):
        files = files_of(config, molecule.name)
        absent = [path for path in (files.baseline, files.candidate) if not path.is_file()]
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
        == (ACCEPTANCE_VERSION, hash_config(_judging(config)))
        and (found.source_hashes, found.missing) == (sources, missing)
        and found.curves_hash == hash_file(curves_of(target))
    )


def _curves_record(config: Config) -> dict[str, object]:
    return {
        "schema": CURVES_SCHEMA,
        "schema_version": CURVES_VERSION,
        "config_hash": hash_config(_judging(config)),
    }

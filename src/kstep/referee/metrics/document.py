"""The schema of `metrics.json`: every number the evaluation finds, with its meaning and unit.

`describe_metrics` prints it; `Metrics.model_json_schema()` gives it as JSON schema. Intervals
are 90% confidence intervals. A number that the data cannot give is null.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from kstep.artifacts import read_json
from kstep.errors import ArtifactError
from kstep.referee.metrics.base import Frozen, Outcome, Pair, Sampling, Verdict
from kstep.referee.metrics.costs import BasinMetrics, CostMetrics, EfficiencyMetrics, MethodMetrics
from kstep.referee.metrics.physics import (
    DynamicsMetrics,
    EnergyMetrics,
    EnsembleMetrics,
    MapMetrics,
    StructureMetrics,
    TemperatureMetrics,
)


class MoleculeMetrics(Frozen):
    """Everything measured on one molecule."""

    name: str = Field(description="molecule")
    smiles: str = Field(description="SMILES")
    n_atoms: int = Field(description="atoms, hydrogens included")
    candidate: str = Field(description="what is judged: hybrid, or the name of a file")
    k_steps: int | None = Field(description="base steps per jump; null: not a hybrid run")
    corrector: str | None = Field(description="corrector of the hybrid")
    acceptance: float | None = Field(
        None,
        description="share of the jumps accepted in generalised hybrid Monte Carlo, of which "
        "averages are judged, but neither motion nor NVE windows; null for dynamics",
    )
    dt_ps: float = Field(description="base time step of the baseline, ps")
    sampling: Pair[Sampling] = Field(description="data scored")
    energy: Pair[EnergyMetrics] = Field(description="NVE energy conservation")
    temperature: TemperatureMetrics | None = Field(
        description="kinetic temperature and equipartition; null without velocities"
    )
    ensemble: EnsembleMetrics | None = Field(
        description="potential energies at two temperatures; null with one"
    )
    structure: StructureMetrics = Field(description="distributions against the noise floor")
    dynamics: DynamicsMetrics = Field(description="spectra and memory")
    map: MapMetrics | None = Field(description="the macro-step as a map; null where not measured")
    cost: CostMetrics | None = Field(description="cost; null without timing files")
    efficiency: EfficiencyMetrics | None = Field(
        description="independent samples and what they cost; null without force calls"
    )
    basin: BasinMetrics | None = Field(description="time to basin; null without basin files")
    methods: list[MethodMetrics] = Field(
        description="baseline, candidate and controls against the limit of small steps; empty "
        "without controls"
    )
    judged_against: str = Field(
        "baseline",
        description="what temperature and structure are held against: the baseline, or in "
        "generalised hybrid Monte Carlo the limit of small steps, where `kstep controls` made it",
    )
    external_forces: list[str] = Field(
        default=[],
        description="forces that act from outside (restraints, fields, boxes): where there are any "
        "momenta do not stay and are not judged",
    )
    verdict: Verdict = Field(description="what the acceptance rule makes of it")


class Metrics(Frozen):
    """The whole of `metrics.json`."""

    schema_name: Literal["kstep.metrics"] = Field(
        "kstep.metrics", alias="schema", description="schema of this file"
    )
    schema_version: Literal[3] = Field(3, description="its version")
    acceptance_version: int = Field(description="version of the acceptance rule")
    config_hash: str = Field(description="hash of the eval section")
    config: dict[str, Any] = Field(description="the eval section; others: provenance")
    source_hashes: dict[str, str] = Field(description="SHA-256 of every file read")
    curves_hash: str = Field(description="SHA-256 of curves.npz beside this file")
    provenance: dict[str, Pair[dict[str, Any]]] = Field(
        description="records of both trajectories of every molecule: seeds, versions, hashes"
    )
    missing: list[str] = Field(description="molecules without both trajectories: not scored")
    molecules: list[MoleculeMetrics] = Field(description="every molecule scored, by name")
    outcome: Outcome = Field(description="the worst verdict of all molecules")
    sentence: str = Field(description="the verdict in one sentence")


def load_metrics(path: Path) -> Metrics:
    """Read `metrics.json`; ArtifactError when it is missing or not one of this version."""
    try:
        return Metrics.model_validate(read_json(path))
    except ValidationError:
        raise ArtifactError(
            f"{path} is not a metrics file of this kstep: run `kstep eval` again."
        ) from None


def describe_metrics() -> str:
    """One line per field of `metrics.json`: dotted name and meaning."""
    return "\n".join(f"{name:<58} {meaning}" for name, meaning in _describe(Metrics, ""))


def _describe(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        suffix = "[]" if inner is not None and "list" in str(field.annotation) else ""
        key = f"{prefix}{field.alias or name}{suffix}"
        yield key, field.description or ""
        if inner is not None:
            yield from _describe(inner, f"{key}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The metrics class inside `list[X]`, `X | None` or `X`; none inside a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if getattr(annotation, "__origin__", None) is dict:
        return None
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)

"""The schema of `metrics.json`: every number the evaluation finds, with its meaning and unit.

`describe_metrics` prints it; `Metrics.model_json_schema()` gives it as JSON schema. Intervals
are 95% confidence intervals. A number that the data cannot give is null.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kstep.artifacts import read_json
from kstep.errors import ArtifactError

SIDES = ("baseline", "hybrid")


class Outcome(StrEnum):
    """What the acceptance rule can say."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "not enough data"


class Frozen(BaseModel):
    """Base of all metrics: immutable, unknown fields refused, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T")


class Pair(Frozen, Generic[T]):
    """The same measurement on both trajectories, made by the same code."""

    baseline: T = Field(description="of the baseline")
    hybrid: T = Field(description="of the hybrid")


class Estimate(Frozen):
    """A number with its 95% confidence interval."""

    value: float = Field(description="estimate")
    low: float = Field(description="lower end of the 95% interval")
    high: float = Field(description="upper end of the 95% interval")


class WindowDrift(Frozen):
    """One NVE window."""

    length_ps: float = Field(description="length, ps")
    drift: float = Field(description="least-squares slope of Etot, kJ/mol/ps per atom")
    drift_meV: float = Field(description="the same in meV/ps per atom")
    fluctuation: float = Field(description="RMS of Etot about the fitted line, kJ/mol")
    excursion: float = Field(description="largest |Etot - Etot at the start|, kJ/mol")


class EnergyMetrics(Frozen):
    """Energy conservation of one side over its NVE windows."""

    windows: list[WindowDrift] = Field(description="every NVE window in order")
    median_drift: float | None = Field(
        description="median over windows of the signed drift, kJ/mol/ps per atom"
    )
    lower_quartile: float | None = Field(description="25% quantile of the signed drift")
    upper_quartile: float | None = Field(description="75% quantile of the signed drift")
    median_drift_meV: float | None = Field(description="median signed drift, meV/ps per atom")
    size: Estimate | None = Field(
        description="median over windows of |drift|, kJ/mol/ps per atom; interval: bootstrap"
    )
    median_fluctuation: float | None = Field(description="median fluctuation, kJ/mol")
    largest_excursion: float | None = Field(description="largest excursion of all, kJ/mol")


class ElementKinetics(Frozen):
    """Mean kinetic energy per atom of one element, centre of mass at rest."""

    element: str = Field(description="element symbol")
    n_atoms: int = Field(description="atoms of this element")
    kinetic_energy: Pair[Estimate] = Field(description="mean per atom in NVT, kJ/mol")
    error: Estimate = Field(description="hybrid / baseline - 1")
    nve_share: Pair[Estimate] | None = Field(
        description="in NVE windows: kinetic energy per atom of this element over that of all "
        "atoms; equipartition shows here even though NVE has no set temperature"
    )
    nve_error: Estimate | None = Field(description="hybrid / baseline - 1 of that share")


class TemperatureMetrics(Frozen):
    """Kinetic temperature in NVT, centre-of-mass velocity removed."""

    target_K: float = Field(description="temperature of the thermostat, K")
    degrees_of_freedom: int = Field(description="3N - constraints - 3")
    mean_K: Pair[Estimate] = Field(description="mean kinetic temperature, K")
    error: Pair[Estimate] = Field(description="mean / target - 1")
    elements: list[ElementKinetics] = Field(
        description="by element; compared as energies because constraints leave an element fewer "
        "than 3 degrees of freedom per atom, by a share that only the baseline knows"
    )


class Divergence(Frozen):
    """How far apart the distributions of one internal coordinate are."""

    label: str = Field(description="elements and serial numbers (as in molecule.pdb) of one member")
    kind: Literal["bond", "angle", "dihedral", "distance"] = Field(
        description="distance: all heavy-atom pairs of two elements, the content of the RDF"
    )
    members: int = Field(description="equivalent coordinates pooled in it")
    mean: Pair[float] | None = Field(description="mean, nm or degrees; null for dihedrals")
    kl: float = Field(description="Kullback-Leibler divergence of hybrid from baseline, nats")
    js: float = Field(description="Jensen-Shannon divergence, nats (at most ln 2 = 0.69)")
    noise: float = Field(
        description="mean JS of two halves of the baseline, scaled to the lengths compared, nats"
    )
    noise_95: float = Field(description="95% quantile of the same, nats")
    excess: float = Field(description="js - noise, nats")
    crossings: Pair[float] | None = Field(
        description="dihedrals whose populations differ: how often each side came into the well "
        "concerned or left it (mean over members); from few crossings nothing can be said"
    )


class StructureMetrics(Frozen):
    """Distributions of internal coordinates and heavy-atom distances in NVT."""

    coordinates: list[Divergence] = Field(description="all classes, worst excess first")
    fixed_bonds: int = Field(description="constrained bonds, left out: equal by construction")
    blocks: int = Field(description="blocks of the baseline behind the noise floor")


class CostMetrics(Frozen):
    """What the hybrid costs and what it saves."""

    nominal_saving: float = Field(description="base steps per force call if no jump is rejected")
    counted_saving: float = Field(description="base steps of simulated time per force call counted")
    wall_ratio: float = Field(
        description="baseline time / hybrid time for the same simulated time; above 1 the hybrid "
        "is faster on the clock"
    )
    s_per_ps: Pair[float] = Field(description="wall-clock seconds per simulated ps")
    parts: dict[str, float] = Field(description="wall-clock seconds of the hybrid by part")
    rejected_share: float = Field(description="jumps discarded by the guard / macro-steps")
    steps_per_macro: float = Field(description="base steps per macro-step, corrector included")
    calls_per_macro: float = Field(description="force calls per macro-step, fallback included")
    step_cost_s: float = Field(description="baseline's wall-clock time per base step, s")
    overhead_s: float = Field(description="hybrid's time per macro-step outside force calls, s")
    break_even_s: float | None = Field(
        description="cost of a force call above which the hybrid is faster, s; null: never"
    )
    platform: str = Field(description="OpenMM platform of the hybrid's force calls")


class BasinSide(Frozen):
    """How soon runs of one side reach the best known minimum."""

    force_calls: list[int | None] = Field(description="per start; null: not reached")
    wall_s: list[float | None] = Field(description="wall-clock seconds per start; null likewise")
    reached_share: float = Field(description="starts that reached the basin")
    at_once_share: float = Field(description="starts already in the basin at their first quench")
    median_force_calls: float | None = Field(
        description="median over all starts; null unless more than half reached it"
    )
    median_wall_s: float | None = Field(description="median wall-clock seconds, likewise")


class BasinMetrics(Frozen):
    """Time to basin: from randomised starts to the best known minimum."""

    best_energy: float = Field(description="best minimum of both sides' quenches, kJ/mol")
    sides: Pair[BasinSide] = Field(description="both sides")
    trivial: bool = Field(
        description="true: every start of both sides is in the basin at once, so this molecule "
        "cannot tell the two apart"
    )


class Claim(Frozen):
    """One question of the acceptance rule and its answer."""

    name: str = Field(description="what is judged")
    outcome: Outcome = Field(description="accepted, rejected or not enough data")
    sentence: str = Field(description="why, in plain words with the numbers")


class Verdict(Frozen):
    """The answer of the acceptance rule for one molecule."""

    outcome: Outcome = Field(description="the worst of the claims")
    sentence: str = Field(description="in one sentence")
    claims: list[Claim] = Field(description="the answers behind it")


class Sampling(Frozen):
    """How much of one side was scored."""

    nvt_frames: int = Field(description="frames at constant temperature")
    nvt_ps: float = Field(description="their simulated time, ps")
    nve_windows: int = Field(description="NVE windows")


class MoleculeMetrics(Frozen):
    """Everything measured on one molecule."""

    name: str = Field(description="molecule")
    smiles: str = Field(description="SMILES")
    n_atoms: int = Field(description="atoms, hydrogens included")
    k_steps: int = Field(description="base steps per jump")
    corrector: str = Field(description="corrector of the hybrid")
    dt_ps: float = Field(description="base time step, ps")
    sampling: Pair[Sampling] = Field(description="data scored")
    energy: Pair[EnergyMetrics] = Field(description="NVE energy conservation")
    temperature: TemperatureMetrics = Field(description="kinetic temperature and equipartition")
    structure: StructureMetrics = Field(description="distributions against the noise floor")
    cost: CostMetrics | None = Field(description="cost; null without timing files")
    basin: BasinMetrics | None = Field(description="time to basin; null without basin files")
    verdict: Verdict = Field(description="what the acceptance rule makes of it")


class Metrics(Frozen):
    """The whole of `metrics.json`."""

    schema_name: Literal["kstep.metrics"] = Field(
        "kstep.metrics", alias="schema", description="schema of this file"
    )
    schema_version: Literal[1] = Field(1, description="its version")
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

"""Everything the report says about one molecule, in order."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kstep.referee.claims.words import momenta_not_judged
from kstep.referee.metrics import Claim, MoleculeMetrics
from kstep.referee.report.captions import CAPTIONS
from kstep.referee.report.figures.style import Curves
from kstep.referee.report.lights import Light, basin_light, cost_lights, outcome_light
from kstep.referee.report.tables import (
    Table,
    adaptation_table,
    basin_table,
    check_tables,
    cost_table,
    efficiency_table,
    energy_table,
    ensemble_table,
    map_table,
    memory_table,
    methods_table,
    shares_table,
    spectrum_table,
    structure_table,
    temperature_table,
    torsion_table,
)
from kstep.referee.report.viewer import View, view_of

Images = Mapping[str, bytes]

NOT_MOTION = (
    "motion (GHMC: refused jumps turn the velocities round, so its rates and memory are those of "
    "a sampler and not comparable with dynamics; the energy of its NVE windows is shown, not "
    "judged)"
)

OF_A_STEP = (
    "the exact distribution (no controls: GHMC samples it, but was held against the baseline, "
    "whose base step widens stiff bonds)"
)


@dataclass(frozen=True)
class Picture:
    """An inlined figure with its caption."""

    name: str
    source: str
    caption: str


@dataclass(frozen=True)
class Answer:
    """A claim's light with its checks: those shown, and the rest."""

    light: Light
    checks: Table
    others: Table | None
    count: int


@dataclass(frozen=True)
class Section:
    """One subject: its pictures and tables."""

    title: str
    pictures: list[Picture]
    tables: list[Table]


@dataclass(frozen=True)
class Chapter:
    """Everything about one molecule."""

    title: str
    subtitle: str
    verdict: Light
    answers: list[Answer]
    lights: list[Light]
    judged: list[Picture]
    view: View | None
    sections: list[Section]
    absent: list[str]


def chapter(molecule: MoleculeMetrics, images: Images, curves: Curves) -> Chapter:
    """Lights, tables, pictures and the moving picture of one molecule."""
    lights = [] if molecule.cost is None else cost_lights([molecule.cost], molecule.candidate)
    if molecule.basin is not None:
        lights.append(basin_light(molecule.basin, molecule.candidate))
    return Chapter(
        title=molecule.name,
        subtitle=_subtitle(molecule),
        verdict=outcome_light("verdict", molecule.verdict.outcome, molecule.verdict.sentence),
        answers=[_answer(claim) for claim in molecule.verdict.claims],
        lights=lights,
        judged=pictures(images, molecule.name, "claims"),
        view=view_of(molecule, curves),
        sections=list(_sections(molecule, images)),
        absent=list(_absent(molecule)),
    )


def pictures(images: Images, molecule: str, *subjects: str) -> list[Picture]:
    """The figures of one molecule (of all, without a name) that were drawn, as data."""
    prefix = f"{molecule}_" if molecule else ""
    return [
        Picture(
            f"{prefix}{subject}",
            f"data:image/svg+xml;base64,{base64.b64encode(images[prefix + subject]).decode()}",
            CAPTIONS[subject],
        )
        for subject in subjects
        if prefix + subject in images
    ]


def _answer(claim: Claim) -> Answer:
    checks, others = check_tables(claim)
    light = outcome_light(claim.name, claim.outcome, claim.sentence)
    return Answer(light, checks, others, len(claim.checks))


def _subtitle(molecule: MoleculeMetrics) -> str:
    named = f"{molecule.smiles}: " if molecule.smiles else ""
    parts = [f"{named}{molecule.n_atoms} atoms"]
    if molecule.k_steps is not None:
        parts.append(f"k = {molecule.k_steps}, corrector {molecule.corrector}")
    if molecule.acceptance is not None:
        parts.append(
            f"GHMC, {molecule.acceptance:.1%} of the jumps accepted, judged against "
            f"{molecule.judged_against}"
        )
    parts.append(f"base step {molecule.dt_ps * 1e3:g} fs")
    scored = [
        f"{name}: {side.replicas} run{'s' if side.replicas > 1 else ''}, {side.nvt_ps / 1e3:g} ns "
        f"in NVT ({side.nvt_frames} frames, one every {side.nvt_ps / side.nvt_frames:.4g} ps; "
        f"{side.discarded_ps:g} ps left out as not yet in "
        f"equilibrium), {side.nve_windows} NVE windows, {side.motion_windows} saved densely"
        for name, side in (
            ("baseline", molecule.sampling.baseline),
            (molecule.candidate, molecule.sampling.candidate),
        )
    ]
    return f"{', '.join(parts)}. Scored, {'; '.join(scored)}."


def _sections(molecule: MoleculeMetrics, images: Images) -> Iterator[Section]:
    """The subjects that were measured: what is judged, then what is reported."""

    def drawn(*subjects: str) -> list[Picture]:
        return pictures(images, molecule.name, *subjects)

    if molecule.energy.baseline.windows or molecule.energy.candidate.windows:
        yield Section("Energy", drawn("energy"), [energy_table(molecule)])
    if (kinetic := molecule.temperature) is not None:
        tables = [temperature_table(molecule, kinetic), shares_table(molecule, kinetic)]
        shown = drawn("temperature", "equipartition")
        yield Section("Temperature and equipartition", shown, tables)
    if molecule.ensemble is not None:
        table = ensemble_table(molecule, molecule.ensemble)
        yield Section("Ensemble", drawn("ensemble"), [table])
    yield Section(
        "Structure", drawn("coordinates", "rdf", "fes", "surface"), [structure_table(molecule)]
    )
    if dynamics := _dynamics_tables(molecule):
        title = "Dynamics" if molecule.acceptance is None else "Dynamics (not comparable)"
        yield Section(title, drawn("spectrum", "memory"), dynamics)
    if molecule.map is not None:
        yield Section("The macro-step as a map", drawn("guard"), [map_table(molecule.map)])
    yield from _cost_sections(molecule, images)


def _cost_sections(molecule: MoleculeMetrics, images: Images) -> Iterator[Section]:
    """Cost, the other ways to run dynamics, and time to basin, where they were measured."""
    tables = [] if molecule.cost is None else [cost_table(molecule, molecule.cost)]
    if molecule.cost is not None and molecule.cost.training_rounds:
        tables.append(adaptation_table(molecule.cost))
    if molecule.efficiency is not None:
        tables.append(efficiency_table(molecule, molecule.efficiency))
    if tables:
        yield Section("Cost and efficiency", pictures(images, molecule.name, "cost"), tables)
    if molecule.methods:
        shown = pictures(images, molecule.name, "methods")
        yield Section("Every way to run dynamics", shown, [methods_table(molecule.methods)])
    if molecule.basin is not None:
        table = basin_table(molecule, molecule.basin)
        yield Section("Time to basin", pictures(images, molecule.name, "basin"), [table])


def _dynamics_tables(molecule: MoleculeMetrics) -> list[Table]:
    found, tables = molecule.dynamics, []
    if found.peaks:
        tables.append(spectrum_table(molecule, found))
    if found.torsions:
        tables.append(memory_table(molecule, found))
    if molecule.structure.torsions:
        tables.append(torsion_table(molecule, molecule.structure))
    return tables


def _absent(molecule: MoleculeMetrics) -> Iterator[str]:
    """What was not measured, and for want of what."""
    reasons = {
        "temperature": "temperature (no velocities)",
        "ensemble": "the ensemble (one temperature only)",
        "map": "the macro-step as a map (not a hybrid run, or hybrid.map_samples is 0)",
        "cost": "cost (no timing file)",
        "efficiency": "efficiency (no count of force calls)",
        "basin": "time to basin (no basin files)",
    }
    yield from (text for field, text in reasons.items() if getattr(molecule, field) is None)
    if molecule.acceptance is not None:
        yield NOT_MOTION
        if not molecule.methods:
            yield OF_A_STEP
    if molecule.external_forces:
        yield f"momenta ({momenta_not_judged(molecule)})"
    if not molecule.dynamics.peaks:
        yield "the spectrum (no densely saved windows)"
    if not molecule.methods:
        yield "other ways to run dynamics (no controls)"

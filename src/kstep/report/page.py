"""The HTML page: one self-contained text from metrics and figures. The template lays it out."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kstep import __version__
from kstep.evaluate.metrics import SIDES, Metrics, MoleculeMetrics
from kstep.report.lights import Light, basin_light, cost_lights, outcome_light, overall_lights
from kstep.report.tables import (
    Table,
    basin_table,
    cost_table,
    energy_table,
    overview_table,
    structure_table,
    temperature_table,
)


@dataclass(frozen=True)
class Picture:
    """An inlined figure with its caption."""

    source: str
    caption: str


@dataclass(frozen=True)
class Chapter:
    """Everything about one molecule."""

    title: str
    subtitle: str
    verdict: Light
    lights: list[Light]
    tables: dict[str, Table]
    pictures: dict[str, Picture]


CAPTIONS = {
    "drift": "Energy drift of every NVE window of every molecule: a violin and a box for each "
    "side, each window a point. The dotted line is the largest median size accepted.",
    "energy": "Total energy in the NVE windows. Left: both on one scale. Right: the same data, "
    "enlarged to the baseline's range.",
    "temperature": "Kinetic temperature and kinetic energy by element, with 95% intervals. "
    "Constraints leave hydrogen fewer degrees of freedom, so elements differ in height; what "
    "counts is that hybrid and baseline agree for each.",
    "coordinates": "The bonds, angles and dihedrals whose distributions differ most (atom serial "
    "numbers as in molecule.pdb; ×n: n equivalent ones pooled).",
    "rdf": "Intramolecular pair density of heavy atoms: the radial distribution of an isolated "
    "molecule, per pair and per volume of the spherical shell (there is no bulk density to "
    "divide by).",
    "cost": "Left: wall-clock time by part. Right: how much faster the hybrid would be if a force "
    "call cost more, its other costs unchanged; below the blue line it is slower.",
    "basin": "Share of randomised starts that have found the best known minimum, against force "
    "calls and wall-clock time spent.",
}


def page(metrics: Metrics, metrics_hash: str, images: Mapping[str, bytes]) -> str:
    """The whole report as one HTML text; `images` are SVG bytes by figure name."""
    environment = Environment(
        loader=PackageLoader("kstep.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        version=__version__,
        metrics=metrics,
        metrics_hash=metrics_hash,
        verdict=outcome_light("verdict", metrics.outcome, metrics.sentence),
        lights=overall_lights(metrics),
        overview=overview_table(metrics),
        drift=_pictures(images, "").get("drift"),
        chapters=[chapter(molecule, images) for molecule in metrics.molecules],
        sources=Table(
            "Files read, SHA-256",
            ["file", "hash"],
            [[name, value] for name, value in sorted(metrics.source_hashes.items())],
        ),
        records={
            f"{name}, {side}": json.dumps(getattr(pair, side), indent=1, sort_keys=True)
            for name, pair in sorted(metrics.provenance.items())
            for side in SIDES
        },
        config=yaml.safe_dump(metrics.config, sort_keys=False, allow_unicode=True),
    )


def chapter(molecule: MoleculeMetrics, images: Mapping[str, bytes]) -> Chapter:
    """Lights, tables and pictures of one molecule."""
    verdict = molecule.verdict
    lights = [outcome_light(c.name, c.outcome, f"{c.sentence}.") for c in verdict.claims]
    sampling = molecule.sampling
    tables = {
        "energy": energy_table(molecule),
        "temperature": temperature_table(molecule),
        "structure": structure_table(molecule),
    }
    if molecule.cost is not None:
        lights += cost_lights([molecule.cost])
        tables["cost"] = cost_table(molecule.cost)
    if molecule.basin is not None:
        lights.append(basin_light(molecule.basin))
        tables["basin"] = basin_table(molecule.basin)
    return Chapter(
        title=molecule.name,
        subtitle=f"{molecule.smiles}: {molecule.n_atoms} atoms, k = {molecule.k_steps}, corrector "
        f"{molecule.corrector}, base step {molecule.dt_ps * 1e3:g} fs; scored: "
        f"{sampling.baseline.nvt_ps:g} ps of baseline and {sampling.hybrid.nvt_ps:g} ps of hybrid "
        f"in NVT, {sampling.baseline.nve_windows} and {sampling.hybrid.nve_windows} NVE windows.",
        verdict=outcome_light("verdict", verdict.outcome, f"{verdict.sentence}."),
        lights=lights,
        tables=tables,
        pictures=_pictures(images, f"{molecule.name}_"),
    )


def _pictures(images: Mapping[str, bytes], prefix: str) -> dict[str, Picture]:
    """The figures of one molecule (or, without prefix, of all) as data, by subject."""
    return {
        subject: Picture(
            f"data:image/svg+xml;base64,{base64.b64encode(images[prefix + subject]).decode()}",
            caption,
        )
        for subject, caption in CAPTIONS.items()
        if prefix + subject in images
    }

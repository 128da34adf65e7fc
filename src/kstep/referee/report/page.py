"""The HTML page: one self-contained text from metrics, curves and figures."""

import json

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kstep import __version__
from kstep.referee.metrics import SIDES, Metrics
from kstep.referee.report.chapter import Images, chapter, pictures
from kstep.referee.report.figures import OVERVIEW, curves_of_molecule
from kstep.referee.report.figures.style import Curves
from kstep.referee.report.lights import outcome_light, overall_lights
from kstep.referee.report.tables import Table, claims_table, overview_table
from kstep.referee.report.tables.form import tone


def page(metrics: Metrics, metrics_hash: str, images: Images, curves: Curves) -> str:
    """The whole report as one HTML text; `images` are SVG bytes by figure name."""
    environment = Environment(
        loader=PackageLoader("kstep.referee.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tone"] = tone
    chapters = [chapter(m, images, curves_of_molecule(curves, m.name)) for m in metrics.molecules]
    return environment.get_template("report.html.j2").render(
        version=__version__,
        metrics=metrics,
        metrics_hash=metrics_hash,
        verdict=outcome_light("verdict", metrics.outcome, metrics.sentence),
        lights=overall_lights(metrics),
        overview=[claims_table(metrics), overview_table(metrics)],
        drift=pictures(images, "", OVERVIEW),
        chapters=chapters,
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

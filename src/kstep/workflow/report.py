"""The report stage: figures and one self-contained HTML page from `metrics.json`."""

import warnings
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kstep import __version__
from kstep.artifacts import (
    hash_bytes,
    hash_file,
    read_json,
    read_npz,
    write_atomically,
    write_json,
    write_text,
)
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.progress import progress
from kstep.referee.metrics import load_metrics
from kstep.referee.report.captions import CAPTIONS
from kstep.referee.report.figures import FORMATS, draw_all
from kstep.referee.report.page import page
from kstep.workflow.evaluate import CURVES_SCHEMA, CURVES_VERSION, curves_of


def run(config: Config, metrics: Path) -> Path:
    """Draw and write `<paths.run>/report/report.html` and `figures/*.{png,svg}`; returns the page.

    Needs no trajectories. Does nothing when the report there is already of these metrics.

    Raises ArtifactError when metrics or curves are missing, foreign or not of one evaluation.
    """
    folder = config.paths.run / "report"
    target, record_path = folder / "report.html", folder / "record.json"
    found, metrics_hash = load_metrics(metrics), hash_file(metrics)
    if _is_current(folder, metrics_hash):
        return target
    curves_path = curves_of(metrics)
    if hash_file(curves_path) != found.curves_hash:
        raise ArtifactError(
            f"{curves_path} is not the one that {metrics} was written with: run `kstep eval` again."
        )
    curves, _ = read_npz(curves_path, CURVES_SCHEMA, CURVES_VERSION, ())
    images: dict[str, bytes] = {}
    hashes: dict[str, str] = {}
    total = float(len(CAPTIONS) * len(found.molecules))
    with progress("report", total, "figures") as bar, warnings.catch_warnings():
        # Of empty axes and the like, which are for whoever draws.
        warnings.simplefilter("ignore", UserWarning)
        for drawing in draw_all(found, curves):
            for kind in FORMATS:
                path = folder / "figures" / f"{drawing.name}.{kind}"
                content = drawing.images[kind]
                write_atomically(path, partial(_write, content))
                hashes[f"figures/{path.name}"] = hash_bytes(content)
            images[drawing.name] = drawing.images["svg"]
            bar.update(1)
    text = page(found, metrics_hash, images, curves)
    write_text(target, text)
    hashes[target.name] = hash_file(target)
    # Last, so that a report cut short is not taken for a finished one.
    write_json(record_path, {**_origin(metrics_hash), "hashes": hashes})
    return target


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _origin(metrics_hash: str) -> dict[str, object]:
    return {
        "schema": "kstep.report",
        "schema_version": 2,
        "metrics_hash": metrics_hash,
        "versions": {"kstep": __version__},
    }


def _is_current(folder: Path, metrics_hash: str) -> bool:
    """Whether the report there is of these metrics and whole."""
    if not (folder / "record.json").is_file():
        return False
    try:
        record = read_json(folder / "record.json")
        hashes = record.pop("hashes", {})
        return record == _origin(metrics_hash) and all(
            hash_file(folder / name) == expected for name, expected in hashes.items()
        )
    except ArtifactError:
        return False

"""The course of a training as CSV, one row per validation, kept over restarts."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from kstep.artifacts import write_text

Row = Mapping[str, float | int | str]


def read_rows(path: Path, before: int) -> list[dict[str, str]]:
    """Rows of an earlier run up to batch `before`; none when there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if int(row["batch"]) <= before]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows atomically; the columns are those of any row, in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _text(value) for key, value in row.items()})
    write_text(path, text.getvalue())


def _text(value: float | int | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

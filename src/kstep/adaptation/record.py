"""What an adaptation says of itself: what it is, its bill in true-force calls, how well it went."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kstep.artifacts import Record, hash_file, read_json, write_json
from kstep.errors import ArtifactError

SCHEMA = "kstep.adaptation"
SCHEMA_VERSION = 1


def is_finished(folder: Path, identity: Record, checkpoint: Path) -> bool:
    """Whether a folder holds this adaptation, complete.

    Raises ArtifactError when it holds another one.
    """
    path = folder / "record.json"
    if not path.exists():
        return False
    record = read_json(path)
    if any(record.get(key) != value for key, value in identity.items()):
        raise ArtifactError(
            f"{path} belongs to an adaptation with other settings, of another preparation or from "
            f"another network: choose another paths.run, or delete {folder}."
        )
    return checkpoint.exists() and hash_file(checkpoint) == record.get("checkpoint_hash")


def conclude(folder: Path, calls: Mapping[str, int], outcome: Mapping[str, Any]) -> None:
    """Write `record.json`.

    Args:
        folder: of the adaptation.
        calls: true-force calls by purpose.
        outcome: hash of the checkpoint, and how well it does.
    """
    record: Record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "force_calls": sum(calls.values()),
        "calls": dict(calls),
        **outcome,
    }
    write_json(folder / "record.json", record)


@contextmanager
def on_the_clock(folder: Path) -> Iterator[None]:
    """Add the time spent inside to `timing.json`: over all restarts it is the adaptation's."""
    path, began = folder / "timing.json", time.monotonic()
    before = float(read_json(path)["minutes"]) if path.exists() else 0.0
    try:
        yield
    finally:
        write_json(path, {"minutes": before + (time.monotonic() - began) / 60.0})

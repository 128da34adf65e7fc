"""Self-describing files: written atomically, read with a check of what they claim to be.

Every artifact carries a *record*: the name and version of its schema, the hashes of the
configuration and of the files it was made from, the seeds, and the versions of the programs.
A record holds nothing that changes between two identical runs (no clock times, no paths), so
equal inputs give equal bytes.
"""

import fcntl
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydantic import BaseModel

from kstep.errors import ArtifactError, KstepError

Record = dict[str, Any]
RECORD_KEY = "record"


def hash_bytes(data: bytes) -> str:
    """SHA-256 of `data` as hex."""
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes as hex; ArtifactError when it is missing."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: run the stage that makes it first.") from None


def hash_config(*sections: BaseModel, exclude: Set[str] = frozenset()) -> str:
    """Hash of configuration sections: of their values, not of how they were written.

    Settings named in `exclude` are left out.
    """
    canonical = [section.model_dump(mode="json", exclude=set(exclude)) for section in sections]
    return hash_bytes(json.dumps(canonical, sort_keys=True).encode())


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder while a stage works in it.

    The lock dies with the process, however that ends. Raises KstepError when another holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise KstepError(
            f"{folder} cannot be written to ({error.strerror}): choose another folder with "
            "paths.data or paths.run."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise KstepError(
            f"another kstep is at work in {folder}: wait until it has finished."
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file so that it exists either whole or not at all.

    `write` fills a temporary file beside `path`, which replaces `path` only when complete.

    Raises KstepError when the disk is full or the folder cannot be written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise KstepError(
            f"{path} could not be written ({error.strerror}): free some space or choose another "
            "folder with paths.data or paths.run, then run the same command again."
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""

    def write(stream: BinaryIO) -> None:
        stream.write(content)

    write_atomically(path, write)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, with sorted keys and a final newline."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; ArtifactError when it is missing or not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: run the stage that makes it first.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} is not a JSON object: delete it and make it again.")
    return content


def write_npz(path: Path, arrays: Mapping[str, np.ndarray], record: Record) -> None:
    """Write named arrays with their record as one NPZ, atomically and reproducibly."""
    text = json.dumps(record, sort_keys=True)
    content: dict[str, Any] = {**arrays, RECORD_KEY: np.array(text)}
    write_atomically(path, lambda stream: np.savez(stream, **content))


def read_finished(path: Path, record: Record, keys: Iterable[str]) -> dict[str, np.ndarray] | None:
    """The arrays of an unfinished run's file if it is whole and of this very record, else None."""
    try:
        arrays, found = read_npz(path, record["schema"], record["schema_version"], keys)
    except ArtifactError:
        return None
    return arrays if found == record else None


def read_npz(
    path: Path, schema: str, version: int, keys: Iterable[str]
) -> tuple[dict[str, np.ndarray], Record]:
    """Read an NPZ written by `write_npz`, refusing anything that is not what it should be.

    `keys` are the arrays that must be there; all arrays of the file are returned.

    Raises ArtifactError for a missing, truncated or foreign file, another schema or version,
    or missing arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        text = str(arrays.pop(RECORD_KEY)) if RECORD_KEY in arrays else None
        record: Record | None = None if text is None else json.loads(text)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: run the stage that makes it first.") from None
    except (zipfile.BadZipFile, ValueError, TypeError, OSError, EOFError, KeyError):
        raise ArtifactError(
            f"{path} is truncated or not an NPZ file: delete it and run its stage again."
        ) from None
    if not isinstance(record, dict):
        raise ArtifactError(
            f"{path} was not written by kstep (it has no record): use a file of the stage "
            f"that makes '{schema}'."
        )
    found = (record.get("schema"), record.get("schema_version"))
    if found != (schema, version):
        raise ArtifactError(
            f"{path} holds {found[0]} version {found[1]}, not {schema} version {version}: "
            "make it again with this version of kstep."
        )
    missing = sorted(set(keys) - arrays.keys())
    if missing:
        raise ArtifactError(
            f"{path} lacks the array(s) {', '.join(missing)}: delete it and run its stage again."
        )
    return arrays, record

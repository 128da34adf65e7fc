"""Where machine code is kept for the next process.

A cache of kstep's own, for its own functions: Numba's is one setting for everything in the user's
process, lies beside the sources, which those who use an installed package may not write, and looks
at the file of a function alone, so that it goes on using code into which a constant of another file
was built.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core import serialize
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult

from kstep.artifacts import hash_bytes, write_bytes
from kstep.errors import KstepError
from kstep.progress import announce

_FROZEN = ("compiled", "surrogates", "units.py", "system/force_field.py")
"""Where functions that are compiled, and the constants frozen into them, are written."""
_DIGEST = hashlib.sha256().digest_size

Code = Any
"""Numba's `CompileResult`, whose types say less than it holds."""
_dumps: Callable[[object], bytes] = serialize.dumps
_rebuild: Callable[..., Code] = CompileResult._rebuild


def _hash_of_sources() -> str:
    package = Path(__file__).parents[1]
    sources = [source for place in _FROZEN for source in _files(package / place)]
    return hash_bytes(b"".join(source.read_bytes() for source in sources))


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


_SOURCES = _hash_of_sources()
"""As they are when this process reads them, not when it first compiles."""


class CodeCache(_Cache):
    """The machine code of a function, in a file for each kind of arguments.

    Its name is a hash of all that went into it: the sources of kstep that are compiled, the
    function's own file, the kind of arguments, the processor, the versions. What cannot be read or
    written is compiled again.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        own = Path(function.__code__.co_filename)
        # What is typed at a prompt has no file to know it by.
        self._origin = _SOURCES + hash_bytes(own.read_bytes()) if own.is_file() else None

    @property
    def cache_path(self) -> str:
        """Where code is looked for first."""
        return str(next(_folders()))

    def load_overload(self, sig: Any, target_context: Any) -> Code | None:
        """The code for arguments of some types, or None."""
        target_context.refresh()
        name = self._file(sig, target_context.codegen())
        kept = (_read(folder / name) for folder in _folders()) if name else iter(())
        content = next((content for content in kept if content is not None), None)
        if content is None:
            _say_so()
            return None
        return _rebuild(target_context, *pickle.loads(content))

    def save_overload(self, sig: Any, data: Code) -> None:
        """Keep the code for arguments of some types."""
        name = self._file(sig, data.codegen)
        if name is None or data.library.has_dynamic_globals:  # these are addresses
            return
        content = _dumps(data._reduce())
        for folder in _folders():
            with contextlib.suppress(KstepError):
                write_bytes(folder / name, hashlib.sha256(content).digest() + content)
                return

    def enable(self) -> None:
        """It always is."""

    def disable(self) -> None:
        """It never is."""

    def flush(self) -> None:
        """Nothing waits to be written."""

    def _file(self, sig: Any, codegen: Any) -> str | None:
        if self._origin is None:
            return None
        versions = (numba.__version__, sys.version_info[:2])
        kind = repr((self._origin, versions, sig, codegen.magic_tuple()))
        return f"{self._name}-{hash_bytes(kind.encode())[:32]}"


def _read(path: Path) -> bytes | None:
    """The content of a whole file; None of another."""
    try:
        digest, content = (data := path.read_bytes())[:_DIGEST], data[_DIGEST:]
    except OSError:
        return None
    return content if hashlib.sha256(content).digest() == digest else None


def _folders() -> Iterator[Path]:
    """KSTEP_CACHE or the user's cache folder, then a temporary one that only this user writes."""
    named, cache = os.environ.get("KSTEP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path(named) if named else Path(cache or Path.home() / ".cache") / "md-kstep"
    shared = Path(tempfile.gettempdir()) / f"md-kstep-{os.getuid()}"
    with contextlib.suppress(OSError):
        shared.mkdir(mode=0o700, exist_ok=True)
        found = shared.lstat()
        if found.st_uid == os.getuid() and not found.st_mode & 0o022:  # others' code is not run
            yield shared


@functools.cache
def _say_so() -> None:
    """Once in a process."""
    announce("compiling machine code, once for all molecules: some 20 seconds.")

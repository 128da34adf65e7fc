"""Output that any terminal can show, whatever characters it has."""

import codecs
import io
import sys

_HANDLER = "kstep.plain"

_PLAIN = {
    "×": "x", "–": "-", "−": "-", "─": "-", "·": ".", "…": ".", "±": "+-", "→": "->", "°": " deg",
    "Δ": "d", "Å": "A", "²": "^2", "³": "^3", "½": "1/2", "µ": "u", "μ": "u", "σ": "sigma",
}  # fmt: skip
"""What stands for a character that a terminal lacks; one for one where tables use it."""


def never_fail() -> None:
    """Let standard output and error replace characters that their encoding lacks.

    Python's own way is to raise UnicodeEncodeError at the first table, and what would have been
    done afterwards is lost.
    """
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end

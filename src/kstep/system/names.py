"""Names of molecules, which become folders and files."""

import re
from typing import Final

from kstep.errors import MoleculeError

SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Names that are one path component everywhere and cannot be mistaken for a file's suffix."""

RESERVED: Final = frozenset(
    {"adapt", "data", "eval", "external", "grid", "hybrid", "report", "train"}
)
"""Folders that stages make where a molecule's own may lie."""


def check_name(name: str) -> str:
    """The name, fit to be a folder of its own.

    Raises MoleculeError for one that would lead elsewhere, or into the folder of a stage.
    """
    if not SAFE_NAME.fullmatch(name):
        raise MoleculeError(
            f"'{name}' cannot name files: use at most 64 letters, digits, '-' and '_', "
            "the first a letter or digit."
        )
    if name.casefold() in RESERVED:
        raise MoleculeError(
            f"'{name}' cannot name a molecule, since a stage keeps its files in a folder of that "
            "name: choose another."
        )
    return name

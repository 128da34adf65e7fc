"""The list of molecules: one `SMILES name` a line, `#` starts a comment line."""

import re
from dataclasses import dataclass
from pathlib import Path

from kstep.errors import MoleculeError


@dataclass(frozen=True)
class Entry:
    """One line of the list.

    Attributes:
        line: number of the line, from 1.
        text: the line as written, without the white space around it.
        smiles: its first word.
        name: the rest, None when there is none.
    """

    line: int
    text: str
    smiles: str
    name: str | None


def read_smiles_list(path: Path) -> list[Entry]:
    """The entries of a SMILES list in order; nothing is checked but that there are some.

    A comment may also follow an entry, after white space: `CCO ethanol  # solvent`.

    Raises MoleculeError when the file is missing, not text or without entries.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MoleculeError(
            f"{path} does not exist: write a list of molecules there, one 'SMILES name' a line, "
            "or name another file with prep.molecules."
        ) from None
    except (UnicodeDecodeError, OSError):
        raise MoleculeError(
            f"{path} cannot be read as text: give a UTF-8 file with one 'SMILES name' a line."
        ) from None
    entries = [
        _entry(number, line)
        for number, raw in enumerate(text.splitlines(), start=1)
        if (line := raw.strip()) and not line.startswith("#")
    ]
    if not entries:
        raise MoleculeError(f"{path} holds no molecule: write one 'SMILES name' a line.")
    return entries


def check_smiles(text: str) -> str:
    """The text, which is one word.

    Raises MoleculeError for nothing, and for several words or lines.
    """
    if text.split() != [text]:
        given = "nothing" if not text.strip() else f"'{' '.join(text.split())}'"
        raise MoleculeError(
            f"{given} was given as a SMILES: give that of one molecule, without spaces or line "
            "breaks; a list of several goes into the file of prep.molecules."
        )
    return text


def _entry(number: int, line: str) -> Entry:
    # '#' inside a word is a triple bond, so only a '#' after white space starts a comment.
    content = re.split(r"\s#", line, maxsplit=1)[0]
    smiles, *rest = content.split(maxsplit=1)
    return Entry(number, line, smiles, rest[0].strip() if rest else None)

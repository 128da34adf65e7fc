"""Sections of the Markdown files that the benchmarks write."""

from pathlib import Path

from kstep.artifacts import write_text


def put_section(document: Path, title: str, text: str) -> None:
    """Add a section to a file, in place of one of the same title, or at the end.

    Args:
        document: the file; begun with a heading made of its name where it does not exist.
        title: of the section, without the marks.
        text: below the title, to the next section.
    """
    name = document.stem.replace("_", " ").capitalize()
    before = document.read_text() if document.exists() else f"# {name}\n"
    head, *sections = before.rstrip("\n").split("\n## ")
    new = f"{title}\n\n{text.strip()}\n"
    places = [place for place, one in enumerate(sections) if one.splitlines()[0] == title]
    if places:
        sections[places[0]] = new
    else:
        sections.append(new)
    parts = [part.strip("\n") for part in (head, *sections)]
    write_text(document, "\n\n## ".join(parts) + "\n")

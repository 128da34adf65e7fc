"""How figures, tables and lights read the metrics: names of the sides, settings, sentences."""

from collections.abc import Mapping
from typing import Any

from kstep.referee.metrics import Metrics, MoleculeMetrics

Settings = Mapping[str, Any]


def side_names(molecule: MoleculeMetrics) -> dict[str, str]:
    """What to call both sides of a molecule."""
    return {"baseline": "baseline", "candidate": molecule.candidate}


def candidate_name(metrics: Metrics) -> str:
    """What to call the candidate where all molecules are shown at once."""
    names = {molecule.candidate for molecule in metrics.molecules}
    return names.pop() if len(names) == 1 else "candidate"


def settings_of(metrics: Metrics) -> Settings:
    """The eval section that the metrics were made with: margins, and what the reader asked for."""
    settings: Settings = metrics.config["eval"]
    return settings


def sentence(text: str) -> str:
    """A clause of the metrics with a full stop and, unless it begins with a file, a capital."""
    if not text:
        return ""
    begins_with_a_file = "." in text.split(maxsplit=1)[0]
    first = text[0] if begins_with_a_file else text[0].upper()
    return f"{first}{text[1:].rstrip('.')}."

"""The grid's one table, as Markdown for people and JSON for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kstep.artifacts import Record, write_json, write_text
from kstep.evaluate import Metrics, Outcome
from kstep.grid.trials import Trial

COLUMNS = (
    "trial", "k", "cap, nm", "force head", "Δx error", "Δv error", "accepted",
    "calls saved", "clock gain", "verdict",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """A finished trial: what training and evaluation said of it.

    Attributes:
        trial: what was tried.
        scores: of the training, by kind of held-out windows; none where none was trained.
        metrics: of the evaluation.
    """

    trial: Trial
    scores: Record
    metrics: Metrics

    def row(self) -> dict[str, Any]:
        """The trial as one row; ranges are over molecules."""
        molecules = self.metrics.molecules
        costs = [molecule.cost for molecule in molecules if molecule.cost is not None]
        scores = next(iter(self.scores.values()), None)
        accepted = [m.name for m in molecules if m.verdict.outcome is Outcome.ACCEPTED]
        return {
            "trial": self.trial.name,
            "k": self.trial.k_steps,
            "cap, nm": self.trial.cap,
            "force head": "yes" if self.trial.force_head else "no",
            "Δx error": f"{scores['rel_dx']:.3f}" if scores else "–",
            "Δv error": f"{scores['rel_dv']:.3f}" if scores else "–",
            "accepted": f"{len(accepted)} of {len(molecules)}",
            "calls saved": _range([cost.counted_saving for cost in costs]),
            "clock gain": _range([cost.wall_ratio for cost in costs]),
            "verdict": self.metrics.outcome.value,
        }


def save_table(folder: Path, results: Sequence[Result]) -> None:
    """Write `table.md` and `table.json`: all trials, and the largest k accepted by molecule."""
    rows = [result.row() for result in results]
    largest = largest_accepted(results)
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(str(row[column]) for column in COLUMNS) + " |" for row in rows),
        "",
        "| molecule | largest k accepted |",
        "|---|---|",
        *(f"| {name} | {k or 'none'} |" for name, k in largest.items()),
        "",
    ]
    write_text(folder / "table.md", "\n".join(lines))
    write_json(folder / "table.json", {"trials": rows, "largest_accepted_k": largest})


def largest_accepted(results: Sequence[Result]) -> dict[str, int | None]:
    """For each molecule the largest k of an accepted run, None where there is none."""
    largest: dict[str, int | None] = {}
    for result in results:
        for molecule in result.metrics.molecules:
            largest.setdefault(molecule.name, None)
            if molecule.verdict.outcome is Outcome.ACCEPTED:
                largest[molecule.name] = max(result.trial.k_steps, largest[molecule.name] or 0)
    return largest


def _range(values: Sequence[float]) -> str:
    if not values:
        return "–"
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low}–{high}"

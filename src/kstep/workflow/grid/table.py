"""The grid's one table, as Markdown for people and JSON for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kstep.artifacts import Record, write_json, write_text
from kstep.referee.metrics import Metrics, Outcome
from kstep.workflow.grid.trials import Trial

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
    """Write `table.md` and `table.json`: all trials, every molecule's verdict, its largest k."""
    rows = [result.row() for result in results]
    largest, found = largest_accepted(results), verdicts(results)
    trials = [result.trial.name for result in results]
    lines = [
        *_markdown(COLUMNS, [[str(row[column]) for column in COLUMNS] for row in rows]),
        "Of each molecule the verdict, and of its checks those accepted (those rejected):",
        "",
        *_markdown(
            ("molecule", *trials, "largest k accepted"),
            [
                [name, *(_told(found[name].get(trial)) for trial in trials), str(k or "none")]
                for name, k in largest.items()
            ],
        ),
    ]
    write_text(folder / "table.md", "\n".join(lines))
    content = {"trials": rows, "verdicts": found, "largest_accepted_k": largest}
    write_json(folder / "table.json", content)


def verdicts(results: Sequence[Result]) -> dict[str, dict[str, Record]]:
    """Of each molecule in each trial the outcome, and how many checks had which outcome."""
    found: dict[str, dict[str, Record]] = {}
    for result in results:
        for molecule in result.metrics.molecules:
            outcomes = [
                check.outcome for claim in molecule.verdict.claims for check in claim.checks
            ]
            found.setdefault(molecule.name, {})[result.trial.name] = {
                "outcome": molecule.verdict.outcome.value,
                "checks": len(outcomes),
                "accepted": outcomes.count(Outcome.ACCEPTED),
                "rejected": outcomes.count(Outcome.REJECTED),
            }
    return found


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


def _told(verdict: Record | None) -> str:
    if verdict is None:
        return "–"
    rejected = f" ({verdict['rejected']})" if verdict["rejected"] else ""
    return f"{verdict['outcome']}, {verdict['accepted']} of {verdict['checks']}{rejected}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in (columns, *rows)]
    return [lines[0], "|" + "---|" * len(columns), *lines[1:], ""]

"""What tables are made of: headings with units, cells as finished text."""

from dataclasses import dataclass

from kstep.referee.metrics import SIDES, Estimate, Outcome, Pair

NONE = "–"
FIXED = "\u00a0"
"""A space at which no line is broken."""

SIGNS = {Outcome.ACCEPTED: "✓", Outcome.UNDECIDED: "?", Outcome.REJECTED: "✗"}
TONES = {"✓": "good", "?": "open", "✗": "bad"}


@dataclass(frozen=True)
class Table:
    """A table: headings (units included) and rows of finished text."""

    caption: str
    headings: list[str]
    rows: list[list[str]]


def tone(cell: str) -> str:
    """Colour of a cell that begins with the sign of an outcome; empty for any other."""
    return TONES.get(cell[:1], "") if cell[1:2] in ("", " ") else ""


def outcome_cell(outcome: Outcome | None) -> str:
    """Sign and words of an outcome."""
    return NONE if outcome is None else f"{SIGNS[outcome]} {outcome.value}"


def number(value: float | int | None, form: str, factor: float = 1.0) -> str:
    """A number, or a dash where there is none."""
    return NONE if value is None else format(value * factor, form)


def interval(estimate: Estimate | None, form: str, factor: float = 1.0) -> str:
    """An estimate with its interval, or a dash."""
    if estimate is None:
        return NONE
    value, low, high = (
        format(end * factor, form) for end in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low}{FIXED}…{FIXED}{high})" if estimate.bounded else f"{value} (±{FIXED}?)"


def spread(estimate: Estimate | None, form: str, factor: float = 1.0) -> str:
    """As `interval`, but shorter: the estimate ± half of its interval."""
    if estimate is None:
        return NONE
    if not estimate.bounded:
        return f"{format(estimate.value * factor, form)}{FIXED}±{FIXED}?"
    half = format((estimate.high - estimate.low) / 2.0 * factor, form.replace("+", ""))
    return f"{format(estimate.value * factor, form)}{FIXED}±{FIXED}{half}"


def both(pair: Pair[float] | None, form: str, factor: float = 1.0) -> list[str]:
    """Cells of both sides."""
    return [NONE if pair is None else number(getattr(pair, side), form, factor) for side in SIDES]


def both_intervals(pair: Pair[Estimate] | None, form: str, factor: float = 1.0) -> list[str]:
    """Cells of both sides with their intervals."""
    return [NONE if pair is None else interval(getattr(pair, s), form, factor) for s in SIDES]


def both_spreads(pair: Pair[Estimate] | None, form: str, factor: float = 1.0) -> list[str]:
    """Cells of both sides with half of their intervals."""
    return [NONE if pair is None else spread(getattr(pair, s), form, factor) for s in SIDES]

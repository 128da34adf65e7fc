"""The checks behind a claim."""

from kstep.referee.metrics import Check, Claim
from kstep.referee.report.tables.form import FIXED, Table, interval, number, outcome_cell

SHOWN = 12
"""Checks shown at once; the others are folded."""

INSENSITIVE = "†"
"""Mark of a check that can condemn, but is too insensitive to be asked to acquit."""


def check_tables(claim: Claim) -> tuple[Table, Table | None]:
    """The most telling checks of a claim, and the rest if there are more."""
    first, rest = claim.checks[:SHOWN], claim.checks[SHOWN:]
    shown = _table("The checks behind it, the most telling first", first)
    return shown, _table("The other checks", rest) if rest else None


def _table(caption: str, checks: list[Check]) -> Table:
    headings = ["check", "deviation (90% interval)", "allowed", "p", "outcome"]
    rows = [
        [
            f"{check.label}{'' if check.needed else INSENSITIVE}",
            _deviation(check),
            _allowed(check),
            f"{check.p_beyond:.2g}",
            outcome_cell(check.outcome),
        ]
        for check in checks
    ]
    if any(check.more_ns is not None for check in checks):
        headings.append("ns more")
        rows = [
            [*row, number(check.more_ns, ".2g")] for row, check in zip(rows, checks, strict=True)
        ]
    if not all(check.needed for check in checks):
        caption += f" ({INSENSITIVE}: can condemn, too insensitive to acquit)"
    return Table(caption, headings, rows)


def _allowed(check: Check) -> str:
    if check.unit:
        return f"±{FIXED}{check.margin:.3g}"
    return f"±{FIXED}{100.0 * check.margin:.3g}{FIXED}%"


def _deviation(check: Check) -> str:
    if check.unit:
        return f"{interval(check.deviation, '+.2g')} {check.unit}"
    return f"{interval(check.deviation, '+.2g', 100.0)}{FIXED}%"

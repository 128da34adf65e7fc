"""All molecules at once: their claims, and their numbers."""

from kstep.referee.claims.checks import CLAIMS
from kstep.referee.claims.words import length_in_words
from kstep.referee.metrics import Claim, Metrics, MoleculeMetrics
from kstep.referee.report.tables.form import (
    NONE,
    SIGNS,
    Table,
    both,
    interval,
    number,
    outcome_cell,
)


def claims_table(metrics: Metrics) -> Table:
    """One row per molecule, one column per claim."""
    asked = {claim.name for molecule in metrics.molecules for claim in molecule.verdict.claims}
    names = [name for name in CLAIMS if name in asked]
    caption = "Every claim on every molecule: ✓ accepted, ✗ rejected, ? not enough data"
    rows = []
    for molecule in metrics.molecules:
        claims = {claim.name: claim for claim in molecule.verdict.claims}
        cells = [_claim_cell(claims[name]) if name in claims else NONE for name in names]
        rows.append([molecule.name, outcome_cell(molecule.verdict.outcome), *cells])
    return Table(caption, ["molecule", "verdict", *names], rows)


def _claim_cell(claim: Claim) -> str:
    more = "" if claim.more_ns is None else f" {length_in_words(claim.more_ns)} more"
    return f"{SIGNS[claim.outcome]}{more}"


def overview_table(metrics: Metrics) -> Table:
    """One row of numbers per molecule."""
    headings = [
        "molecule", "force-call saving", "wall-clock gain", "NVE drift, baseline "
        "(J/mol/ps per atom)", "NVE drift, candidate (J/mol/ps per atom)", "T, candidate (K)",
        "worst JS beyond noise (nats)", "samples per 1000 calls, baseline",
        "samples per 1000 calls, candidate", "jumps refused (%)",
    ]  # fmt: skip
    return Table("All molecules in numbers", headings, [_row(m) for m in metrics.molecules])


def _row(molecule: MoleculeMetrics) -> list[str]:
    cost, energy = molecule.cost, molecule.energy
    efficiency, temperature = molecule.efficiency, molecule.temperature
    worst = max((c.excess for c in molecule.structure.coordinates), default=None)
    return [
        molecule.name,
        NONE if cost is None else f"{cost.shown_saving:.2f}×",
        NONE if cost is None else f"{cost.wall_ratio:.2g}×",
        NONE if energy.baseline.size is None else number(energy.baseline.size.value, ".3g", 1e3),
        NONE if energy.candidate.size is None else number(energy.candidate.size.value, ".3g", 1e3),
        interval(None if temperature is None else temperature.mean_K.candidate, ".0f"),
        number(worst, ".3f"),
        *both(None if efficiency is None else efficiency.per_1000_calls, ".2g"),
        NONE if cost is None else f"{100.0 * cost.rejected_share:.1f}",
    ]

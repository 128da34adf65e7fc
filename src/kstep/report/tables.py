"""The tables of the report: headings with units, cells as finished text."""

from dataclasses import dataclass

from kstep.evaluate.metrics import (
    SIDES,
    BasinMetrics,
    CostMetrics,
    Estimate,
    Metrics,
    MoleculeMetrics,
)

WORST_SHOWN = 12
"""Rows of a structure table."""

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table: headings (units included) and rows of finished text."""

    caption: str
    headings: list[str]
    rows: list[list[str]]


def overview_table(metrics: Metrics) -> Table:
    """One row per molecule."""
    headings = [
        "molecule", "k", "force-call saving, counted", "wall-clock gain", "NVE drift, baseline "
        "(J/mol/ps per atom)", "NVE drift, hybrid (J/mol/ps per atom)", "T, baseline (K)",
        "T, hybrid (K)", "worst JS beyond noise (nats)", "jumps refused (%)", "verdict",
    ]  # fmt: skip
    rows = []
    for m in metrics.molecules:
        cost, mean, worst_entry = m.cost, m.temperature.mean_K, m.structure.coordinates[:1]
        rows.append(
            [
                m.name,
                str(m.k_steps),
                NONE if cost is None else f"{cost.counted_saving:.2f}×",
                NONE if cost is None else f"{cost.wall_ratio:.2g}×",
                *(_milli(getattr(m.energy, side).size) for side in SIDES),
                _interval(mean.baseline, ".0f"),
                _interval(mean.hybrid, ".0f"),
                f"{worst_entry[0].excess:.3f}" if worst_entry else NONE,
                NONE if cost is None else f"{100.0 * cost.rejected_share:.1f}",
                m.verdict.outcome.value,
            ]
        )
    return Table("All molecules", headings, rows)


def energy_table(molecule: MoleculeMetrics) -> Table:
    """Energy conservation of both sides."""
    rows = []
    for side in SIDES:
        energy = getattr(molecule.energy, side)
        quartiles = (energy.lower_quartile, energy.median_drift, energy.upper_quartile)
        rows.append(
            [
                side,
                str(len(energy.windows)),
                f"{energy.windows[0].length_ps:.4g}" if energy.windows else NONE,
                *(NONE if q is None else f"{q * 1e3:+.3g}" for q in quartiles),
                _number(energy.median_drift_meV, "+.3g"),
                NONE if energy.size is None else _interval(energy.size, ".3g", 1e3),
                _number(energy.median_fluctuation, ".3g"),
                _number(energy.largest_excursion, ".3g"),
            ]
        )
    headings = [
        "NVE", "windows", "length (ps)", "drift, 25% (J/mol/ps per atom)",
        "drift, median (J/mol/ps per atom)", "drift, 75% (J/mol/ps per atom)",
        "drift, median (meV/ps per atom)", "size of drift, median (J/mol/ps per atom)",
        "fluctuation about the line (kJ/mol)", "largest excursion (kJ/mol)",
    ]  # fmt: skip
    return Table("Energy conservation in NVE windows", headings, rows)


def temperature_table(molecule: MoleculeMetrics) -> Table:
    """Temperature, and kinetic energy by element."""
    found = molecule.temperature
    rows = [
        [
            f"T of all atoms (K), target {found.target_K:g}",
            _interval(found.mean_K.baseline, ".1f"),
            _interval(found.mean_K.hybrid, ".1f"),
            _interval(found.error.hybrid, "+.1f", 100.0),
        ]
    ]
    for element in found.elements:
        rows.append(
            [
                f"kinetic energy of {element.element} (kJ/mol per atom), NVT",
                _interval(element.kinetic_energy.baseline, ".2f"),
                _interval(element.kinetic_energy.hybrid, ".2f"),
                _interval(element.error, "+.1f", 100.0),
            ]
        )
    for element in found.elements:
        if element.nve_share is not None and element.nve_error is not None:
            rows.append(
                [
                    f"kinetic energy of {element.element} over the mean atom's, NVE",
                    _interval(element.nve_share.baseline, ".2f"),
                    _interval(element.nve_share.hybrid, ".2f"),
                    _interval(element.nve_error, "+.1f", 100.0),
                ]
            )
    return Table(
        f"Temperature with 95% intervals ({found.degrees_of_freedom} degrees of freedom)",
        ["quantity (unit)", "baseline", "hybrid", "deviation (%)"],
        rows,
    )


def structure_table(molecule: MoleculeMetrics) -> Table:
    """The coordinates that differ most."""
    entries = molecule.structure.coordinates
    rows = [
        [
            f"{entry.kind} {entry.label}",
            str(entry.members),
            *(NONE if entry.mean is None else f"{getattr(entry.mean, s):.4g}" for s in SIDES),
            *(f"{value:.4f}" for value in (entry.kl, entry.js, entry.noise, entry.noise_95)),
            f"{entry.excess:+.4f}",
            NONE
            if entry.crossings is None
            else f"{entry.crossings.baseline:.3g} / {entry.crossings.hybrid:.3g}",
        ]
        for entry in entries[:WORST_SHOWN]
    ]
    headings = [
        "coordinate", "pooled", "mean, baseline (nm or degrees)", "mean, hybrid (nm or degrees)",
        "KL (nats)", "JS (nats)", "noise floor (nats)", "noise, 95% (nats)",
        "JS beyond noise (nats)", "barrier crossings, baseline / hybrid",
    ]  # fmt: skip
    caption = (
        f"The {len(rows)} of {len(entries)} coordinate classes that differ most; "
        f"{molecule.structure.fixed_bonds} constrained bonds are equal by construction and left out"
    )
    return Table(caption, headings, rows)


def cost_table(cost: CostMetrics) -> Table:
    """Savings and what they cost."""
    rows = [
        ["force-call saving, nominal (base steps per call)", f"{cost.nominal_saving:.2f}"],
        ["force-call saving, counted (base steps per call)", f"{cost.counted_saving:.2f}"],
        ["baseline time / hybrid time", f"{cost.wall_ratio:.3g}"],
        ["wall-clock time, baseline (ms per ps)", f"{cost.s_per_ps.baseline * 1e3:.3g}"],
        ["wall-clock time, hybrid (ms per ps)", f"{cost.s_per_ps.hybrid * 1e3:.3g}"],
        ["jumps refused by the guard (%)", f"{100.0 * cost.rejected_share:.2f}"],
        ["base steps per macro-step", f"{cost.steps_per_macro:.2f}"],
        ["force calls per macro-step, fallback included", f"{cost.calls_per_macro:.2f}"],
        ["cost of a base step now (ms)", f"{cost.step_cost_s * 1e3:.3g}"],
        ["network and overhead per macro-step (ms)", f"{cost.overhead_s * 1e3:.3g}"],
        [
            "break-even cost of a force call c* (ms)",
            "never" if cost.break_even_s is None else f"{cost.break_even_s * 1e3:.3g}",
        ],
        ["OpenMM platform (the fastest found)", cost.platform],
    ]
    return Table("Cost", ["quantity (unit)", "value"], rows)


def basin_table(basin: BasinMetrics) -> Table:
    """Time to basin of both sides."""
    rows = []
    for name in SIDES:
        side = getattr(basin.sides, name)
        rows.append(
            [
                name,
                str(len(side.force_calls)),
                f"{side.reached_share:.0%}",
                f"{side.at_once_share:.0%}",
                _number(side.median_force_calls, ".0f"),
                _number(side.median_wall_s, ".3g"),
            ]
        )
    headings = [
        "side", "starts", "reached it", "in it at the first quench", "median force calls",
        "median wall-clock time (s)",
    ]  # fmt: skip
    caption = f"Time to the best known minimum ({basin.best_energy:.1f} kJ/mol)"
    return Table(caption, headings, rows)


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _milli(estimate: Estimate | None) -> str:
    return NONE if estimate is None else f"{estimate.value * 1e3:.3g}"


def _interval(estimate: Estimate, form: str, factor: float = 1.0) -> str:
    value, low, high = (
        format(number * factor, form) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} … {high})"

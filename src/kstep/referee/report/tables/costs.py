"""Cost, efficiency, the other ways to run dynamics, and time to basin."""

from kstep.referee.metrics import (
    SIDES,
    BasinMetrics,
    CostMetrics,
    EfficiencyMetrics,
    MethodErrors,
    MethodMetrics,
    MoleculeMetrics,
)
from kstep.referee.report.reading import side_names
from kstep.referee.report.tables.form import FIXED, NONE, Table, both, number, outcome_cell


def cost_table(molecule: MoleculeMetrics, cost: CostMetrics) -> Table:
    """Savings and what they cost."""
    name = molecule.candidate
    accepted = number(molecule.acceptance, ".2f", 100.0)
    rows = [
        ["force-call saving, nominal (base steps per call)", f"{cost.nominal_saving:.2f}"],
        ["force-call saving, counted (base steps per call)", f"{cost.counted_saving:.2f}"],
        ["force calls that made the starting states", number(cost.starting_calls, ",.0f")],
        [
            "force-call saving with those on both sides",
            number(cost.saving_with_starts, ".2f"),
        ],
        ["force-call saving, training included", number(cost.saving_with_training, ".2f")],
        ["force calls spent on training for this molecule", number(cost.training_calls, ",.0f")],
        ["training is paid back in force calls after (ns)", number(cost.break_even_ns, ".3g")],
        ["wall-clock time of the adaptation (minutes)", number(cost.training_minutes, ".3g")],
        [
            "adaptation is paid back on the clock after (ns)",
            number(cost.break_even_clock_ns, ".3g"),
        ],
        [f"baseline time / {name} time", f"{cost.wall_ratio:.3g}"],
        ["wall-clock time, baseline (ms per ps)", f"{cost.s_per_ps.baseline * 1e3:.3g}"],
        [f"wall-clock time, {name} (ms per ps)", f"{cost.s_per_ps.candidate * 1e3:.3g}"],
        [
            "jumps refused, by guard or Metropolis test (%)",
            f"{100.0 * cost.rejected_share:.2f}",
        ],
        ["proposals accepted by Metropolis tests (%)", accepted],
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


def adaptation_table(cost: CostMetrics) -> Table:
    """How the network learned the forces of this molecule."""
    rows = [
        [f"{entry.labels:,}", f"{100.0 * entry.force_error:.2g}"] for entry in cost.training_rounds
    ]
    headings = ["true-force calls learned from", "force error on states not learned from (%)"]
    return Table("Adaptation to this molecule, round by round", headings, rows)


def efficiency_table(molecule: MoleculeMetrics, found: EfficiencyMetrics) -> Table:
    """Independent samples and what they cost."""
    rows = [
        ["independent samples", *both(found.independent, ".3g")],
        ["independent samples per 1000 force calls", *both(found.per_1000_calls, ".3g")],
        ["independent samples per second", *both(found.per_second, ".3g")],
    ]
    caption = f"Independent samples of the slowest observable, {found.observable}"
    return Table(caption, ["quantity", *side_names(molecule).values()], rows)


def methods_table(methods: list[MethodMetrics]) -> Table:
    """Every way to run dynamics against the limit of small steps."""
    headings = [
        "method", "time (s/ns)", "NVE drift (J/mol/ps per atom)",
        "NVE fluctuation (kJ/mol)", "T off by (%)", "width off by (%)", "JS beyond noise (nats)",
        "samples per 1000 calls", "samples per second", "verdict",
    ]  # fmt: skip
    caption = (
        "Every way to run dynamics, against the limit of small steps: after equal time / after "
        "equal force calls"
    )
    rows = [
        [
            method.name,
            number(method.s_per_ns, ".3g"),
            number(method.drift, ".2g", 1e3),
            number(method.fluctuation, ".2g"),
            _errors(method, "temperature_error", "+.2f", 100.0),
            _errors(method, "width_error", ".2g", 100.0),
            _errors(method, "divergence", ".2g", 1.0),
            number(method.per_1000_calls, ".3g"),
            number(method.per_second, ".3g"),
            "reference" if method.outcome is None else outcome_cell(method.outcome),
        ]
        for method in methods
    ]
    return Table(caption, headings, rows)


def _errors(method: MethodMetrics, field: str, form: str, factor: float) -> str:
    """Over equal time and over equal calls."""
    kinds: tuple[MethodErrors | None, ...] = (method.equal_time, method.equal_calls)
    cells = [NONE if e is None else number(getattr(e, field), form, factor) for e in kinds]
    return NONE if cells == [NONE, NONE] else f"{FIXED}/{FIXED}".join(cells)


def basin_table(molecule: MoleculeMetrics, basin: BasinMetrics) -> Table:
    """Time to basin of both sides."""
    rows = [
        [
            name,
            str(len(side.force_calls)),
            f"{side.reached_share:.0%}",
            f"{side.at_once_share:.0%}",
            number(side.median_force_calls, ".0f"),
            number(side.median_wall_s, ".3g"),
        ]
        for side, name in zip(
            (getattr(basin.sides, side) for side in SIDES),
            side_names(molecule).values(),
            strict=True,
        )
    ]
    headings = [
        "side", "starts", "reached it", "in it at the first quench", "median force calls",
        "median wall-clock time (s)",
    ]  # fmt: skip
    return Table(f"Time to the best known minimum ({basin.best_energy:.1f} kJ/mol)", headings, rows)

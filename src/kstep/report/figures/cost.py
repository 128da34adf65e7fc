"""Cost: where the time goes, and what force call would make the hybrid pay."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.evaluate.cost import speed_up
from kstep.evaluate.metrics import CostMetrics, MoleculeMetrics
from kstep.report.figures.style import MARGIN_COLOUR, SIDE_COLOURS, panels

_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "oo")


def costs(molecule: MoleculeMetrics) -> Figure | None:
    """Wall-clock time per simulated ps by part, and speed-up against the cost of a force call."""
    if molecule.cost is None:
        return None
    figure, (parts, curve) = panels(1, 2, 3.0)
    _parts(parts, molecule.cost)
    _speed_up(curve, molecule.cost)
    return figure


def _parts(axes: Axes, cost: CostMetrics) -> None:
    total = sum(cost.parts.values())
    # Shades of the hybrid's own colour: blue stays the baseline's.
    colours = sns.light_palette(SIDE_COLOURS["hybrid"], len(_HATCHES) + 1, reverse=True)
    axes.bar(0, cost.s_per_ps.baseline * 1e3, color=SIDE_COLOURS["baseline"], width=0.6)
    bottom = 0.0
    ordered = sorted(cost.parts.items(), key=lambda item: -item[1])
    for index, (part, seconds) in enumerate(ordered):
        height = seconds / total * cost.s_per_ps.hybrid * 1e3
        style = index % len(_HATCHES)
        axes.bar(
            1, height, bottom=bottom, width=0.6, label=f"{part} ({seconds / total:.0%})",
            color=colours[style], hatch=_HATCHES[style], edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        bottom += height
    axes.set_xticks([0, 1], ["baseline", "hybrid"])
    axes.set_xlim(-0.5, 3.0)
    axes.set_ylabel("wall-clock time (ms per simulated ps)")
    axes.legend(title="hybrid, by part", loc="center right", title_fontsize=8)
    axes.grid(visible=False, axis="x")


def _speed_up(axes: Axes, cost: CostMetrics) -> None:
    marks = [cost.step_cost_s, cost.break_even_s or cost.step_cost_s]
    costs_s = np.logspace(np.log10(min(marks)) - 1.5, np.log10(max(marks)) + 2.5, 300)
    ratios = [speed_up(cost, step_cost) for step_cost in costs_s.tolist()]
    axes.plot(costs_s * 1e3, ratios, color=SIDE_COLOURS["hybrid"])
    axes.axhline(1.0, color=SIDE_COLOURS["baseline"], linestyle="-", lw=1.0)
    axes.plot(
        cost.step_cost_s * 1e3, cost.wall_ratio, "o", color=SIDE_COLOURS["hybrid"],
        label=f"measured here: {cost.wall_ratio:.2g}×",
    )  # fmt: skip
    if cost.break_even_s:
        axes.axvline(
            cost.break_even_s * 1e3, color=MARGIN_COLOUR, linestyle=":",
            label=f"break-even c* = {cost.break_even_s * 1e3:.2g} ms",
        )  # fmt: skip
    limit = cost.steps_per_macro / cost.calls_per_macro
    axes.axhline(limit, color=MARGIN_COLOUR, linestyle="--", lw=0.9, label=f"limit {limit:.2g}×")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("cost of a base step with its force call (ms)")
    axes.set_ylabel("baseline time / hybrid time")
    axes.legend(loc="lower right", frameon=True, framealpha=0.95, edgecolor="none")

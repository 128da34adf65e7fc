"""Cost: where the time goes, and what force call would make the candidate pay."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.cost.savings import speed_up
from kstep.referee.metrics import CostMetrics, MoleculeMetrics
from kstep.referee.report.figures.style import MARGIN_COLOUR, RESCALED_COLOUR, SIDE_COLOURS, panels
from kstep.referee.report.reading import Settings

_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "oo")


def costs(molecule: MoleculeMetrics, settings: Settings) -> Figure | None:
    """Wall-clock time per simulated ps by part, and speed-up against the cost of a force call."""
    if molecule.cost is None:
        return None
    figure, (parts, curve) = panels(1, 2, 3.0)
    _parts(parts, molecule.cost, molecule.candidate)
    own_call_ms = settings["force_call_ms"]
    _speed_up(curve, molecule.cost, None if own_call_ms is None else 1e-3 * own_call_ms)
    curve.set_ylabel(f"baseline time / {molecule.candidate} time")
    return figure


def _parts(axes: Axes, cost: CostMetrics, name: str) -> None:
    total = sum(cost.parts.values())
    # Shades of the candidate's own colour: blue stays the baseline's.
    colours = sns.light_palette(SIDE_COLOURS["candidate"], len(_HATCHES) + 1, reverse=True)
    axes.bar(0, cost.s_per_ps.baseline * 1e3, color=SIDE_COLOURS["baseline"], width=0.6)
    bottom = 0.0
    ordered = sorted(cost.parts.items(), key=lambda item: -item[1])
    for index, (part, seconds) in enumerate(ordered):
        height = seconds / total * cost.s_per_ps.candidate * 1e3
        style = index % len(_HATCHES)
        axes.bar(
            1, height, bottom=bottom, width=0.6, label=f"{part} ({seconds / total:.0%})",
            color=colours[style], hatch=_HATCHES[style], edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        bottom += height
    axes.set_xticks([0, 1], ["baseline", name])
    axes.set_xlim(-0.5, 3.0)
    axes.set_ylabel("wall-clock time (ms per simulated ps)")
    axes.legend(title=f"{name}, by part", loc="center right", title_fontsize=8)
    axes.grid(visible=False, axis="x")


def _speed_up(axes: Axes, cost: CostMetrics, own_call_s: float | None) -> None:
    marks = [mark for mark in (cost.step_cost_s, cost.break_even_s, own_call_s) if mark]
    costs_s = np.logspace(np.log10(min(marks)) - 1.5, np.log10(max(marks)) + 2.5, 300)
    ratios = [speed_up(cost, step_cost) for step_cost in costs_s.tolist()]
    axes.plot(costs_s * 1e3, ratios, color=SIDE_COLOURS["candidate"])
    axes.axhline(1.0, color=SIDE_COLOURS["baseline"], linestyle="-", lw=1.0)
    axes.plot(
        cost.step_cost_s * 1e3, cost.wall_ratio, "o", color=SIDE_COLOURS["candidate"],
        label=f"measured today, {cost.step_cost_s * 1e3:.2g} ms: {cost.wall_ratio:.2g}×",
    )  # fmt: skip
    if cost.break_even_s:
        axes.axvline(
            cost.break_even_s * 1e3, color=MARGIN_COLOUR, linestyle=":",
            label=f"break-even c* = {cost.break_even_s * 1e3:.2g} ms",
        )  # fmt: skip
    if own_call_s:
        gain = speed_up(cost, own_call_s)
        axes.plot(
            own_call_s * 1e3, gain, "D", color=RESCALED_COLOUR,
            label=f"your potential, {own_call_s * 1e3:.3g} ms: {gain:.2g}×",
        )  # fmt: skip
    limit = cost.steps_per_macro / cost.calls_per_macro
    axes.axhline(limit, color=MARGIN_COLOUR, linestyle="--", lw=0.9, label=f"limit {limit:.2g}×")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("cost of a base step with its force call (ms)")
    axes.legend(loc="lower right", frameon=True, framealpha=0.95, edgecolor="none")

"""Kinetic temperature, its distribution, and how it is shared out."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import SIDES, KineticShare, MoleculeMetrics, TemperatureMetrics
from kstep.referee.report.figures.style import (
    MARGIN_COLOUR,
    SIDE_COLOURS,
    SIDE_MARKERS,
    WIDTH,
    Curves,
    margin_bar,
    panels,
    scaled,
    step_line,
    whisker,
)
from kstep.referee.report.reading import Settings, side_names

_KINDS = {"element": "by element", "role": "by bonded role", "mode": "by mode"}
NVT_COLOUR, NVE_COLOUR = "#D55E00", "#CC79A7"


def temperatures(molecule: MoleculeMetrics, curves: Curves, settings: Settings) -> Figure | None:
    """Distribution of the temperature against the canonical one; errors of its mean and width."""
    found = molecule.temperature
    if found is None or "temperature/edges" not in curves:
        return None
    figure, (histogram, errors) = panels(1, 2, 2.7)
    edges, names = curves["temperature/edges"], side_names(molecule)
    if "temperature/canonical" in curves:
        centres = 0.5 * (edges[1:] + edges[:-1])
        histogram.plot(
            centres, curves["temperature/canonical"], color="black", lw=0.9, label="canonical"
        )
    for side in SIDES:
        step_line(histogram, edges, curves[f"temperature/{side}"], side, names[side])
    histogram.axvline(found.target_K, color=MARGIN_COLOUR, linestyle=":")
    histogram.set_xlabel("kinetic temperature, NVT (K)")
    histogram.set_ylabel("probability (1/K)")
    histogram.legend(loc="upper right")
    _errors(errors, molecule, found, settings)
    return figure


def _errors(
    axes: Axes, molecule: MoleculeMetrics, found: TemperatureMetrics, settings: Settings
) -> None:
    rows = {
        "mean": (found.error, "max_temperature_error"),
        "width": (found.width, "max_energy_width_error"),
    }
    names = side_names(molecule)
    for row, (pair, margin) in enumerate(rows.values()):
        margin_bar(axes, float(row), 100.0 * settings[margin])
        for side, offset in zip(SIDES, (-0.15, 0.15), strict=True):
            whisker(
                axes, row + offset, scaled(getattr(pair, side), 100.0), SIDE_COLOURS[side],
                SIDE_MARKERS[side], names[side] if row == 0 else None,
            )  # fmt: skip
    axes.axvline(0.0, color=MARGIN_COLOUR, lw=0.8)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.9)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("deviation from the exact value (%)")
    axes.legend(loc="upper right", ncols=2)


def equipartition(molecule: MoleculeMetrics, settings: Settings) -> Figure | None:
    """Deviation of the kinetic energy of every element, bonded role and mode."""
    if molecule.temperature is None or not molecule.temperature.shares:
        return None
    groups = {
        title: [share for share in molecule.temperature.shares if share.kind == kind]
        for kind, title in _KINDS.items()
    }
    groups = {title: shares for title, shares in groups.items() if shares}
    most = max(len(shares) for shares in groups.values())
    figure = Figure(figsize=(WIDTH, 1.2 + 0.27 * most))
    axes = list(figure.subplots(1, len(groups), squeeze=False).ravel())
    for panel, (title, shares) in zip(axes, groups.items(), strict=True):
        _shares(panel, shares, 100.0 * settings["max_share_error"])
        panel.set_title(title)
        panel.set_ylim(most - 0.5, -0.5)
        panel.set_xlabel("deviation (%)")
    handles, labels = max((panel.get_legend_handles_labels() for panel in axes), key=len)
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _shares(axes: Axes, shares: list[KineticShare], margin: float) -> None:
    for row, share in enumerate(shares):
        margin_bar(axes, float(row), margin)
        first = row == 0
        whisker(
            axes, row - 0.14, scaled(share.error, 100.0), NVT_COLOUR, "o", "NVT" if first else None
        )
        if share.nve_error is not None:
            whisker(
                axes, row + 0.18, scaled(share.nve_error, 100.0), NVE_COLOUR, "s",
                "NVE, share of the whole" if first else None,
            )  # fmt: skip
    axes.axvline(0.0, color=MARGIN_COLOUR, lw=0.8)
    axes.set_yticks(range(len(shares)), [share.label for share in shares])
    axes.grid(visible=False, axis="y")

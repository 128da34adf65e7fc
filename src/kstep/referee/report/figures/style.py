"""One look for all figures: colours that the colour-blind can tell apart, print-sized text."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import Estimate

Curves = Mapping[str, np.ndarray]

SIDE_COLOURS = {"baseline": "#0072B2", "candidate": "#D55E00"}
"""Blue and vermilion of Okabe and Ito (2008), everywhere in the report."""

SIDE_LINES = {"baseline": "-", "candidate": "--"}
"""Dashes tell the sides apart in black and white too."""

SIDE_MARKERS = {"baseline": "o", "candidate": "s"}
RESCALED_COLOUR = "#009E73"
MARGIN_COLOUR = "#555555"
MARGIN_BAND = "#e9e9e9"
WIDTH = 7.4
"""Inches: the text width of an A4 page."""

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "kstep",
    "svg.fonttype": "path",
    "figure.constrained_layout.use": True,
    "axes.formatter.useoffset": False,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save inside this."""
    with matplotlib.rc_context(_STYLE):
        yield


def panels(rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of text width with rows × columns panels, `height` inches per row."""
    figure = Figure(figsize=(WIDTH, height * rows))
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    return figure, list(axes)


def panels_for(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """As `panels`, for `count` panels in at most `columns` columns; the spare ones are hidden."""
    columns = min(columns, count)
    figure, axes = panels(-(-count // columns), columns, height)
    for spare in axes[count:]:
        spare.set_visible(False)
    return figure, axes[:count]


def render(figure: Figure, kind: str) -> bytes:
    """PNG or SVG bytes of a figure, without date or program so that equal figures are equal."""
    stream = BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    figure.savefig(stream, format=kind, dpi=160, metadata=metadata)
    # Laid out by now; doing it again for the next format would only take time.
    figure.set_layout_engine("none")
    return stream.getvalue()


def step_line(axes: Axes, edges: np.ndarray, heights: np.ndarray, side: str, label: str) -> None:
    """One histogram as an outline in its side's colour."""
    axes.stairs(
        heights, edges, color=SIDE_COLOURS[side], label=label, lw=1.4, linestyle=SIDE_LINES[side]
    )


def side_line(axes: Axes, x: np.ndarray, y: np.ndarray, side: str, label: str) -> None:
    """One curve in its side's colour and dashes."""
    axes.plot(x, y, color=SIDE_COLOURS[side], linestyle=SIDE_LINES[side], label=label)


def whisker(
    axes: Axes, row: float, estimate: Estimate, colour: str, marker: str, label: str | None = None
) -> None:
    """A dot with its interval, lying in a row; hollow in white where `marker` is a square."""
    axes.errorbar(
        estimate.value, row,
        xerr=[[estimate.value - estimate.low], [estimate.high - estimate.value]],
        color=colour, marker=marker, markersize=4.5, capsize=2.5, lw=1.1, label=label,
        markerfacecolor="white" if marker == "s" else colour,
    )  # fmt: skip


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """The estimate in another unit."""
    ends = sorted((estimate.low * factor, estimate.high * factor))
    return Estimate(value=estimate.value * factor, low=ends[0], high=ends[1])


def margin_bar(axes: Axes, row: float, margin: float) -> None:
    """The deviations allowed in a row, as a grey bar."""
    axes.barh(row, 2.0 * margin, left=-margin, height=0.86, color=MARGIN_BAND, zorder=0.5)


def raise_ceiling(axes: Axes, factor: float = 1.35) -> None:
    """Room above the curves for a legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + factor * (high - low))


def shortened(text: str, length: int) -> str:
    """A label cut to what a figure has room for."""
    return text if len(text) <= length else f"{text[: length - 1]}…"

"""One look for all figures: colours that the colour-blind can tell apart, print-sized text."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIDE_COLOURS = {"baseline": "#0072B2", "hybrid": "#D55E00"}
"""Blue and vermilion of Okabe and Ito (2008), everywhere in the report."""

SIDE_LINES = {"baseline": "-", "hybrid": "--"}
"""Dashes tell the sides apart in black and white too."""

MARGIN_COLOUR = "#555555"
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


def render(figure: Figure, kind: str) -> bytes:
    """PNG or SVG bytes of a figure, without date or program so that equal figures are equal."""
    stream = BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    figure.savefig(stream, format=kind, dpi=160, metadata=metadata)
    return stream.getvalue()


def step_line(axes: Axes, edges: np.ndarray, heights: np.ndarray, side: str) -> None:
    """One histogram as an outline in its side's colour."""
    axes.stairs(
        heights, edges, color=SIDE_COLOURS[side], label=side, lw=1.4, linestyle=SIDE_LINES[side]
    )

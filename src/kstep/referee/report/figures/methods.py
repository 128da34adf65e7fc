"""Every way to run dynamics beside each other: errors, and what an independent sample costs."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import MethodErrors, MethodMetrics, MoleculeMetrics
from kstep.referee.report.figures.style import SIDE_COLOURS, WIDTH, shortened

Read = Callable[[MethodErrors], float | None]
_TIME, _CALLS = SIDE_COLOURS["baseline"], SIDE_COLOURS["candidate"]


def method_comparison(molecule: MoleculeMetrics) -> Figure | None:
    """Deviations from the limit of small steps at equal time and equal calls, and efficiency."""
    methods = molecule.methods
    if not methods:
        return None
    figure = Figure(figsize=(WIDTH, 1.6 + 0.27 * len(methods)))
    axes = list(figure.subplots(1, 4, sharey=True))
    errors: list[tuple[str, Read]] = [
        ("temperature\n(%)", lambda e: 100.0 * abs(e.temperature_error)),
        ("worst width of a\nbond or angle (%)", lambda e: _percent(e.width_error)),
        ("worst divergence\nbeyond noise (nats)", lambda e: e.divergence),
    ]
    for panel, (label, read) in zip(axes, errors, strict=False):
        _errors(panel, methods, read)
        panel.set_xlabel(label)
    _efficiency(axes[3], methods)
    axes[0].set_yticks(range(len(methods)), [shortened(m.name, 30) for m in methods], fontsize=8)
    axes[0].set_ylim(len(methods) - 0.5, -0.5)
    axes[0].set_title("deviation from the limit of small steps", loc="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _percent(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


def _errors(axes: Axes, methods: list[MethodMetrics], read: Read) -> None:
    kinds = (("equal_time", -0.14, "o", _TIME), ("equal_calls", 0.14, "s", _CALLS))
    for kind, offset, marker, colour in kinds:
        found = [
            (row + offset, value)
            for row, method in enumerate(methods)
            if (errors := getattr(method, kind)) is not None and (value := read(errors)) is not None
        ]
        axes.plot(
            [value for _, value in found], [row for row, _ in found], marker, color=colour,
            markersize=5, markerfacecolor="white" if marker == "s" else colour,
            label=kind.replace("_", " ").replace("calls", "force calls"),
        )  # fmt: skip
    axes.set_xlim(left=0.0)
    axes.margins(x=0.1)


def _efficiency(axes: Axes, methods: list[MethodMetrics]) -> None:
    for row, method in enumerate(methods):
        if method.per_1000_calls is not None:
            axes.barh(row, method.per_1000_calls, height=0.55, color="#8c8c8c")
    axes.set_xlabel("independent samples\nper 1000 force calls")

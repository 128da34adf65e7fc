"""Tables and figures of what `structure.py` measured.

    python benchmarks/structure_tables.py runs/structure/structure \
        --write docs/structure_results.md --images docs/images

A summary of all molecules and strides; for each of them what NVE does to energy and temperatures,
and what sampling at 300 K is worth. Deviations are from MD at 2 fs of the same table: temperatures
from the same starts, replica by replica; effective samples with the jackknife's standard error.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from document import put_section
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sampled import MODES

from kstep.artifacts import read_json

BASELINE = "MD 2 fs"
METHODS = (
    BASELINE,
    "MD 4 fs, H 3 Da",
    "leapfrog",
    "propagator",
    "splitting",
    "splitting, 3 further chances",
    "splitting, half drifts",
)
"""In the order of the tables; others follow."""
DT_PS = 0.002
COLUMNS = 4
"""Panels beside each other."""
PARTS = 20
"""Of a run, whose energies are averaged."""
COLOURS = {BASELINE: "C0", "splitting": "C3", "propagator": "C7"}
LIMITS = (0.1, 60.0)
"""Of factors: beyond are only those of a torsion that turned once."""
OBSERVABLES = ("median torsion", "slowest torsion", "end to end")

Measured = dict[str, Any]


def main() -> None:
    options = _arguments()
    found = sorted(
        (read_json(path) for path in options.folder.glob("*.json")),
        key=lambda one: (not one["seen"], one["molecule"], one["k_steps"]),
    )
    sections = {"Summary": _summary(found)}
    for one in found:
        title = f"{one['molecule']}, k = {one['k_steps']}"
        sections[title] = "\n".join([_nve(one), "", _sampling(one)])
    print(sections["Summary"])
    if options.write:
        for title, text in sections.items():
            put_section(options.write, title, text)
    if options.images:
        _plot_energies(found, options.images / "structure_energy.png")
        _plot_samples(found, options.images / "structure_samples.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--images", type=Path)
    return parser.parse_args()


def _summary(found: list[Measured]) -> str:
    lines = [
        "| molecule | trained on | k | NVE drift, meV/atom/ps | jumps refused in NVE | "
        "T of the element farthest from MD | accepted in GHMC | with half drifts | samples per "
        "true call, median torsion: NVT | GHMC | end to end: NVT | GHMC | samples per second, "
        "median torsion: NVT | GHMC |",
        "|---" * 14 + "|",
    ]
    for one in found:
        methods = one["methods"]
        splitting = methods["splitting"]
        nve, ghmc = splitting["NVE"], splitting["GHMC"]
        halved = methods["splitting, half drifts"]["GHMC"]
        plain = methods[BASELINE]["NVT"]
        cells = [
            one["molecule"],
            "yes" if one["seen"] else "no",
            str(one["k_steps"]),
            _drift(nve["drift"]),
            f"{1.0 - nve['passed']:.2%}",
            _farthest(nve, methods[BASELINE]["NVE"]),
            f"{ghmc['passed']:.1%}",
            f"{halved['passed']:.1%}",
        ]
        for kind, cost in (
            ("median torsion", "calls"),
            ("end to end", "calls"),
            ("median torsion", "seconds"),
        ):
            cells += [_gain(splitting[e], plain, kind, cost) for e in ("NVT", "GHMC")]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        "Samples are factors of those of MD at 2 fs in NVT. The jump is the shipped splitting; "
        "nothing is rescaled in NVE. Where ± is as large as the number, something turned once."
    )
    return "\n".join([note, "", *lines])


def _nve(one: Measured) -> str:
    runs = {name: method["NVE"] for name, method in _ordered(one) if "NVE" in method}
    baseline = runs[BASELINE]
    elements = [label for label in baseline["temperatures"] if label not in MODES]
    labels = [*elements, *MODES]
    lines = [
        f"NVE, {_length(baseline)}. Temperatures of elements and modes: those of MD in K, below "
        "them deviations from these, %.",
        "",
        "| method | steps a call | drift, meV/atom/ps | refused | "
        + " | ".join(f"T {label}" for label in labels)
        + " |",
        "|---" * (4 + len(labels)) + "|",
    ]
    for name, run in runs.items():
        cells = [_named(name, run, baseline), _steps(run), _drift(run["drift"])]
        cells.append(f"{1.0 - run['passed']:.2%}")
        for label in labels:
            if name == BASELINE:
                cells.append(f"{np.mean(run['temperatures'][label]):.0f}")
            else:
                cells.append("{:+.1f} ± {:.1f}".format(*_deviation(run, baseline, label)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _sampling(one: Measured) -> str:
    plain = one["methods"][BASELINE]["NVT"]
    labels = [label for label in plain["temperatures"] if label not in MODES]
    lines = [
        f"Sampling at 300 K, {_length(plain)}. Effective samples per true call, and per second, "
        f"as factors of {BASELINE}'s.",
        "",
        "| method | ensemble | steps a call | passed | "
        + " | ".join(f"T {label}" for label in labels)
        + " | "
        + " | ".join(f"{kind}, per call" for kind in OBSERVABLES)
        + " | median torsion, per second |",
        "|---" * (8 + len(labels)) + "|",
    ]
    for name, method in _ordered(one):
        for ensemble in ("NVT", "GHMC"):
            if ensemble not in method:
                continue
            run = method[ensemble]
            cells = [_named(name, run, plain), ensemble, _steps(run), f"{run['passed']:.1%}"]
            cells += [f"{np.mean(run['temperatures'][label]):.0f}" for label in labels]
            cells += [_gain(run, plain, kind, "calls") for kind in OBSERVABLES]
            cells.append(_gain(run, plain, "median torsion", "seconds"))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ordered(one: Measured) -> list[tuple[str, Measured]]:
    others = [name for name in one["methods"] if name not in METHODS]
    names = [name for name in (*METHODS, *sorted(others)) if name in one["methods"]]
    return [(name, one["methods"][name]) for name in names]


def _named(name: str, run: Measured, baseline: Measured) -> str:
    """A method's name, with the length of its run where that is another than the baseline's."""
    shorter = run["length_ps"] < 0.9 * baseline["length_ps"]
    return f"{name} ({_length(run)})" if shorter else name


def _length(run: Measured) -> str:
    return f"{run['replicas']} replicas of {run['length_ps'] / run['replicas']:.0f} ps"


def _steps(run: Measured) -> str:
    return f"{run['length_ps'] / DT_PS / run['calls']:.1f}"


def _drift(slopes: list[float]) -> str:
    """Mean over the replicas with its standard error."""
    error = np.std(slopes, ddof=1) / len(slopes) ** 0.5
    return f"{np.mean(slopes):+.1e} ± {error:.0e}"


def _deviation(run: Measured, baseline: Measured, label: str) -> tuple[float, float]:
    """Of a temperature from the baseline's, %, replica by replica; mean and standard error."""
    own, other = (np.array(r["temperatures"][label]) for r in (run, baseline))
    n = min(len(own), len(other))
    ratio = 100.0 * (own[:n] / other[:n] - 1.0)
    return float(ratio.mean()), float(ratio.std(ddof=1) / n**0.5)


def _farthest(run: Measured, baseline: Measured) -> str:
    elements = [label for label in baseline["temperatures"] if label not in MODES]
    found = {label: _deviation(run, baseline, label) for label in elements}
    label = max(found, key=lambda key: abs(found[key][0]))
    return "{}: {:+.1f} ± {:.1f} %".format(label, *found[label])


def _factor(
    run: Measured, plain: Measured, kind: str, cost: str
) -> tuple[float, float] | tuple[None, None]:
    """Effective samples per cost against plain MD's, with the standard error of the logarithm."""
    if kind not in run["samples"] or kind not in plain["samples"]:
        return None, None
    variance, logarithm = 0.0, 0.0
    for sign, one in ((1.0, run), (-1.0, plain)):
        samples = one["samples"][kind]
        without = np.log(samples["without"])
        n = len(without)
        variance += (n - 1) / n * float(((without - without.mean()) ** 2).sum())
        logarithm += sign * float(np.log(samples["all"][0] / one[cost]))
    return float(np.exp(logarithm)), variance**0.5


def _gain(run: Measured, plain: Measured, kind: str, cost: str) -> str:
    factor, error = _factor(run, plain, kind, cost)
    if factor is None or error is None:
        return ""
    return f"{factor:.3g} ± {factor * error:.2g}" if run is not plain else "1"


def _plot_energies(found: list[Measured], path: Path) -> None:
    """Total energy in NVE, averaged over a twentieth of the run at a time, of all replicas."""
    n_rows = -(-len(found) // COLUMNS)
    figure, axes = plt.subplots(
        n_rows,
        COLUMNS,
        figsize=(10.0, 2.6 * n_rows),
        layout="constrained",
        squeeze=False,
        sharex=True,
    )
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, one in zip(axes.flat, found, strict=False):
        for name in (BASELINE, "propagator", "splitting"):
            curves = one["methods"].get(name, {}).get("NVE", {}).get("trace")
            if curves is None:
                continue
            points = len(curves["ps"]) // PARTS * PARTS
            times, energies = (np.array(curves[key])[..., :points] for key in ("ps", "meV"))
            means = energies.reshape(len(energies), PARTS, -1).mean(axis=-1)
            at = times.reshape(PARTS, -1).mean(axis=-1)
            lines = axis.plot(at, means.T, color=COLOURS[name], lw=1.0)
            lines[0].set_label(name)
        axis.set_title(f"{one['molecule']}, k = {one['k_steps']}", fontsize=8)
        axis.axhline(0.0, color="black", lw=0.5)
    figure.supylabel("total energy since the start, meV per atom", fontsize=9)
    figure.supxlabel("ps", fontsize=9)
    _legend(figure, axes.flat)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _plot_samples(found: list[Measured], path: Path) -> None:
    """Effective samples per true call against MD at 2 fs, of what samples by jumps or others."""
    shown = (
        ("MD 4 fs, H 3 Da", "NVT"),
        ("leapfrog", "GHMC"),
        ("splitting", "NVT"),
        ("splitting", "GHMC"),
        ("splitting, half drifts", "GHMC"),
    )
    kinds = ("median torsion", "end to end")
    figure, axes = plt.subplots(len(kinds), 1, figsize=(9.0, 5.6), layout="constrained")
    for axis, kind in zip(axes, kinds, strict=True):
        for place, (name, ensemble) in enumerate(shown):
            factors = [
                _factor(
                    one["methods"][name][ensemble],
                    one["methods"][BASELINE]["NVT"],
                    kind,
                    "calls",
                )
                for one in found
            ]
            at = np.arange(len(found)) + 0.16 * place - 0.32
            heights = np.array([factor or np.nan for factor, _ in factors])
            errors = heights * np.array([error or 0.0 for _, error in factors])
            label = f"{name}, {ensemble}"
            axis.bar(at, heights, 0.16, yerr=errors, capsize=2, label=label)
        axis.axhline(1.0, color="black", lw=0.8)
        axis.set(yscale="log", ylim=LIMITS, ylabel=f"{kind}:\nsamples per true call")
        axis.set_xticks(np.arange(len(found)), [""] * len(found))
    labels = [f"{one['molecule']}\nk = {one['k_steps']}" for one in found]
    axes[-1].set_xticks(np.arange(len(found)), labels, fontsize=7, rotation=20)
    _legend(figure, axes[:1])
    figure.savefig(path, dpi=150)


def _legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One for all panels, above them."""
    shown = {}
    for axis in axes:
        shown |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(shown.values()),
        list(shown),
        loc="outside upper center",
        frameon=False,
        fontsize=8,
        ncols=len(shown),
    )


if __name__ == "__main__":
    main()

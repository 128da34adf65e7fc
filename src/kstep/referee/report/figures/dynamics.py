"""Dynamics: the vibrational spectrum, the velocity autocorrelation and the memory of torsions."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kstep.referee.metrics import SIDES, DynamicsMetrics, MoleculeMetrics
from kstep.referee.report.figures.style import MARGIN_COLOUR, WIDTH, Curves, panels_for, side_line
from kstep.referee.report.reading import side_names

TORSIONS_SHOWN = 6


def spectra(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Vibrational density of states with its bands, and the velocity autocorrelation."""
    drawn = [key for key in ("spectrum/wavenumber", "vacf/times") if key in curves]
    if not drawn:
        return None
    figure = Figure(figsize=(WIDTH, 2.4 * len(drawn) + 0.2))
    axes = figure.subplots(len(drawn), 1, squeeze=False).ravel()
    names = side_names(molecule)
    for panel, key in zip(axes, drawn, strict=True):
        for side in SIDES:
            side_line(panel, curves[key], curves[f"{key.split('/')[0]}/{side}"], side, names[side])
        panel.set_xlim(float(curves[key][0]), float(curves[key][-1]))
    if drawn[0] == "spectrum/wavenumber":
        _label_spectrum(axes[0], molecule.dynamics)
    if drawn[-1] == "vacf/times":
        axes[-1].axhline(0.0, color=MARGIN_COLOUR, lw=0.8)
        axes[-1].set_xlabel("time (ps)")
        axes[-1].set_ylabel("velocity\nautocorrelation")
    axes[-1].legend(loc="upper right", ncols=2)
    return figure


def _label_spectrum(axes: Axes, dynamics: DynamicsMetrics) -> None:
    """Name the axes, mark the bands that are compared and the limit of the candidate's steps."""
    low, right = axes.get_xlim()
    top = axes.get_ylim()[1]
    axes.set_ylim(0.0, 1.3 * top)
    previous = -1e9
    for peak in dynamics.peaks:
        axes.plot([peak.position] * 2, [0.0, 1.06 * top], color="#bbbbbb", lw=0.6, zorder=0)
        # Names of neighbours closer than a line of text would lie on each other.
        if peak.position - previous > 0.022 * (right - low):
            axes.text(
                peak.position, 1.08 * top, f"{peak.position:.0f}" if peak.resolved else
                f"({peak.position:.0f})", rotation=90, ha="center", va="bottom", fontsize=7,
                color=MARGIN_COLOUR,
            )  # fmt: skip
            previous = peak.position
    if dynamics.nyquist is not None:
        axes.axvline(dynamics.nyquist, color=MARGIN_COLOUR, linestyle=":")
        axes.set_xlim(low, 1.03 * max(right, dynamics.nyquist))
        axes.text(
            dynamics.nyquist, 1.27 * top, f"Nyquist, {dynamics.nyquist:.0f} ", ha="right", va="top",
            fontsize=7, color=MARGIN_COLOUR,
        )  # fmt: skip
    axes.set_xlabel("wavenumber (1/cm)")
    axes.set_ylabel("density of states (cm)")


def torsion_memory(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Autocorrelation of the dihedrals that turn."""
    torsions = [t for t in molecule.dynamics.torsions if f"memory/{t.label}/times" in curves]
    if not torsions:
        return None
    figure, axes = panels_for(len(torsions[:TORSIONS_SHOWN]), 3, 2.2)
    for panel, torsion in zip(axes, torsions, strict=False):
        prefix = f"memory/{torsion.label}"
        for side, name in side_names(molecule).items():
            time = getattr(torsion.time_ps, side)
            side_line(
                panel, curves[f"{prefix}/times"], curves[f"{prefix}/{side}"], side,
                f"{name}: {time:.3g} ps",
            )  # fmt: skip
        panel.axhline(0.0, color=MARGIN_COLOUR, lw=0.8)
        panel.set_title(torsion.label, fontsize=8)
        panel.set_xlabel("time (ps)")
        panel.legend(loc="upper right")
    axes[0].set_ylabel("autocorrelation")
    return figure

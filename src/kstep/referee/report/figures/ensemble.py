"""Ensemble check: the ratio of potential-energy distributions at two temperatures."""

from matplotlib.figure import Figure

from kstep.referee.metrics import SIDES, MoleculeMetrics
from kstep.referee.report.figures.style import SIDE_COLOURS, SIDE_MARKERS, Curves, panels
from kstep.referee.report.reading import side_names


def energy_ratio(molecule: MoleculeMetrics, curves: Curves) -> Figure | None:
    """Logarithm of P₂(U) / P₁(U) of both sides with standard errors, and the exact line."""
    if molecule.ensemble is None or "ensemble/expected/energy" not in curves:
        return None
    figure, (whole,) = panels(1, 1, 2.8)
    first, second = molecule.ensemble.temperatures_K
    whole.plot(
        curves["ensemble/expected/energy"], curves["ensemble/expected/log_ratio"], color="black",
        lw=0.9, label="canonical, exact",
    )  # fmt: skip
    for side, name in side_names(molecule).items():
        if f"ensemble/{side}/energy" in curves:
            whole.errorbar(
                curves[f"ensemble/{side}/energy"], curves[f"ensemble/{side}/log_ratio"],
                yerr=curves[f"ensemble/{side}/error"], color=SIDE_COLOURS[side], linestyle="",
                marker=SIDE_MARKERS[side], markersize=3.5, capsize=2, lw=0.9, label=name,
                markerfacecolor="white" if side == SIDES[1] else SIDE_COLOURS[side],
            )  # fmt: skip
    whole.set_xlabel("potential energy U (kJ/mol)")
    whole.set_ylabel(f"ln P(U; {second:g} K) / P(U; {first:g} K)")
    whole.legend(loc="upper left")
    return figure

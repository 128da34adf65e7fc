"""Energy conservation in NVE windows: drift, fluctuation, excursion."""

import numpy as np
from jaxtyping import Float

from kstep.config import EvalConfig
from kstep.evaluate.metrics import EnergyMetrics, WindowDrift
from kstep.evaluate.statistics import bootstrap_median
from kstep.trajectory import NVE, Trajectory
from kstep.units import MEV_PER_KJ_PER_MOL

TRACE_POINTS = 400
"""Points of an energy trace kept for the figures."""


def window_drift(
    times: Float[np.ndarray, " n"], energies: Float[np.ndarray, " n"], n_atoms: int
) -> WindowDrift:
    """Least-squares line through the total energy of one window.

    Args:
        times: ps.
        energies: total energy of the molecule, kJ/mol.
        n_atoms: atoms that share it.
    """
    slope, intercept = np.polyfit(times, energies, 1)
    residual = energies - (slope * times + intercept)
    per_atom = float(slope) / n_atoms
    return WindowDrift(
        length_ps=float(times[-1] - times[0]),
        drift=per_atom,
        drift_meV=per_atom * MEV_PER_KJ_PER_MOL,
        fluctuation=float(np.sqrt(np.mean(residual**2))),
        excursion=float(np.abs(energies - energies[0]).max()),
    )


def energy_conservation(
    config: EvalConfig, trajectory: Trajectory
) -> tuple[EnergyMetrics, dict[str, np.ndarray]]:
    """Drift of every NVE window with medians, and traces for the figures.

    Curves are named `trace/<window>/{times,energy}`: ps, and kJ/mol per atom from the start.
    """
    n_atoms = len(trajectory.masses)
    windows: list[WindowDrift] = []
    curves: dict[str, np.ndarray] = {}
    for index, frames in enumerate(trajectory.segments(NVE)):
        times = trajectory.times[frames].astype(np.float64)
        energies = trajectory.etot[frames].astype(np.float64)
        windows.append(window_drift(times, energies, n_atoms))
        shown = slice(None, None, max(1, len(frames) // TRACE_POINTS))
        curves[f"trace/{index}/times"] = times[shown]
        curves[f"trace/{index}/energy"] = ((energies - energies[0]) / n_atoms)[shown]
    return _summary(config, windows), curves


def _summary(config: EvalConfig, windows: list[WindowDrift]) -> EnergyMetrics:
    if not windows:
        return EnergyMetrics(
            windows=[], median_drift=None, lower_quartile=None, upper_quartile=None,
            median_drift_meV=None, size=None, median_fluctuation=None, largest_excursion=None,
        )  # fmt: skip
    drifts = np.array([window.drift for window in windows])
    lower, median, upper = (float(q) for q in np.quantile(drifts, [0.25, 0.5, 0.75]))
    return EnergyMetrics(
        windows=windows,
        median_drift=median,
        lower_quartile=lower,
        upper_quartile=upper,
        median_drift_meV=median * MEV_PER_KJ_PER_MOL,
        size=bootstrap_median(np.abs(drifts), config.bootstrap, config.seed),
        median_fluctuation=float(np.median([window.fluctuation for window in windows])),
        largest_excursion=max(window.excursion for window in windows),
    )

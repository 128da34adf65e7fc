"""Energy conservation in NVE windows: drift, fluctuation, excursion, momenta, constraints."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.config import EvalConfig
from kstep.referee.claims.checks import ENERGY, MECHANICS, Measured
from kstep.referee.compared import Side
from kstep.referee.metrics import SIDES, EnergyMetrics, Pair, WindowDrift
from kstep.referee.physics.drift import drift_size, judge_drift, mean_drift
from kstep.referee.physics.spectrum import kinetic_slopes
from kstep.referee.statistics.estimates import UNKNOWN, Uncertain, difference
from kstep.system.mechanics import (
    angular_momentum,
    centre_of_mass,
    inertia_tensor,
    internal_degrees_of_freedom,
    remove_centre_of_mass,
)
from kstep.system.molecule import Molecule
from kstep.system.trajectory import Trajectory
from kstep.units import BOLTZMANN, MEV_PER_KJ_PER_MOL

TRACE_POINTS = 400
"""Points of an energy trace kept for the figures."""

Curves = dict[str, np.ndarray]


def compare_energies(
    config: EvalConfig, molecule: Molecule, baseline: Side, candidate: Side
) -> tuple[Pair[EnergyMetrics], Curves, list[Measured]]:
    """Energy conservation of both sides, traces for the figures, and what is to be judged.

    Curves: `energy/<side>/{trace,rescaled}/<window>/{times,energy}`, ps and kJ/mol per atom from
    the start.
    """
    metrics: list[EnergyMetrics] = []
    curves: Curves = {}
    slopes: tuple[Uncertain | None, Uncertain | None] = (None, None)
    if baseline.motion is not None and candidate.motion is not None:
        slopes = kinetic_slopes(baseline.motion, candidate.motion) or slopes
    # What a bond is held at is not in the molecule's files: the baseline holds it to 1e-8.
    wanted = np.median(constrained_lengths(molecule, baseline.trajectory), axis=0)
    for name, side, slope in zip(SIDES, (baseline, candidate), slopes, strict=True):
        windows = windows_of(side.trajectory, side.nve, side.temperature)
        rescaled = windows_of(side.trajectory, side.rescaled, side.temperature)
        residual = constraint_residual(constrained_lengths(molecule, side.trajectory), wanted)
        metrics.append(_summary(windows, rescaled, slope, residual))
        curves |= _traces(side.trajectory, side.nve, f"energy/{name}/trace")
        curves |= _traces(side.trajectory, side.rescaled, f"energy/{name}/rescaled")
    pair = Pair[EnergyMetrics](baseline=metrics[0], candidate=metrics[1])
    # Each end of a bond is off by up to √3 times what a file's numbers make a coordinate wrong.
    rounding = 2.0 * 3.0**0.5 * float(candidate.trajectory.record.get("position_error_nm", 0.0))
    allowed = config.max_constraint_error + rounding / wanted.min(initial=np.inf)
    off = Uncertain(pair.candidate.constraint_residual, 0.0, 1.0)
    held = [Measured(MECHANICS, "largest error of a constrained bond", "", off, allowed)]
    if not candidate.is_dynamics:
        return pair, curves, held
    freedom = internal_degrees_of_freedom(molecule.n_atoms, len(molecule.constraints))
    drift = judge_drift(
        config, pair.candidate.windows, molecule.n_atoms, freedom, candidate.temperature
    )
    found = [*held, *drift, _energy_slope(config, candidate, slopes)]
    # What acts from outside changes momenta, whoever integrates it.
    if not molecule.external_forces:
        found += _momenta(config, pair.candidate.windows)
    return pair, curves, found


def _energy_slope(
    config: EvalConfig, candidate: Side, slopes: tuple[Uncertain | None, Uncertain | None]
) -> Measured:
    """How the total energy goes with the kinetic one, candidate against baseline."""
    slope = UNKNOWN
    if slopes[0] is not None and slopes[1] is not None:
        slope = difference(slopes[1], slopes[0])
    motion = candidate.motion
    simulated = 0.0 if motion is None else motion.epot.size * motion.spacing
    label = "change of the total per change of the kinetic energy"
    return Measured(ENERGY, label, "", slope, config.max_kinetic_slope, True, simulated)


def _momenta(config: EvalConfig, windows: list[WindowDrift]) -> list[Measured]:
    """Linear and angular momentum, which NVE windows must keep."""
    found = []
    for name, what in (("linear_momentum", "linear"), ("angular_momentum", "angular")):
        values = [getattr(window, name) for window in windows]
        largest = Uncertain(max(values), 0.0, 1.0) if values else UNKNOWN
        label = f"largest change of the {what} momentum in NVE"
        found.append(Measured(MECHANICS, label, "", largest, config.max_momentum_error))
    return found


@dataclass(frozen=True)
class Line:
    """A least-squares line through a total energy.

    Attributes:
        slope: kJ/mol/ps.
        fluctuation: RMS about the line, kJ/mol.
        excursion: largest distance from the first value, kJ/mol.
    """

    slope: float
    fluctuation: float
    excursion: float


def fit_line(times: Float[np.ndarray, " n"], energies: Float[np.ndarray, " n"]) -> Line:
    """The line through the total energy (kJ/mol) of one window over time (ps)."""
    slope, intercept = np.polyfit(times, energies, 1)
    residual = energies - (slope * times + intercept)
    return Line(
        slope=float(slope),
        fluctuation=float(np.sqrt(np.mean(residual**2))),
        excursion=float(np.abs(energies - energies[0]).max()),
    )


def window_drift(trajectory: Trajectory, frames: np.ndarray, temperature: float) -> WindowDrift:
    """What energy and momenta do in one window; the temperature (K) sets the momenta's scale."""
    times = trajectory.times[frames].astype(np.float64)
    line = fit_line(times, trajectory.etot[frames].astype(np.float64))
    masses = trajectory.masses.astype(np.float64)
    per_atom = line.slope / len(masses)
    linear, angular = _momentum_changes(trajectory, frames, masses, temperature)
    return WindowDrift(
        length_ps=float(times[-1] - times[0]),
        drift=per_atom,
        drift_meV=per_atom * MEV_PER_KJ_PER_MOL,
        fluctuation=line.fluctuation,
        excursion=line.excursion,
        linear_momentum=linear,
        angular_momentum=angular,
    )


def constrained_lengths(molecule: Molecule, trajectory: Trajectory) -> Float[np.ndarray, "T C"]:
    """Length of every constrained bond in every frame, nm."""
    first, second = molecule.constraints.T
    lengths = np.empty((trajectory.n_frames, len(molecule.constraints)))
    for column, (a, b) in enumerate(zip(first, second, strict=True)):
        arms = trajectory.pos[:, a].astype(np.float64) - trajectory.pos[:, b]
        lengths[:, column] = np.sqrt(np.einsum("ti,ti->t", arms, arms))
    return lengths


def constraint_residual(
    lengths: Float[np.ndarray, "T C"], wanted: Float[np.ndarray, " C"]
) -> float:
    """Largest relative deviation of a constrained bond in any frame; 0 without constraints."""
    return float(np.abs(lengths / wanted - 1.0).max()) if lengths.size else 0.0


def _momentum_changes(
    trajectory: Trajectory, frames: np.ndarray, masses: Float[np.ndarray, " N"], temperature: float
) -> tuple[float, float]:
    x = trajectory.pos[frames].astype(np.float64)
    v = trajectory.vel[frames].astype(np.float64)
    thermal = np.sqrt(3.0 * BOLTZMANN * temperature / masses.sum())
    drift = centre_of_mass(v, masses)
    linear = np.linalg.norm(drift - drift[0], axis=-1).max() / thermal
    angular = angular_momentum(x, v, masses)
    inertia = np.trace(inertia_tensor(remove_centre_of_mass(x[0], masses), masses))
    scale = np.sqrt(BOLTZMANN * temperature * inertia)
    return float(linear), float(np.linalg.norm(angular - angular[0], axis=-1).max() / scale)


def windows_of(
    trajectory: Trajectory, segments: list[np.ndarray], temperature: float
) -> list[WindowDrift]:
    """Energy and momenta of every window; none without velocities."""
    if not trajectory.has_velocities:
        return []
    return [window_drift(trajectory, frames, temperature) for frames in segments]


def _traces(trajectory: Trajectory, segments: list[np.ndarray], prefix: str) -> Curves:
    curves: Curves = {}
    for index, frames in enumerate(segments):
        shown = frames[:: max(1, len(frames) // TRACE_POINTS)]
        energies = trajectory.etot[shown] - trajectory.etot[frames[0]]
        curves[f"{prefix}/{index}/times"] = trajectory.times[shown]
        curves[f"{prefix}/{index}/energy"] = energies / len(trajectory.masses)
    return curves


def _summary(
    windows: list[WindowDrift],
    rescaled: list[WindowDrift],
    slope: Uncertain | None,
    residual: float,
) -> EnergyMetrics:
    drifts = np.array([window.drift for window in windows])
    lower, median, upper = (
        (float(q) for q in np.quantile(drifts, [0.25, 0.5, 0.75])) if windows else (None,) * 3
    )
    size, mean = drift_size(windows), mean_drift(windows)
    return EnergyMetrics(
        windows=windows,
        rescaled_windows=rescaled,
        median_drift=median,
        lower_quartile=lower,
        upper_quartile=upper,
        median_drift_meV=None if median is None else median * MEV_PER_KJ_PER_MOL,
        size=None if size is None else size.estimate(),
        mean_drift=None if mean is None else mean.estimate(),
        median_fluctuation=float(np.median([w.fluctuation for w in windows])) if windows else None,
        largest_excursion=max((w.excursion for w in windows), default=None),
        kinetic_slope=None if slope is None else slope.estimate(),
        constraint_residual=residual,
    )

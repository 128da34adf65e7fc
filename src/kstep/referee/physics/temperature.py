"""Kinetic temperature and its share-out over elements, bonded roles and kinds of motion.

A constraint takes a degree of freedom from two atoms at once, so an atom's temperature has no
simple formula. Its mean kinetic energy needs none: at equal temperature it must equal the
baseline's. Kinds of motion (stretch, bend, ...) are orthogonal to the constraints, so their
temperatures are known exactly. In NVE no temperature is set, so there shares are compared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from kstep.config import EvalConfig
from kstep.referee.claims.checks import EQUIPARTITION, TEMPERATURE, Measured
from kstep.referee.compared import Side
from kstep.referee.metrics import SIDES, KineticShare, Pair, TemperatureMetrics
from kstep.referee.physics.modes import ROTATION, bonded_roles, mode_energies
from kstep.referee.statistics.estimates import (
    Uncertain,
    block_frames,
    block_means,
    bootstrap,
    correlated_mean,
    inefficiency,
    mean_of,
    relative_difference,
)
from kstep.system.mechanics import internal_degrees_of_freedom, remove_centre_of_mass
from kstep.system.molecule import Molecule, symbol
from kstep.system.trajectory import Trajectory
from kstep.units import BOLTZMANN

TEMPERATURE_BINS = 50
MIN_WINDOWS = 8
"""NVE windows needed for an interval of their shares, which are far from Gaussian."""

MODE_FRAMES = 16000
"""Constant-temperature frames whose motion is taken apart, at most."""

MODE_WINDOW_FRAMES = 200
"""The same of every NVE window."""

AT_ONCE = 10_000
"""Frames taken to double precision together: a copy of all would be larger than the trajectory."""

Curves = dict[str, np.ndarray]
Energies = Float[np.ndarray, "T groups"]


@dataclass(frozen=True, eq=False)
class Group:
    """Kinetic energies of one group or mode.

    Attributes:
        kind, label, size: as in `KineticShare`.
        nvt: kinetic energy per member in every constant-temperature run, per side.
        shares: its share in every NVE window over that of all, per side; None from too few.
        exact: what the energy must be, kJ/mol; None where the baseline is the measure.
    """

    kind: str
    label: str
    size: float
    nvt: list[list[np.ndarray]]
    shares: list[np.ndarray] | None
    exact: float | None


def atomic_kinetic_energies(trajectory: Trajectory) -> Float[np.ndarray, "T N"]:
    """½ m v² of every atom with the centre of mass at rest, kJ/mol."""
    masses = trajectory.masses.astype(np.float64)
    energies = np.empty((trajectory.n_frames, len(masses)))
    for start in range(0, trajectory.n_frames, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        velocities = remove_centre_of_mass(trajectory.vel[some].astype(np.float64), masses)
        energies[some] = 0.5 * masses * np.einsum("tni,tni->tn", velocities, velocities)
    return energies


def compare_temperatures(
    config: EvalConfig, molecule: Molecule, baseline: Side, candidate: Side
) -> tuple[TemperatureMetrics, Curves, list[Measured]]:
    """Temperatures of both sides, whole and by group, histograms, and what is to be judged.

    Curves: `temperature/edges` (K) and `temperature/{baseline,candidate,canonical}` (1/K).
    """
    sides = (baseline, candidate)
    target = candidate.temperature
    energies = [atomic_kinetic_energies(side.trajectory) for side in sides]
    freedom = internal_degrees_of_freedom(molecule.n_atoms, len(molecule.constraints))
    exact = freedom * BOLTZMANN * target / 2.0
    totals = [side.series(e.sum(axis=1)) for e, side in zip(energies, sides, strict=True)]
    means = [correlated_mean(series) for series in totals]
    widths = [_width(config, series, exact, freedom) for series in totals]
    sampled = candidate.nvt_ps
    measured = [
        Measured(
            TEMPERATURE, "mean temperature in NVT", "", means[1].scaled(1.0 / exact, -1.0),
            config.max_temperature_error, True, sampled,
        ),
        Measured(
            TEMPERATURE, "width of the kinetic energy in NVT", "", widths[1],
            config.max_energy_width_error, True, sampled,
        ),
    ]  # fmt: skip
    shares = []
    groups = [*_atom_groups(molecule, sides, energies), *_modes(molecule, sides)]
    for group in groups:
        share, checks = _judge(config, group, sampled)
        shares.append(share)
        measured += checks
    kelvin = [target * np.concatenate(series) / exact for series in totals]
    metrics = TemperatureMetrics(
        target_K=target,
        degrees_of_freedom=freedom,
        mean_K=_pair([mean.scaled(target / exact) for mean in means]),
        error=_pair([mean.scaled(1.0 / exact, -1.0) for mean in means]),
        width=_pair(widths),
        shares=shares,
    )
    return metrics, _histograms(kelvin, target, freedom), measured


def _width(config: EvalConfig, series: list[np.ndarray], exact: float, freedom: int) -> Uncertain:
    """Standard deviation of the kinetic energy over the canonical √(f/2) k_B T, minus 1."""
    scaled = [one / exact for one in series]
    centred = [(one - 1.0) ** 2 for one in scaled]
    frames = block_frames(max(inefficiency(scaled), inefficiency(centred)), list(map(len, series)))
    moments = block_means([np.stack([one, one**2], axis=1) for one in scaled], frames)

    def ratio(average: np.ndarray) -> np.ndarray:
        variance = average[..., 1] - average[..., 0] ** 2
        return np.asarray(np.sqrt(variance * freedom / 2.0) / average[..., 0] - 1.0)

    return bootstrap(moments, ratio, config.bootstrap, config.seed)[0]


def _atom_groups(
    molecule: Molecule, sides: tuple[Side, Side], energies: list[Float[np.ndarray, "_ N"]]
) -> Iterator[Group]:
    # Under constraints an atom's share depends on the masses; that of a mode does not.
    if not np.array_equal(sides[0].trajectory.masses, sides[1].trajectory.masses):
        return
    elements = [
        (symbol(int(number)), np.flatnonzero(molecule.numbers == number))
        for number in np.unique(molecule.numbers)
    ]
    named = [("element", *entry) for entry in elements]
    whole = {tuple(atoms.tolist()) for _, atoms in elements}
    roles = [(label, np.asarray(atoms)) for label, atoms in bonded_roles(molecule)]
    # A role that is all of its element would only say the same twice.
    named += [("role", *entry) for entry in roles if tuple(entry[1].tolist()) not in whole]
    for kind, label, atoms in named:
        yield Group(
            kind=kind,
            label=label,
            size=float(len(atoms)),
            nvt=[s.series(e[:, atoms].mean(axis=1)) for e, s in zip(energies, sides, strict=True)],
            shares=_shares(
                sides,
                [_over_atoms(e, atoms) for e in energies],
            ),
            exact=None,
        )


def _over_atoms(
    energies: Float[np.ndarray, "T N"], atoms: np.ndarray
) -> Callable[[np.ndarray], float]:
    def share(frames: np.ndarray) -> float:
        window = energies[frames]
        return float(window[:, atoms].mean() / window.mean())

    return share


def _shares(
    sides: tuple[Side, Side], share_of: list[Callable[[np.ndarray], float]]
) -> list[np.ndarray] | None:
    if any(len(side.nve) < MIN_WINDOWS for side in sides):
        return None
    return [
        np.array([share(frames) for frames in side.nve])
        for side, share in zip(sides, share_of, strict=True)
    ]


def _modes(molecule: Molecule, sides: tuple[Side, Side]) -> Iterator[Group]:
    nvt: list[list[Energies]] = []
    nve: list[list[Energies]] = []
    labels: list[str] = []
    dimensions = np.zeros(0)
    for side in sides:
        stride = max(1, sum(side.lengths) // MODE_FRAMES)
        runs = [_taken_apart(molecule, side.trajectory, frames[::stride]) for frames in side.nvt]
        dimensions, labels = runs[0][1], runs[0][2]
        nvt.append([run[0] for run in runs])
        windows = [f[:: max(1, len(f) // MODE_WINDOW_FRAMES)] for f in side.nve]
        nve.append([_taken_apart(molecule, side.trajectory, f)[0] for f in windows])
    inner = [index for index, label in enumerate(labels) if label != ROTATION]
    for mode, (label, size) in enumerate(zip(labels, dimensions, strict=True)):
        if size < 0.5:
            continue
        shares = None
        # Without a thermostat the rotation stays what it was at the start.
        if label != ROTATION and all(len(windows) >= MIN_WINDOWS for windows in nve):
            shares = [
                np.array([w[:, mode].sum() / w[:, inner].sum() for w in windows]) for windows in nve
            ]
        yield Group(
            kind="mode",
            label=label,
            size=float(size),
            nvt=[[run[:, mode] / size for run in runs] for runs in nvt],
            shares=shares,
            exact=BOLTZMANN * sides[1].temperature / 2.0,
        )


def _taken_apart(
    molecule: Molecule, trajectory: Trajectory, frames: np.ndarray
) -> tuple[Energies, Float[np.ndarray, " groups"], list[str]]:
    return mode_energies(
        molecule,
        trajectory.pos[frames].astype(np.float64),
        trajectory.vel[frames].astype(np.float64),
        trajectory.masses.astype(np.float64),
    )


def _judge(
    config: EvalConfig, group: Group, sampled_ps: float
) -> tuple[KineticShare, list[Measured]]:
    means = [correlated_mean(series) for series in group.nvt]
    if group.exact is None:
        error = relative_difference(means[1], means[0])
        what = f"kinetic energy of {group.label}"
    else:
        error = means[1].scaled(1.0 / group.exact, -1.0)
        what = f"kinetic energy of {group.label} motion"
    found = [
        Measured(
            EQUIPARTITION, f"{what} in NVT", "", error, config.max_share_error, True, sampled_ps
        )
    ]
    shares = nve_error = None
    if group.shares is not None:
        shares = [mean_of(values) for values in group.shares]
        nve_error = relative_difference(shares[1], shares[0])
        found.append(
            Measured(
                EQUIPARTITION, f"share of the {what} in NVE", "", nve_error,
                config.max_nve_share_error, False, None,
            )
        )  # fmt: skip
    to_kelvin = 2.0 / BOLTZMANN
    metrics = KineticShare.model_validate(
        {
            "kind": group.kind,
            "label": group.label,
            "size": group.size,
            "temperature_K": None
            if group.exact is None
            else _pair([mean.scaled(to_kelvin) for mean in means]),
            "kinetic_energy": _pair(means),
            "error": error.estimate(),
            "nve_share": None if shares is None else _pair(shares),
            "nve_error": None if nve_error is None else nve_error.estimate(),
        }
    )
    return metrics, found


def _pair(numbers: list[Uncertain]) -> Pair:  # type: ignore[type-arg]
    baseline, candidate = (number.estimate() for number in numbers)
    return Pair(baseline=baseline, candidate=candidate)


def _histograms(kelvin: list[Float[np.ndarray, " _"]], target: float, freedom: int) -> Curves:
    low, high = min(k.min() for k in kelvin), max(k.max() for k in kelvin)
    edges = np.linspace(low, np.nextafter(high, np.inf), TEMPERATURE_BINS + 1)
    histograms = [np.histogram(k, bins=edges, density=True)[0] for k in kelvin]
    canonical = stats.gamma.cdf(edges, freedom / 2.0, scale=2.0 * target / freedom)
    return {
        "temperature/edges": edges,
        "temperature/canonical": np.diff(canonical) / np.diff(edges),
        **{f"temperature/{s}": h for s, h in zip(SIDES, histograms, strict=True)},
    }

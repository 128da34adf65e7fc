"""Motion in densely saved NVE windows: vibrational spectra, velocity memory, kinetic slope.

The vibrational density of states is the power spectrum of mass-weighted velocities (Welch, IEEE
Trans. Audio Electroacoust. 15, 70 (1967)). A candidate that steps k times farther than the
baseline cannot resolve the fast part of it: what lies above its Nyquist wavenumber is folded
back. The side with the finer steps is therefore thinned out to the grid of the other, so that
both fold alike and every shift still shows, be it of a folded band.

A window of constant energy keeps the energies of its modes, so that the weights of bands scatter
from window to window. Their centres do not: every window has one, and the means are compared.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy import signal, stats

from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.claims.checks import DYNAMICS, Measured
from kstep.referee.metrics import SIDES, Pair, SpectralPeak
from kstep.referee.statistics.estimates import Uncertain, difference, mean_of
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.motion import Motion

PS_WAVENUMBER = 33.35640951981521
"""Wavenumber of a frequency of 1/ps, 1/cm."""

SEGMENT_PS = 10.0
"""Length that a spectrum is made of: bins of 3.3 1/cm."""

COARSEST_BIN = 17.0
"""Wider bins (of windows shorter than 2 ps) cannot place a band, 1/cm."""

LOWEST_BAND = 100.0
"""Below are rotations and slow torsions, which no window can place, 1/cm."""

BAND_HALF_WIDTH = 33.0
"""Bands reach no farther from their peak: beyond, background would be weighed, 1/cm."""

PEAK_DISTANCE = 20.0
"""Between two peaks, at least, 1/cm."""

PROMINENCE = 0.05
"""Of a peak above its surroundings, over the height of the highest."""

MEMORY_PS = 2.0
"""Length of the velocity autocorrelation shown."""

SHARP = 0.25
"""Half an interval over the margin, at most, of a band needed to acquit: with many bands, one that
is just told apart would leave the faultless undecided too often."""

RESPONSE_WIDTH = 20.0
"""Frequencies of the kinetic energy taken together for one slope, 1/cm."""

NEGLIGIBLE_SLOPE = 1e-6
"""Slopes need not be known better."""

MIN_WINDOWS = 4
"""Windows of each side for the error of a band's centre or of a slope."""

MIN_FRAMES = 32
"""Frames of a window, or of SEGMENT_PS of it, for slopes by frequency."""

Curves = dict[str, np.ndarray]
Power = Float[np.ndarray, "_ bins"]


@dataclass(frozen=True)
class Band:
    """A band of a spectrum: the bin of its peak, and the bins it extends over."""

    peak: int
    extent: slice


def compare_spectra(
    config: EvalConfig, baseline: Motion, candidate: Motion, masses: Float[np.ndarray, " N"]
) -> tuple[float | None, float | None, list[SpectralPeak], Curves, list[Measured]]:
    """Bands of the baseline and how far the candidate shifts them.

    A band that the baseline's own windows cannot place much better than the margin may condemn,
    but is not needed to acquit. Few or short windows give spectra without bands; frames that are
    farther apart than windows are long give none.

    Curves: `spectrum/{wavenumber,baseline,candidate}` (1/cm, and normalised to unit area) and
    `vacf/{times,baseline,candidate}` (ps, and the mass-weighted velocity autocorrelation).

    Returns:
        Highest wavenumber resolved and width of a bin (1/cm), bands, curves, what is to be judged.

    Raises ArtifactError when the spacing of one side is no multiple of the other's.
    """
    sides = common_grid(baseline, candidate)
    spacing = sides[0].spacing
    frames = min(side.vel.shape[1] for side in sides)
    length = min(round(SEGMENT_PS / spacing), frames)
    if length < 2:
        return None, None, [], {}, []
    lags = min(round(MEMORY_PS / spacing) + 1, frames)
    analysed = [_analyse(side, masses, length, lags) for side in sides]
    powers = [power for power, _ in analysed]
    wavenumbers = np.fft.rfftfreq(length, spacing) * PS_WAVENUMBER
    densities = [power.mean(axis=0) / power.mean(axis=0).sum() for power in powers]
    peaks: list[SpectralPeak] = []
    measured: list[Measured] = []
    enough = min(len(power) for power in powers) >= MIN_WINDOWS
    for band in find_bands(wavenumbers, densities[0]) if enough else []:
        shift, needed = _shift(wavenumbers, powers, band, config.max_peak_shift)
        position = float(wavenumbers[band.peak])
        weights = [float(density[band.extent].sum()) for density in densities]
        peaks.append(
            SpectralPeak(
                position=position,
                shift=shift.estimate(),
                weight=Pair[float](baseline=weights[0], candidate=weights[1]),
                resolved=needed,
            )
        )
        measured.append(
            Measured(
                DYNAMICS, f"place of the band at {position:.0f} 1/cm", "1/cm", shift,
                config.max_peak_shift, needed, len(powers[1]) * sides[1].vel.shape[1] * spacing,
            )
        )  # fmt: skip
    curves = {"spectrum/wavenumber": wavenumbers, "vacf/times": spacing * np.arange(lags)}
    for name, density, (_, memory) in zip(SIDES, densities, analysed, strict=True):
        curves[f"spectrum/{name}"] = density / wavenumbers[1]
        curves[f"vacf/{name}"] = memory
    return PS_WAVENUMBER / (2.0 * spacing), float(wavenumbers[1]), peaks, curves, measured


def common_grid(baseline: Motion, candidate: Motion) -> tuple[Motion, Motion]:
    """Both at the coarser of their spacings; ArtifactError where it is no multiple of the finer."""
    ratio = candidate.spacing / baseline.spacing
    exact = max(ratio, 1.0 / ratio)
    stride = round(exact)
    if abs(exact - stride) > 1e-3:
        raise ArtifactError(
            f"the densely saved windows of {candidate.record.get('molecule', 'the candidate')} "
            f"have frames every {candidate.spacing:g} ps and the baseline's every "
            f"{baseline.spacing:g} ps, and neither is a multiple of the other: save the "
            "candidate's at a whole number of base steps."
        )
    if ratio > 1.0:
        return baseline.every(stride), candidate
    return baseline, candidate.every(stride)


def kinetic_slopes(baseline: Motion, candidate: Motion) -> tuple[Uncertain, Uncertain] | None:
    """Change of the total energy per change of the kinetic, of both sides; None if unsure.

    Velocities a factor 1 + ε too large give 2 ε more than the right ones, those of half a step
    before or after much more. Velocity Verlet itself gives -(ω dt)²/4 for a vibration ω, so that
    the energies which modes happen to have would decide the slope of a window. It is therefore
    found for each frequency of the kinetic energy on its own, where one mode is the same as in
    any other window, and averaged with weights common to both sides: the inverse of its scatter
    between windows.

    Raises ArtifactError when the spacing of one side is no multiple of the other's.
    """
    sides = common_grid(baseline, candidate)
    frames = min(side.vel.shape[1] for side in sides)
    enough = min(len(side.vel) for side in sides) >= MIN_WINDOWS
    if not enough or min(frames, SEGMENT_PS / sides[0].spacing) < MIN_FRAMES:
        return None
    responses = [_energy_response(side, frames) for side in sides]
    scatter = sum(response.var(axis=0, ddof=1) for response in responses)
    weights = 1.0 / np.maximum(scatter, NEGLIGIBLE_SLOPE**2)
    first, second = (mean_of(response @ weights / weights.sum()) for response in responses)
    return first, second


def find_bands(
    wavenumbers: Float[np.ndarray, " bins"], density: Float[np.ndarray, " bins"]
) -> list[Band]:
    """Bands from peak to peak, parted at the valleys; none where bins are too coarse."""
    resolution = float(wavenumbers[1])
    judged = wavenumbers >= LOWEST_BAND
    if resolution > COARSEST_BIN or not judged.any():
        return []
    peaks, _ = signal.find_peaks(
        density,
        prominence=PROMINENCE * density[judged].max(),
        distance=max(1, round(PEAK_DISTANCE / resolution)),
    )
    reach = max(1, round(BAND_HALF_WIDTH / resolution))
    valleys = [
        int(first + density[first:second].argmin()) for first, second in pairwise(peaks.tolist())
    ]
    bands = [
        Band(int(peak), slice(max(start, peak - reach), min(end, peak + reach) + 1))
        for start, peak, end in zip(
            [0, *valleys], peaks.tolist(), [*valleys, len(density) - 1], strict=False
        )
    ]
    return [band for band in bands if judged[band.peak]]


def _shift(
    wavenumbers: Float[np.ndarray, " bins"], powers: list[Power], band: Band, margin: float
) -> tuple[Uncertain, bool]:
    """Difference of a band's mean centres, and whether the baseline places it sharply enough."""
    where = wavenumbers[band.extent]
    centres = [
        mean_of(power[:, band.extent] @ where / power[:, band.extent].sum(axis=1))
        for power in powers
    ]
    half_interval = float(stats.norm.ppf(0.95)) * 2.0**0.5 * centres[0].error
    return difference(centres[1], centres[0]), half_interval < SHARP * margin


def _energy_response(motion: Motion, frames: int) -> Float[np.ndarray, "W groups"]:
    """Regression of the total on the kinetic energy in every window, by frequency."""
    kinetic = motion.ekin.astype(np.float64)
    total = kinetic + motion.epot.astype(np.float64)
    length = min(round(SEGMENT_PS / motion.spacing), frames)
    _, power = signal.welch(kinetic, nperseg=length, axis=1)
    _, common = signal.csd(kinetic, total, nperseg=length, axis=1)
    bin_width = PS_WAVENUMBER / (length * motion.spacing)
    starts = np.arange(0, power.shape[1], max(1, round(RESPONSE_WIDTH / bin_width)))
    grouped = [np.add.reduceat(values, starts, axis=1) for values in (common.real, power)]
    # The first group holds slow drifts, the last may be a single bin.
    return np.asarray((grouped[0] / grouped[1])[:, 1:-1])


def _analyse(
    motion: Motion, masses: Float[np.ndarray, " N"], length: int, lags: int
) -> tuple[Power, Float[np.ndarray, " lags"]]:
    """Spectrum of every window, and the autocorrelation of all."""
    frames = motion.vel.shape[1]
    power = []
    memory = np.zeros(lags)
    for window in motion.vel:
        relative = remove_centre_of_mass(window.astype(np.float64), masses)
        weighted = (relative * np.sqrt(masses)[:, None]).reshape(frames, -1)
        power.append(signal.welch(weighted, nperseg=length, axis=0)[1].sum(axis=1))
        # Padded, so that the end of a window does not meet its start.
        transformed = np.fft.rfft(weighted, n=2 * frames, axis=0)
        correlation = np.fft.irfft((np.abs(transformed) ** 2).sum(axis=1))[:lags]
        memory += correlation / (frames - np.arange(lags))
    return np.array(power), memory / memory[0]

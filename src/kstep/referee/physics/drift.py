"""Whether the total energy of NVE windows stays: typically, on the whole, and in each of them.

| check | what it sees |
|---|---|
| typical size, a geometric mean | what most windows do, however their drifts scatter |
| mean with its sign | a drift of one sign, which adds up where scatter cancels |
| largest | one window that the scatter of the others does not explain |
| largest change | a window that explodes, be there only one |

The first two must be known to acquit. The third can only condemn, the last is exact.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import stats

from kstep.config import EvalConfig
from kstep.referee.claims.checks import ENERGY, REJECTION_LEVEL, Measured
from kstep.referee.metrics import WindowDrift
from kstep.referee.statistics.estimates import UNKNOWN, Uncertain, mean_of, typical_size
from kstep.units import BOLTZMANN

MIN_WINDOWS = 4
"""NVE windows of each side below which their drifts mean nothing."""

MEDIAN_OF_NORMAL = 0.6745
"""Median size of a normal deviate, in standard deviations."""

UNIT = "kJ/mol/ps per atom"


def drift_size(windows: Sequence[WindowDrift]) -> Uncertain | None:
    """Typical size of the drift, kJ/mol/ps per atom; None from too few windows."""
    return typical_size(_drifts(windows)) if len(windows) >= MIN_WINDOWS else None


def mean_drift(windows: Sequence[WindowDrift]) -> Uncertain | None:
    """Mean of the drift with its sign, kJ/mol/ps per atom; None from too few windows."""
    return mean_of(_drifts(windows)) if len(windows) >= MIN_WINDOWS else None


def largest_drift(windows: Sequence[WindowDrift]) -> Uncertain | None:
    """Largest size of a drift, kJ/mol/ps per atom; None from too few windows.

    Its error is the scatter of all others, found from their median, which no second runaway can
    stretch, and widened because the largest of many lies farther out than any one of them.
    """
    if len(windows) < MIN_WINDOWS:
        return None
    sizes = np.sort(np.abs(_drifts(windows)))
    freedom = float(len(sizes) - 2)
    levels = np.array([REJECTION_LEVEL / len(sizes), REJECTION_LEVEL])
    one_of_many, one = stats.t.isf(levels, freedom)
    scatter = float(np.median(sizes[:-1])) / MEDIAN_OF_NORMAL
    return Uncertain(float(sizes[-1]), scatter * float(one_of_many / one), freedom)


def judge_drift(
    config: EvalConfig,
    windows: Sequence[WindowDrift],
    n_atoms: int,
    degrees_of_freedom: int,
    temperature: float,
) -> list[Measured]:
    """The drift of all windows, to be judged.

    Args:
        config: margins.
        windows: of the candidate.
        n_atoms: of the molecule.
        degrees_of_freedom: of its velocities, centre of mass at rest.
        temperature: of the ensemble that the windows started from, K.
    """
    simulated = sum((window.length_ps for window in windows), 0.0)
    size, mean = drift_size(windows) or UNKNOWN, mean_drift(windows) or UNKNOWN
    label = "typical size of the drift in NVE"
    found = [Measured(ENERGY, label, UNIT, size, config.max_drift, True, simulated)]
    label = "mean drift in NVE"
    found.append(Measured(ENERGY, label, UNIT, mean, config.max_mean_drift, True, simulated))
    if (largest := largest_drift(windows)) is not None:
        label = "largest drift of one window in NVE"
        found.append(Measured(ENERGY, label, UNIT, largest, config.max_drift, False))
    if windows:
        thermal = degrees_of_freedom**0.5 * BOLTZMANN * temperature
        heating = config.max_drift * n_atoms
        changes = [(w.excursion, thermal + heating * w.length_ps) for w in windows]
        change, allowed = max(changes, key=lambda pair: pair[0] / pair[1])
        label = "largest change of the total energy in one window in NVE"
        exact = Uncertain(change, 0.0, 1.0)
        found.append(Measured(ENERGY, label, "kJ/mol", exact, allowed))
    return found


def _drifts(windows: Sequence[WindowDrift]) -> Float[np.ndarray, " W"]:
    return np.array([window.drift for window in windows])

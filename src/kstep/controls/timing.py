"""What a control costs: its own integrator, timed on every platform that works here."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm
from jaxtyping import Float

from kstep.artifacts import Record
from kstep.errors import DeviceError
from kstep.md.platforms import CLEARLY_FASTER, available_platforms, make_context
from kstep.units import PS_PER_NS, SECONDS_PER_DAY

_BATCH_STEPS = 50
_TIMING_S = 0.1


@dataclass(frozen=True)
class Cost:
    """Time per step of one integrator.

    Attributes:
        seconds: {platform: s per step}, of the platforms that work here.
    """

    seconds: dict[str, float]

    def platform(self, requested: str) -> str:
        """The platform to run on: the requested one, or for "auto" the fastest.

        As in `kstep.md.platforms`, another must be clearly faster than Reference: a moment's load
        must not decide the last digits of a result.
        """
        if requested != "auto":
            return requested
        fastest = min(self.seconds, key=self.seconds.__getitem__)
        limit = CLEARLY_FASTER * self.seconds.get("Reference", float("inf"))
        return "Reference" if limit < self.seconds[fastest] else fastest

    def as_json(self, platform: str, dt_ps: float) -> Record:
        """What `<name>.timing.json` holds; the cost is that of the fastest platform."""
        seconds_per_ps = min(self.seconds.values()) / dt_ps
        return {
            "platform": platform,
            "us_per_step": {name: round(1e6 * value, 2) for name, value in self.seconds.items()},
            "s_per_ps": seconds_per_ps,
            "ns_per_day": SECONDS_PER_DAY / seconds_per_ps / PS_PER_NS,
        }


def time_integrator(
    system: openmm.System,
    make: Callable[[], openmm.Integrator],
    positions: Float[np.ndarray, "N 3"],
) -> Cost:
    """Time an integrator on each platform, from a minimum-energy conformer (nm)."""
    seconds: dict[str, float] = {}
    for platform in available_platforms():
        try:
            context = make_context(system, make(), platform)
        except DeviceError:  # built in, but its hardware is not there
            continue
        context.setPositions(positions)
        context.setVelocitiesToTemperature(300.0, 1)
        seconds[platform] = _seconds_per_step(context.getIntegrator())
    return Cost(seconds)


def _seconds_per_step(integrator: openmm.Integrator) -> float:
    integrator.step(_BATCH_STEPS)
    best, deadline = float("inf"), time.perf_counter() + _TIMING_S
    while time.perf_counter() < deadline or best == float("inf"):
        start = time.perf_counter()
        integrator.step(_BATCH_STEPS)
        best = min(best, (time.perf_counter() - start) / _BATCH_STEPS)
    return best

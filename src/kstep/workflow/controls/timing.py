"""What a control costs: its own integrator, timed on every platform that works here."""

from dataclasses import dataclass

from kstep.artifacts import Record
from kstep.integrators.platforms import preferred
from kstep.units import PS_PER_NS, SECONDS_PER_DAY


@dataclass(frozen=True)
class Cost:
    """Time per step of one integrator.

    Attributes:
        seconds: {platform: s per step}, of the platforms that work here.
    """

    seconds: dict[str, float]

    def platform(self, requested: str) -> str:
        """The platform to run on: the requested one, or for "auto" the preferred one."""
        return preferred(self.seconds) if requested == "auto" else requested

    def as_json(self, platform: str, dt_ps: float) -> Record:
        """What `<name>.timing.json` holds; the cost is that of the fastest platform."""
        seconds_per_ps = min(self.seconds.values()) / dt_ps
        return {
            "platform": platform,
            "us_per_step": {name: round(1e6 * value, 2) for name, value in self.seconds.items()},
            "s_per_ps": seconds_per_ps,
            "ns_per_day": SECONDS_PER_DAY / seconds_per_ps / PS_PER_NS,
        }

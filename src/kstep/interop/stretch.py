"""What every reader of trajectory files makes of one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Stretch:
    """Consecutive frames as a file holds them.

    Attributes:
        pos: nm [T, N, 3].
        vel: nm/ps [T, N, 3], None where there are none.
        times: ps [T], None where the file does not say.
        spacing: time between frames, ps, of a file that says this in place of times.
        clock: how the file says it, for sentences; empty where there is nothing to explain.
        error: of a coordinate, at most, by the numbers that the file holds, nm.
        numbers: atomic numbers [N], None where the file does not say.
        masses: Da [N], None where the file does not say.
    """

    pos: Float[np.ndarray, "T N 3"]
    vel: Float[np.ndarray, "T N 3"] | None
    times: Float[np.ndarray, " T"] | None
    spacing: float | None = None
    clock: str = ""
    error: float = 0.0
    numbers: Int[np.ndarray, " N"] | None = None
    masses: Float[np.ndarray, " N"] | None = None

    def only(self, kept: Bool[np.ndarray, " T"]) -> "Stretch":
        """The same without the other frames."""
        return Stretch(
            self.pos[kept],
            None if self.vel is None else self.vel[kept],
            None if self.times is None else self.times[kept],
            self.spacing,
            self.clock,
            self.error,
            self.numbers,
            self.masses,
        )

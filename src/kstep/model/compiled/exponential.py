"""Exponentials of a whole row at once.

The C library's takes one number at a time, which is most of what a row of Gaussians costs.
"""

import math
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from kstep.model.compiled.machine import compiled

LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH = 0.693145751953125
"""ln 2 to 17 bits, so that its multiples are exact; the rest follows."""
LN2_LOW = 1.42860682030941723212e-6
LOWEST, HIGHEST = -700.0, 700.0
"""Beyond these the result would not be a normal number; it is that of the bound."""
TO_INTEGER = 1.5 * 2.0**52
"""Added to a small whole number it leaves it in the lowest bits."""
EXPONENT_BIAS, EXPONENT_BITS = 1023, 52
COEFFICIENTS = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))


@compiled
@no_type_check
def exponentiate(values: Float[np.ndarray, " n"], room: Float[np.ndarray, " n"]) -> None:
    """Replace every value by its exponential, to a few 1e-16 of it; `room` is overwritten.

    eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2, eʳ by its series and 2ⁿ by its bits.
    """
    for p in range(len(values)):
        x = min(max(values[p], LOWEST), HIGHEST)
        whole = np.floor(x * LOG2_E + 0.5)
        rest = (x - whole * LN2_HIGH) - whole * LN2_LOW
        series = COEFFICIENTS[0]
        for n in range(1, 14):
            series = series * rest + COEFFICIENTS[n]
        values[p] = series
        room[p] = whole + TO_INTEGER
    bits = room.view(np.int64)
    for p in range(len(bits)):
        bits[p] = (bits[p] + EXPONENT_BIAS) << EXPONENT_BITS
    for p in range(len(values)):
        values[p] *= room[p]

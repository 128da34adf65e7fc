"""How exactly a file holds coordinates: by its format, and where in space the atoms are.

Single precision has 24 bits: 1e-7 nm for a molecule at the origin, 4e-6 nm for one that diffused
100 nm away from it. XTC keeps 0.001 nm, a PDB file 0.0001 nm.
"""

import numpy as np
from jaxtyping import Float, Shaped

COARSEST_NM = 1e-3
"""Largest error of a coordinate: two such ends make bonds, which are some 0.003 nm wide, 4 % wider,
and that is all a width may be off."""

NOTABLE_NM = 5e-5
"""Errors from which on energies of the frames are no longer those of the run."""

_SINGLE_PRECISION_NM = 2e-6
"""Error of coordinates up to 10 nm, single precision."""

_FEW = 100
"""Frames that tell at once, most times, what all would: copies of long files are large."""


def number_error(numbers: Shaped[np.ndarray, "..."], unit_nm: float) -> float:
    """Half the distance between the largest number and the next that its type can hold, nm.

    Numbers that single precision holds exactly are taken for single precision: whoever converts
    a file to double precision adds digits and no knowledge.

    Args:
        numbers: coordinates as a file has them, of any floating type.
        unit_nm: their unit.
    """
    if not numbers.size:
        return 0.0
    largest = max(numbers.max(), -numbers.min())
    if not np.isfinite(largest):
        return 0.0
    single = numbers.dtype == np.float32 or all(
        np.array_equal(part, part.astype(np.float32)) for part in (numbers[:_FEW], numbers)
    )
    kind = np.float32 if single else np.float64
    return float(np.spacing(kind(largest))) * unit_nm / 2.0


def decimal_error(pos: Float[np.ndarray, "T N 3"], held: float) -> float:
    """Half the decimal to which all coordinates are rounded, nm; 0 where they are not.

    Args:
        pos: nm.
        held: `number_error` of the same coordinates.
    """
    tolerance = max(_SINGLE_PRECISION_NM, 2.0 * held)
    for decimals in (1, 2, 3, 4):
        decimal = 10.0**-decimals
        if tolerance < decimal / 8.0 and all(
            np.allclose(part, part.round(decimals), rtol=0, atol=tolerance)
            for part in (pos[:_FEW], pos)
        ):
            return decimal / 2.0
    return 0.0

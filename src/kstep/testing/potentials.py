"""What is wrong with a potential, for whoever writes one.

```python
kstep.testing.check_potential(MyPotential(...), molecule)
```
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kstep.errors import PotentialError
from kstep.potentials.checks import (
    NOISE,
    TOLERANCE,
    Probe,
    forces_are_the_slope,
    nothing_pushes_the_whole,
    notices_motion,
    probe,
    repeats_itself,
)
from kstep.protocols import Identity, Method, Potential, Replicas, bound
from kstep.system.molecule import Molecule

INVARIANCE = 0.25
"""kJ/mol, of the energy of a molecule that is moved and turned: a tenth of kT, which is what the
grids of functionals and implicit solvents (ALPB: 0.06 for phenol) leave."""

_UNKNOWN = "not loaded yet"


def check_potential(potential: Potential | Method, molecule: Molecule, rng_seed: int = 0) -> None:
    """Examine a potential, or what a method makes of a molecule, with some 30 evaluations.

    Its shapes and precision; NaN where there is no energy; replicas that have nothing to do with
    each other; forces that are −∂U/∂x; no net force or torque; the same numbers however the
    molecule lies in space and whenever it is asked; an identity that is JSON and lasts; and that
    nothing in the process is changed.

    Args:
        potential: what is examined.
        molecule: at positions where there is an energy, best near a minimum.
        rng_seed: of displacements, directions and the rotation.

    Raises PotentialError: one sentence with the first thing that is wrong.
    """
    label = f"the potential of {molecule.name}"
    with _nothing_changed(label):
        examined = probe(bound(potential, molecule), molecule, label, rng_seed)
        identity = _identity(examined)
        _gives_arrays(examined)
        notices_motion(examined)
        _says_nan(examined)
        _keeps_replicas_apart(examined)
        repeats_itself(examined)
        forces_are_the_slope(examined)
        nothing_pushes_the_whole(examined)
        _is_the_same_everywhere(examined, rng_seed)
        if _identity(examined) != identity:
            raise examined.fault(
                "has another identity after some evaluations: leave out what changes, so that two "
                "potentials of one identity give the same numbers"
            )


def _identity(examined: Probe) -> str:
    identity: Identity = examined.potential.identity
    try:
        return json.dumps(dict(identity), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise examined.fault(
            f"has an identity that is no JSON ({error}): make it of strings, finite numbers, lists "
            "and mappings"
        ) from None


def _gives_arrays(examined: Probe) -> None:
    x = np.stack([examined.x, examined.other])
    found = _evaluated(examined, x)
    for what, shape in (("energies", x.shape[:1]), ("forces", x.shape)):
        array: Any = getattr(found, what, None)
        given = getattr(array, "shape", None)
        if given != shape:
            raise examined.fault(
                f"gives {what} of shape {given} for positions of shape {x.shape}: return an array "
                f"of shape {shape}"
            )
        if array.dtype != np.float64:
            raise examined.fault(
                f"gives {what} as {array.dtype}, which is too coarse for a Metropolis test: "
                "compute and return float64"
            )


def _evaluated(examined: Probe, x: Replicas) -> Any:
    """What it finds at x, which it leaves as it was: an Evaluation, if its author has it right."""
    given = x.copy()
    found = examined.potential.evaluate(given)
    if not np.array_equal(given, x, equal_nan=True):
        raise examined.fault("writes into the positions that it is given: work on a copy")
    return found


def _says_nan(examined: Probe) -> None:
    """A replica without an energy is NaN, and costs the others nothing."""
    x = np.stack([examined.x, np.full_like(examined.x, np.nan), examined.other])
    try:
        found = _evaluated(examined, x)
    except PotentialError:
        raise
    except Exception as error:
        raise examined.fault(
            f"raises {type(error).__name__} where a replica has no energy: return NaN for it, and "
            "go on with the others"
        ) from None
    if found.found.tolist() != [True, False, True]:
        raise examined.fault(
            f"finds energies of replicas {np.flatnonzero(found.found).tolist()} where positions "
            "of 0 and 2 are finite and those of 1 are NaN: return NaN where there is none, and "
            "there alone"
        )


def _keeps_replicas_apart(examined: Probe) -> None:
    """What is found for a replica depends on neither the others nor their order."""
    x = np.stack([examined.x, examined.other, 0.5 * (examined.x + examined.other)])
    together, turned = _evaluated(examined, x), _evaluated(examined, x[::-1])
    alone = [examined.at(geometry) for geometry in x]
    for replica, (energy, forces) in enumerate(alone):
        mirror = len(x) - 1 - replica
        for found, place in ((together, replica), (turned, mirror)):
            change = found.forces[place] - forces
            allowed = TOLERANCE * np.linalg.norm(forces) + 1.0
            if abs(found.energies[place] - energy) > NOISE or np.linalg.norm(change) > allowed:
                raise examined.fault(
                    "gives a replica other numbers beside others, or in another order, than alone: "
                    "compute each from its own positions"
                )


def _is_the_same_everywhere(examined: Probe, seed: int) -> None:
    energy, forces = examined.at(examined.x)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)  # a rotation, no reflection
    for what, matrix, shift in (("moved", np.eye(3), 0.7), ("turned", turn, 0.0)):
        other, others = examined.at(examined.x @ matrix.T + shift)
        change = np.linalg.norm(others - forces @ matrix.T)
        if abs(other - energy) > INVARIANCE or change > TOLERANCE * np.linalg.norm(forces) + 1.0:
            raise examined.fault(
                f"gives a molecule that is {what} as a whole another energy (by "
                f"{other - energy:.3g} kJ/mol) or forces that did not go along: compute in "
                "float64, from distances between atoms"
            )


@contextmanager
def _nothing_changed(label: str) -> Iterator[None]:
    before = _process()
    yield
    for what, value in _process().items():
        if before[what] not in (value, _UNKNOWN):
            raise PotentialError(
                f"{label} changes {what} of the whole process: set it back after every call."
            )


def _process() -> dict[str, object]:
    torch = sys.modules.get("torch")
    return {
        "the environment variables": dict(os.environ),
        "NumPy's error state": np.geterr(),
        "the working directory": str(Path.cwd()),
        "NumPy's random numbers": repr(np.random.get_state()),  # noqa: NPY002
        "torch's default dtype": str(torch.get_default_dtype()) if torch else "torch.float32",
        "torch's number of threads": torch.get_num_threads() if torch else _UNKNOWN,
    }

"""What is wrong with a surrogate, for whoever writes one.

```python
kstep.testing.check_surrogate(MySurrogate(...), molecule, labels)
```
"""

import numpy as np

from kstep.errors import PotentialError
from kstep.integrators.verlet import Constraints, ForceMover, mover_of
from kstep.protocols import Labels, Surrogate
from kstep.system.molecule import Molecule
from kstep.testing.potentials import check_potential

STEPS, STEP_PS = 10, 2e-4
"""Of the paths that a surrogate's own mover is held against: so short that both agree."""

AGREEMENT_NM = 1e-6
REVERSAL_NM = 1e-7
TEMPERATURE = 300.0


def check_surrogate(
    surrogate: Surrogate, molecule: Molecule, labels: Labels, rng_seed: int = 0
) -> None:
    """Examine a surrogate as a potential, then how it learns and how it moves a molecule.

    A fit leaves the surrogate as it was, gives one with another identity and, on the labels
    themselves, errs no more than before. Where the surrogate moves replicas itself (`verlet`,
    `energies`), it does so as by its forces, reversibly, and by the same energies.

    Args:
        surrogate: what is examined.
        molecule: that it stands for, near a minimum.
        labels: at least two, to learn from.
        rng_seed: of displacements, directions and velocities.

    Raises PotentialError: one sentence with the first thing that is wrong.
    """
    label = f"the surrogate of {molecule.name}"
    check_potential(surrogate, molecule, rng_seed)
    _learns(surrogate, labels, label)
    _moves(surrogate, molecule, label, rng_seed)


def _learns(surrogate: Surrogate, labels: Labels, label: str) -> None:
    before, error = dict(surrogate.identity), _error(surrogate, labels)
    learned = surrogate.fit(labels)
    if dict(surrogate.identity) != before or _error(surrogate, labels) != error:
        raise PotentialError(f"{label} changes when it is fitted: return a new one from fit.")
    if dict(learned.identity) == before:
        raise PotentialError(
            f"{label} has the same identity after it has learned: put what it learned from, or a "
            "hash of its parameters, into it."
        )
    after = _error(learned, labels)
    if not after <= error * (1.0 + 1e-9):
        raise PotentialError(
            f"{label} errs more after a fit on the very labels (forces by {after:.3g} kJ/mol/nm, "
            f"before {error:.3g}): correct fit."
        )


def _error(surrogate: Surrogate, labels: Labels) -> float:
    """Root mean square error of its forces, kJ/mol/nm."""
    return float(np.sqrt(((surrogate.evaluate(labels.x).forces - labels.forces) ** 2).mean()))


def _moves(surrogate: Surrogate, molecule: Molecule, label: str, seed: int) -> None:
    constraints = Constraints(molecule)
    own = mover_of(surrogate, molecule, constraints)
    plain = ForceMover(surrogate, molecule, constraints)
    x = np.tile(molecule.positions, (3, 1, 1))
    x, _ = constraints.drift(x, np.zeros_like(x), STEP_PS)
    rng = np.random.default_rng(seed)
    v = constraints.thermal_velocities(x, np.full(len(x), TEMPERATURE), rng)
    there, moving = own.verlet(x, v, STEPS, STEP_PS)
    expected, _ = plain.verlet(x, v, STEPS, STEP_PS)
    if np.abs(there - expected).max() > AGREEMENT_NM:
        raise PotentialError(
            f"{label} moves the molecule otherwise than by its forces (by up to "
            f"{np.abs(there - expected).max():.3g} nm after {STEPS} steps): correct verlet."
        )
    back, _ = own.verlet(there, -moving, STEPS, STEP_PS)
    if np.abs(back - x).max() > REVERSAL_NM:
        raise PotentialError(
            f"{label} does not come back when velocities are turned round: verlet must be "
            "reversible, or what it samples is wrong."
        )
    if not np.allclose(own.energies(x), surrogate.evaluate(x).energies, rtol=0.0, atol=1e-6):
        raise PotentialError(
            f"{label} gives other energies by `energies` than by `evaluate`: make them the same."
        )

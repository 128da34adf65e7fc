"""Local minima, by a way that every potential can go."""

from collections.abc import Callable

import numpy as np
import openmm
from jaxtyping import Float

from kstep.potentials.python_force import has_python_force, stopped
from kstep.potentials.single_point import Atoms, SinglePoint

FORCE_TOLERANCE = 1.0
"""kJ/mol/nm: what is left of a force at a minimum."""

_STEP_NM = 0.01
"""Unit of length of the search: its first step is one unit long."""

_ENERGY_TOLERANCE = 1e-8
"""kJ/mol that an iteration must gain, in parts of what has been gained and at least of 1."""

_ITERATIONS = 2000
_STIFFNESS = 1e6
"""kJ/mol/nm², of springs that hold constrained lengths: some three times that of a C-H bond."""

_WALL = 1e6
"""kJ/mol, where there is no energy: the search turns back."""

_CONSTRAINT_TOLERANCE = 1e-8


def minimise(context: openmm.Context) -> None:
    """Move a Context to the local minimum under its positions, constrained lengths kept.

    OpenMM's own minimiser where OpenMM computes the forces. It begins with a step of 1 nm, too far
    for an SCF to converge, so for Python forces `relax` does it, with springs in place of the
    constraints.
    """
    if not has_python_force(context.getSystem()):
        openmm.LocalEnergyMinimizer.minimize(context, FORCE_TOLERANCE)
        return
    pairs, lengths = _constraints(context.getSystem())

    def with_springs(x: Atoms) -> SinglePoint:
        context.setPositions(x)
        try:
            state = context.getState(energy=True, forces=True)
        except openmm.OpenMMException as error:
            raise stopped(error, error) from None
        energy, forces = state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value
        arms = x[pairs[:, 0]] - x[pairs[:, 1]]
        distances = np.linalg.norm(arms, axis=1)
        excess = distances - lengths
        pull = (_STIFFNESS * excess / distances)[:, None] * arms
        forces = np.array(forces)
        np.add.at(forces, pairs[:, 0], -pull)
        np.add.at(forces, pairs[:, 1], pull)
        return float(energy + 0.5 * _STIFFNESS * (excess**2).sum()), forces

    start = np.array(context.getState(positions=True).getPositions(asNumpy=True)._value)
    context.setPositions(relax(with_springs, start))
    context.applyConstraints(_CONSTRAINT_TOLERANCE)


def relax(potential: Callable[[Atoms], SinglePoint], x: Atoms) -> Atoms:
    """The local minimum of a potential (kJ/mol, kJ/mol/nm) under x, nm, without constraints.

    L-BFGS-B: Byrd, Lu, Nocedal & Zhu, SIAM J. Sci. Comput. 16, 1190 (1995).
    """
    from scipy.optimize import minimize

    zero, _ = potential(x)

    def in_steps(y: Float[np.ndarray, " D"]) -> tuple[float, Float[np.ndarray, " D"]]:
        energy, forces = potential((y * _STEP_NM).reshape(x.shape))
        if not np.isfinite(energy):
            return _WALL, np.zeros_like(y)
        return energy - zero, -(forces * _STEP_NM).ravel()

    found = minimize(
        in_steps,
        (x / _STEP_NM).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": _ITERATIONS,
            "maxfun": 2 * _ITERATIONS,
            "gtol": FORCE_TOLERANCE * _STEP_NM,
            "ftol": _ENERGY_TOLERANCE,
        },
    )
    return np.asarray((found.x * _STEP_NM).reshape(x.shape))


def _constraints(
    system: openmm.System,
) -> tuple[np.ndarray, Float[np.ndarray, " C"]]:
    found = [system.getConstraintParameters(index) for index in range(system.getNumConstraints())]
    pairs = np.array([[first, second] for first, second, _ in found], dtype=np.int64)
    return pairs.reshape(-1, 2), np.array([float(length._value) for _, _, length in found])

"""The learned potential of one molecule as a kernel, and a splitting's jump by it."""

import numpy as np
from jaxtyping import Float, Int

from kstep.compiled.propagation import Composition, Kernel
from kstep.compiled.rigid import rigid_tables
from kstep.protocols import Replicas
from kstep.surrogates.force_field_like.kernel.force import potential_tables
from kstep.surrogates.force_field_like.kernel.nonbonded import make_nonbonded_scratch
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.system.force_field import Terms


def make_kernel(
    learned: LearnedPotential,
    numbers: Int[np.ndarray, " N"],
    masses: Float[np.ndarray, " N"],
    terms: Terms,
) -> Kernel:
    """The potential of the molecule of these atoms and terms; its coefficients are float64."""
    rigid = terms.bond_constants[:, 0] == 0
    tables = potential_tables(learned, numbers, terms)
    return Kernel(
        tables,
        make_nonbonded_scratch(tables.nonbonded),
        rigid_tables(terms.bonds[rigid], terms.bond_constants[rigid, 1], masses),
    )


class CompiledJump:
    """(x, v, F) → (x', v') before the true half of the closing kick, for replicas of a molecule.

    Args:
        learned: the potential whose force makes the kicks.
        composition: of the jump.
        numbers: atomic numbers [N].
        masses: Da [N].
        terms: of the molecule's force field.
    """

    def __init__(
        self,
        learned: LearnedPotential,
        composition: Composition,
        numbers: Int[np.ndarray, " N"],
        masses: Float[np.ndarray, " N"],
        terms: Terms,
    ) -> None:
        self._kernel = make_kernel(learned, numbers, masses, terms)
        self._composition = composition

    def __call__(self, x: Replicas, v: Replicas, f: Replicas) -> tuple[Replicas, Replicas]:
        """nm, nm/ps and kJ/mol/nm."""
        return self._kernel.propagate(x, v, f, self._composition)

    def force(self, x: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """The learned force at x, nm; kJ/mol/nm."""
        return np.asarray(self._kernel.evaluate(x[None]).forces[0])

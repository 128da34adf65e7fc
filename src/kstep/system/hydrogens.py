"""Hydrogen mass repartitioning: slower hydrogens, so that a longer time step is stable.

Hopkins, Le Grand, Walker & Roitberg, J. Chem. Theory Comput. 11, 1864 (2015). Masses change no
average over positions, only how fast they are explored.
"""

from collections.abc import Iterable, Sequence

import openmm
from openmm import unit

from kstep.errors import MoleculeError


def repartition(
    system: openmm.System,
    name: str,
    numbers: Sequence[int],
    bonds: Iterable[Sequence[int]],
    hydrogen_mass: float,
) -> None:
    """Give every bonded hydrogen `hydrogen_mass` (Da), taken from its heavy atom, in place.

    The total mass stays, as with `hydrogenMass` of `openmm.app`.

    Args:
        system: whose masses they are.
        name: of the molecule, for the message.
        numbers: atomic numbers.
        bonds: pairs of atoms.
        hydrogen_mass: Da.

    Raises MoleculeError when a heavy atom has not that much to give: it stays the heavier one.
    """
    for first, second in bonds:
        if (numbers[first] == 1) == (numbers[second] == 1):
            continue
        hydrogen, heavy = (first, second) if numbers[first] == 1 else (second, first)
        transfer = hydrogen_mass - _mass(system, hydrogen)
        left = _mass(system, heavy) - transfer
        if left < hydrogen_mass:
            raise MoleculeError(
                f"{name}: atom {heavy} is too light to give its hydrogens {hydrogen_mass:g} Da: "
                "choose a smaller prep.hydrogen_mass, or other controls.integrators."
            )
        system.setParticleMass(hydrogen, hydrogen_mass)
        system.setParticleMass(heavy, left)


def _mass(system: openmm.System, atom: int) -> float:
    return float(system.getParticleMass(atom).value_in_unit(unit.dalton))

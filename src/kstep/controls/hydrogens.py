"""Hydrogen mass repartitioning: slower hydrogens, so that a longer time step is stable.

Hopkins, Le Grand, Walker & Roitberg, J. Chem. Theory Comput. 11, 1864 (2015). Masses change no
average over positions, only how fast they are explored.
"""

import openmm
from openmm import unit

from kstep.errors import MoleculeError
from kstep.molecule import Molecule


def repartition(system: openmm.System, molecule: Molecule, hydrogen_mass: float) -> None:
    """Give every bonded hydrogen `hydrogen_mass` (Da), taken from its heavy atom, in place.

    The total mass stays, as with `hydrogenMass` of `openmm.app`.

    Raises MoleculeError when a heavy atom has not that much to give.
    """
    for first, second in molecule.bonds.tolist():
        numbers = molecule.numbers[first], molecule.numbers[second]
        if (numbers[0] == 1) == (numbers[1] == 1):
            continue
        hydrogen, heavy = (first, second) if numbers[0] == 1 else (second, first)
        transfer = hydrogen_mass - _mass(system, hydrogen)
        left = _mass(system, heavy) - transfer
        if left <= 0:
            raise MoleculeError(
                f"{molecule.name}: atom {heavy} is too light to give its hydrogens "
                f"{hydrogen_mass:g} Da: leave hmr_{hydrogen_mass:g} out of controls.integrators."
            )
        system.setParticleMass(hydrogen, hydrogen_mass)
        system.setParticleMass(heavy, left)


def _mass(system: openmm.System, atom: int) -> float:
    return float(system.getParticleMass(atom).value_in_unit(unit.dalton))

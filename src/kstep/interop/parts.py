"""What was simulated: the topology and the OpenMM System, held against each other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import openmm
from jaxtyping import Float, Int

from kstep.errors import ArtifactError
from kstep.interop.topology import Atoms, read_topology

_LONGEST_BOND = {True: 0.16, False: 0.22}
"""nm, with a hydrogen and without: longer terms hold an angle (Urey-Bradley, rigid angles)."""

_OPAQUE = ("PythonForce", "CustomCVForce", "ATMForce", "CustomManyParticleForce", "Force")
"""Forces that may hold bonds where nobody sees them; the last is what a plugin's are called."""

_MASS_TOLERANCE = 0.1
"""Da, of a heavy atom with its hydrogens: tables of atomic weights differ by less."""


@dataclass(frozen=True, eq=False)
class Parts:
    """One molecule and the forces on it.

    Attributes:
        numbers: atomic numbers [N].
        names: of the atoms.
        masses: those of the System, Da [N].
        bonds: pairs of atom indices [B, 2].
        constraints: constrained pairs [C, 2].
        lengths: of the constraints, nm [C].
        system: the OpenMM System.
    """

    numbers: Int[np.ndarray, " N"]
    names: list[str]
    masses: Float[np.ndarray, " N"]
    bonds: Int[np.ndarray, "B 2"]
    constraints: Int[np.ndarray, "C 2"]
    lengths: Float[np.ndarray, " C"]
    system: openmm.System

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)


def read_parts(topology: Path, system_xml: Path) -> Parts:
    """Read a topology (any that MDAnalysis reads) and a serialised System.

    Bonds come from the topology, or where it names none from the System's bonds and constraints.
    Deuterium, D, is hydrogen of another mass.

    Raises ArtifactError when either cannot be read, when the two do not describe the same single
    molecule with its atoms in the same order, and for a System that cannot be judged: periodic,
    without forces, with a barostat or thermostat of its own, with virtual sites or massless atoms.
    """
    atoms = read_topology(topology)
    numbers = np.array([element.atomic_number for element in atoms.elements], dtype=np.int64)
    system = _read_system(system_xml)
    if system.getNumParticles() != len(numbers):
        raise ArtifactError(
            f"{topology} has {len(numbers)} atoms and {system_xml} has "
            f"{system.getNumParticles()}: give the topology from which the System was made."
        )
    if len(numbers) == 1:
        raise ArtifactError(
            f"{topology} holds one atom, which has no structure and no motion of its own to judge: "
            "give a molecule."
        )
    _check_judgeable(system, system_xml)
    constrained = [
        (first, second, float(distance._value))
        for first, second, distance in map(
            system.getConstraintParameters, range(system.getNumConstraints())
        )
    ]
    terms = _bond_terms(system, atoms.positions) + constrained
    hidden = any(type(force).__name__ in _OPAQUE for force in system.getForces())
    bonds = atoms.bonds
    if not len(bonds):
        bonds = _bonds_among([] if hidden else terms, numbers, topology, system_xml)
    elif terms and not hidden:
        _check_same_bonds(bonds, terms, topology, system_xml)
    _check_one_molecule(bonds, len(numbers), topology)
    masses = np.array([system.getParticleMass(index)._value for index in range(len(numbers))])
    _check_masses(atoms, masses, bonds, topology, system_xml)
    return Parts(
        numbers=numbers,
        names=atoms.names,
        masses=masses,
        bonds=bonds,
        constraints=np.array([c[:2] for c in constrained], dtype=np.int64).reshape(-1, 2),
        lengths=np.array([c[2] for c in constrained], dtype=np.float64),
        system=system,
    )


def _read_system(path: Path) -> openmm.System:
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: give an OpenMM System serialised as XML.")
    system = None
    try:
        text = path.read_text(encoding="utf-8").rstrip()
        if "<System" in text and not text.endswith("</System>"):  # OpenMM reads what is there
            raise ArtifactError(
                f"{path} does not end as a System does: it was cut short; copy it again."
            )
        system = openmm.XmlSerializer.deserialize(text)
    except (openmm.OpenMMException, ValueError, OSError) as error:
        _check_serializable(path, str(error))
    if not isinstance(system, openmm.System):
        raise ArtifactError(
            f"{path} is not an OpenMM System: write it with openmm.XmlSerializer.serialize(system)."
        )
    return system


def _check_serializable(path: Path, complaint: str) -> None:
    """Raise ArtifactError for a System of which this OpenMM lacks something."""
    lacking = re.search(r"no serialization proxy registered for type '(\w+)'", complaint)
    if lacking is not None:
        raise ArtifactError(
            f"{path} has a {lacking[1]}, and this OpenMM knows none: install the plugin that it "
            "is from."
        )
    if "Unsupported version number" in complaint:
        raise ArtifactError(
            f"{path} has a force that a newer OpenMM than {openmm.__version__} wrote: write it "
            "again with this version."
        )


def _check_judgeable(system: openmm.System, path: Path) -> None:
    kinds = [type(force).__name__ for force in system.getForces()]
    acting = [kind for kind in kinds if kind != "CMMotionRemover"]
    active = [kind for kind in kinds if kind.endswith(("Barostat", "Thermostat"))]
    atoms = range(system.getNumParticles())
    if not acting:
        fault = "holds no forces: serialise the System that createSystem returned"
    elif active:
        fault = f"holds a {active[0]}, which acts within every integrator: remove it"
    elif any(system.isVirtualSite(index) for index in atoms):
        fault = "has virtual sites, which cannot be judged: use a force field without them"
    elif any(system.getParticleMass(index)._value <= 0 for index in atoms):
        fault = "has atoms of no mass, which cannot move: give all atoms their mass"
    elif system.usesPeriodicBoundaryConditions():
        fault = "is periodic, but single molecules are judged: make it with NoCutoff"
    else:
        return
    raise ArtifactError(f"{path} {fault}.")


def _bond_terms(
    system: openmm.System, positions: Float[np.ndarray, "N 3"] | None
) -> list[tuple[int, int, float]]:
    """Pairs that a force holds together, and how long they are, nm.

    The length of a custom term is that in the topology, and infinite where it has no positions.
    """
    terms: list[tuple[int, int, float]] = []
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for index in range(force.getNumBonds()):
                first, second, length, _ = force.getBondParameters(index)
                terms.append((first, second, float(length._value)))
        for first, second in _custom_pairs(force):
            length = np.inf
            if positions is not None:
                length = float(np.linalg.norm(positions[first] - positions[second]))
            terms.append((first, second, length))
    return terms


def _custom_pairs(force: openmm.Force) -> Iterator[tuple[int, int]]:
    if isinstance(force, openmm.CustomBondForce):
        for index in range(force.getNumBonds()):
            first, second, _ = force.getBondParameters(index)
            yield first, second
    elif isinstance(force, openmm.CustomCompoundBondForce):
        for index in range(force.getNumBonds()):
            atoms, _ = force.getBondParameters(index)
            yield from combinations(atoms, 2)


def _bonds_among(
    terms: list[tuple[int, int, float]], numbers: np.ndarray, topology: Path, system_xml: Path
) -> np.ndarray:
    bonds = {
        (min(i, j), max(i, j))
        for i, j, length in terms
        if length < _LONGEST_BOND[1 in (numbers[i], numbers[j])]
    }
    if not bonds and len(numbers) > 1:
        raise ArtifactError(
            f"{topology} names no bonds, and those in {system_xml} cannot be told: "
            "add CONECT lines to the topology."
        )
    return np.array(sorted(bonds), dtype=np.int64).reshape(-1, 2)


def _check_same_bonds(
    bonds: np.ndarray, terms: list[tuple[int, int, float]], topology: Path, system_xml: Path
) -> None:
    known = {frozenset(term[:2]) for term in terms}
    for first, second in bonds.tolist():
        if frozenset((first, second)) not in known:
            raise ArtifactError(
                f"{topology} has a bond between atoms {first} and {second} (from 0) and "
                f"{system_xml} has none: give the topology from which the System was made, with "
                "its atoms in the same order."
            )


def _check_one_molecule(bonds: np.ndarray, n_atoms: int, topology: Path) -> None:
    label = np.arange(n_atoms)
    for _ in range(n_atoms):
        before = label.copy()
        for first, second in bonds:
            label[first] = label[second] = min(label[first], label[second])
        if np.array_equal(before, label):
            break
    count = len(np.unique(label))
    if count > 1:
        raise ArtifactError(
            f"{topology} holds {count} molecules that no bond connects: single molecules are "
            "judged; write one of them, without solvent."
        )


def _check_masses(
    atoms: Atoms, masses: np.ndarray, bonds: np.ndarray, topology: Path, system_xml: Path
) -> None:
    """Hold each heavy atom with its hydrogens against the table: masses may be repartitioned."""
    expected = np.array([element.mass._value for element in atoms.elements])
    numbers = [element.atomic_number for element in atoms.elements]
    owner = np.arange(len(numbers))
    for first, second in bonds:
        if numbers[first] == 1 and numbers[second] != 1:
            owner[first] = second
        elif numbers[second] == 1:
            owner[second] = first
    excess = np.zeros(len(numbers))
    np.add.at(excess, owner, masses - expected)
    worst = int(np.abs(excess).argmax())
    if abs(excess[worst]) > _MASS_TOLERANCE:
        raise ArtifactError(
            f"{system_xml} gives atom {worst} (from 0) and its hydrogens {excess[worst]:+.2f} Da "
            f"more than the {atoms.elements[worst].symbol} in {topology} has: give the topology "
            "from which the System was made, with its atoms in the same order."
        )

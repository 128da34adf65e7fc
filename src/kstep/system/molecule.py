"""A molecule in memory: what every potential, surrogate and integrator knows about it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from kstep.errors import MoleculeError
from kstep.system.force_field import Terms, terms_of
from kstep.system.invariance import external_forces

SYMBOLS = {1: "H", 5: "B", 6: "C", 7: "N", 8: "O", 9: "F", 14: "Si", 15: "P", 16: "S",
           17: "Cl", 35: "Br", 53: "I"}  # fmt: skip


def symbol(number: int) -> str:
    """The element symbol of an atomic number, or the number itself where it is not listed."""
    return SYMBOLS.get(number, str(number))


def _no_pairs() -> Int[np.ndarray, "B 2"]:
    return np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Molecule:
    """Atoms, how they are bonded, and which distances are kept.

    Attributes:
        numbers: atomic numbers [N].
        masses: Da [N].
        positions: a conformer, nm [N, 3].
        bonds: pairs of atom indices [B, 2].
        constraints: pairs whose distance is fixed (bonds to hydrogen) [C, 2].
        name: identifier, for sentences and files.
        smiles: canonical isomeric SMILES; empty where it is not known.
        charge: net charge, e.
        system: serialised OpenMM System with the force field's terms; None without one.
    """

    numbers: Int[np.ndarray, " N"]
    masses: Float[np.ndarray, " N"]
    positions: Float[np.ndarray, "N 3"]
    bonds: Int[np.ndarray, "B 2"] = field(default_factory=_no_pairs)
    constraints: Int[np.ndarray, "C 2"] = field(default_factory=_no_pairs)
    name: str = "molecule"
    smiles: str = ""
    charge: int = 0
    system: str | None = None

    @classmethod
    def from_smiles(
        cls,
        smiles: str,
        *,
        name: str | None = None,
        seed: int = 42,
        solvent: Literal["none", "OBC2"] = "none",
        hydrogen_mass: float | None = None,
    ) -> "Molecule":
        """A molecule of its SMILES, as `kstep prep` makes it: RDKit, OpenFF 2.2.1, NAGL charges.

        Bonds to hydrogen are constrained, at the lengths of the force field. What was decided for
        the user (notation, open axes) is a UserWarning.

        Args:
            smiles: of one molecule; tautomer, protonation and stereoisomer are as written.
            name: default: the canonical SMILES.
            seed: of the conformer.
            solvent: of the force field: none, or implicit water.
            hydrogen_mass: Da, taken from their heavy atoms; None: natural masses.

        Raises MoleculeError when it cannot be read, is outside the supported chemistry, or has no
        sound conformer or no parameters.
        """
        from kstep.system.preparation.in_memory import from_smiles

        return from_smiles(smiles, name, seed, solvent, hydrogen_mass)

    @classmethod
    def from_openmm(cls, system: Any, topology: Any, positions: Any = None) -> "Molecule":
        """A molecule of an OpenMM System of its own: masses, constraints, terms, net charge.

        Args:
            system: an `openmm.System`, not periodic.
            topology: an `app.Topology`: elements, and bonds where it has any; otherwise they are
                the System's. Or what has one and positions, as a PDBFile.
            positions: nm or a Quantity [N, 3]; None: those beside the Topology.

        Raises MoleculeError when the three do not fit each other or there are no positions.
        """
        from kstep.system.preparation.in_memory import from_openmm

        return from_openmm(system, topology, positions)

    @classmethod
    def from_ase(cls, atoms: Any) -> "Molecule":
        """A molecule of `ase.Atoms`: no force field, no constraints, bonds by covalent radii.

        Its net charge is `atoms.info["charge"]`, 0 where that is missing.

        Raises MoleculeError for periodic Atoms.
        """
        from kstep.system.preparation.in_memory import from_ase

        return from_ase(atoms)

    @property
    def n_atoms(self) -> int:
        """Number of atoms, hydrogens included."""
        return len(self.numbers)

    @cached_property
    def constraint_lengths(self) -> Float[np.ndarray, " C"]:
        """The fixed distances, nm [C]: those of its force field, else those of its conformer."""
        arms = self.positions[self.constraints[:, 0]] - self.positions[self.constraints[:, 1]]
        lengths = np.linalg.norm(arms, axis=1)
        if self.system is None:
            return np.asarray(lengths)
        bonds = map(frozenset, self.terms.bonds.tolist())
        known = dict(zip(bonds, self.terms.bond_constants[:, 1].tolist(), strict=True))
        pairs = zip(map(frozenset, self.constraints.tolist()), lengths.tolist(), strict=True)
        return np.array([known.get(pair, length) for pair, length in pairs])

    @cached_property
    def terms(self) -> Terms:
        """The terms of its force field; MoleculeError where it has none."""
        if self.system is None:
            raise MoleculeError(
                f"{self.name} has no force field: make it with Molecule.from_smiles or from_openmm."
            )
        return terms_of(self.system)

    @cached_property
    def external_forces(self) -> tuple[str, ...]:
        """Kinds of forces in its System that act from outside, so that momenta do not stay."""
        return () if self.system is None else external_forces(self.system)


def neighbours(n_atoms: int, bonds: Int[np.ndarray, "B 2"]) -> list[list[int]]:
    """Bonded atoms of every atom, ascending."""
    adjacent: list[list[int]] = [[] for _ in range(n_atoms)]
    for first, second in bonds.tolist():
        adjacent[first].append(second)
        adjacent[second].append(first)
    return [sorted(atoms) for atoms in adjacent]

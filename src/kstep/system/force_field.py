"""The terms of a molecule's force field, as its OpenMM System lists them.

They tell the network what a molecule is made of: which atoms are bonded, how stiff its bonds
and angles are, what its torsions prefer, how its atoms are charged. The file is read as XML, so
that no OpenMM is needed; forces of other kinds are passed over, for they are features, not
forces.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Int

from kstep.artifacts import hash_bytes
from kstep.errors import ArtifactError

PERIODICITIES = 6
"""Torsions turn at most this many times; OpenFF's do."""

_USUAL = {
    "HarmonicBondForce", "HarmonicAngleForce", "PeriodicTorsionForce", "NonbondedForce",
    "GBSAOBCForce", "CMMotionRemover",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Terms:
    """What a System says about the bonds, angles, torsions and charges of a molecule.

    Attributes:
        bonds: bonded or constrained pairs [B, 2].
        bond_constants: stiffness, kJ/mol/nm² (0 where the length is constrained), and length at
            rest, nm [B, 2].
        angles: triples, the vertex in the middle [A, 3].
        angle_constants: stiffness, kJ/mol/rad², and angle at rest, rad [A, 2].
        torsions: quadruples, each once however many periodicities it has [T, 4].
        torsion_constants: k_n cos δ_n for n = 1 … 6, kJ/mol, then 1 for an improper [T, 7].
        nonbonded: charge, e, σ, nm, and ε, kJ/mol, of each atom [N, 3].
    """

    bonds: Int[np.ndarray, "B 2"]
    bond_constants: Float[np.ndarray, "B 2"]
    angles: Int[np.ndarray, "A 3"]
    angle_constants: Float[np.ndarray, "A 2"]
    torsions: Int[np.ndarray, "T 4"]
    torsion_constants: Float[np.ndarray, "T 7"]
    nonbonded: Float[np.ndarray, "N 3"]


TERM_ARRAYS = tuple(field.name for field in fields(Terms))
"""Names of the arrays of `Terms`."""


def pad_terms(molecules: Sequence[Terms]) -> dict[str, np.ndarray]:
    """The arrays of several molecules [M, …], padded with zeros to the longest of them.

    Padding is recognised by its atoms: no term is between an atom and itself.
    """
    padded = {}
    for name in TERM_ARRAYS:
        parts: list[np.ndarray] = [getattr(terms, name) for terms in molecules]
        size = max(len(part) for part in parts)
        padded[name] = np.zeros((len(parts), size, parts[0].shape[1]), parts[0].dtype)
        for row, part in enumerate(parts):
            padded[name][row, : len(part)] = part
    return padded


def read_terms(system_xml: Path) -> Terms:
    """The terms of a serialised OpenMM System.

    Raises ArtifactError when the file is missing, is not one or has torsions of another
    periodicity than 1 to 6.
    """
    try:
        root = ElementTree.parse(system_xml).getroot()
        return _terms(root)
    except FileNotFoundError:
        raise ArtifactError(f"{system_xml} is missing: run `kstep prep` again.") from None
    except (ElementTree.ParseError, KeyError, ValueError):
        raise ArtifactError(
            f"{system_xml} is not an OpenMM System as `kstep prep` writes them: delete its "
            "folder and run `kstep prep` again."
        ) from None


def terms_of(system: str) -> Terms:
    """The terms of a serialised OpenMM System; ValueError or KeyError when it is not one."""
    return _terms(ElementTree.fromstring(system))


def foreign_forces(system: str) -> list[str]:
    """Kinds of forces in a serialised System that are none of a force field's usual terms."""
    root = ElementTree.fromstring(system)
    return sorted({force.attrib["type"] for force in root.iterfind("./Forces/Force")} - _USUAL)


def forces_hash(system: str) -> str:
    """Hash of the forces in a serialised OpenMM System: what decides an energy.

    Masses and constraints do not, nor does a `CMMotionRemover`, the version of OpenMM or how the
    file is laid out. ValueError when it is no System.
    """
    root = ElementTree.fromstring(system)
    if root.tag != "System":
        raise ValueError(root.tag)
    forces = [force for force in root.iterfind("./Forces/Force")
              if force.attrib.get("type") != "CMMotionRemover"]  # fmt: skip
    texts = [
        ElementTree.canonicalize(ElementTree.tostring(force), strip_text=True) for force in forces
    ]
    return hash_bytes("".join(texts).encode())


def _terms(root: ElementTree.Element) -> Terms:
    if root.tag != "System":
        raise ValueError(root.tag)
    bonds: dict[tuple[int, int], tuple[float, float]] = {}
    for item in _items(root, "HarmonicBondForce", "Bonds/Bond"):
        bonds[_pair(item)] = (float(item.attrib["k"]), float(item.attrib["d"]))
    for item in root.iterfind("./Constraints/Constraint"):
        bonds[_pair(item)] = (0.0, float(item.attrib["d"]))
    angles = [
        (_atoms(item, 3), (float(item.attrib["k"]), float(item.attrib["a"])))
        for item in _items(root, "HarmonicAngleForce", "Angles/Angle")
    ]
    torsions: dict[tuple[int, ...], list[float]] = {}
    for item in _items(root, "PeriodicTorsionForce", "Torsions/Torsion"):
        atoms = _atoms(item, 4)
        improper = any(tuple(sorted(pair)) not in bonds for pair in pairwise(atoms))
        constants = torsions.setdefault(atoms, [0.0] * PERIODICITIES + [float(improper)])
        amplitude = float(item.attrib["k"]) * math.cos(float(item.attrib["phase"]))
        turns = range(1, PERIODICITIES + 1).index(int(item.attrib["periodicity"]))
        constants[turns] += amplitude
    particles = list(_items(root, "NonbondedForce", "Particles/Particle"))
    nonbonded = [[float(item.attrib[key]) for key in ("q", "sig", "eps")] for item in particles]
    count = len(root.findall("./Particles/Particle"))
    return Terms(
        bonds=_integers(list(bonds), 2),
        bond_constants=_floats(list(bonds.values()), 2),
        angles=_integers([atoms for atoms, _ in angles], 3),
        angle_constants=_floats([constants for _, constants in angles], 2),
        torsions=_integers(list(torsions), 4),
        torsion_constants=_floats(list(torsions.values()), PERIODICITIES + 1),
        nonbonded=_floats(nonbonded or [[0.0] * 3] * count, 3),
    )


def _items(root: ElementTree.Element, force: str, path: str) -> Iterable[ElementTree.Element]:
    for element in root.iterfind(f"./Forces/Force[@type='{force}']"):
        yield from element.iterfind(path)


def _atoms(item: ElementTree.Element, count: int) -> tuple[int, ...]:
    return tuple(int(item.attrib[f"p{number}"]) for number in range(1, count + 1))


def _pair(item: ElementTree.Element) -> tuple[int, int]:
    first, second = sorted(_atoms(item, 2))
    return first, second


def _integers(rows: Sequence[Sequence[int]], width: int) -> Int[np.ndarray, "K W"]:
    return np.array(rows, dtype=np.int64).reshape(-1, width)


def _floats(rows: Sequence[Sequence[float]], width: int) -> Float[np.ndarray, "K W"]:
    return np.array(rows, dtype=np.float64).reshape(-1, width)

"""What a System says of its bonds, angles, torsions and charges, against OpenMM's own account."""

import copy
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from openmm import unit

from kstep.errors import ArtifactError
from kstep.surrogates.force_field_like.terms import batch_terms
from kstep.system.force_field import PERIODICITIES, TERM_ARRAYS, Terms, pad_terms, read_terms
from kstep.system.molecule import Molecule
from term_samples import no_terms, random_terms


@pytest.fixture(params=["phenol", "isobutanol"])
def molecule(request: pytest.FixtureRequest) -> Molecule:
    return request.getfixturevalue(request.param)


def of_type(molecule: Molecule, kind: type) -> openmm.Force:
    system = openmm.XmlSerializer.deserialize(molecule.system_xml.read_text())
    (force,) = (force for force in system.getForces() if isinstance(force, kind))
    return copy.deepcopy(force)  # the system's own goes with it


def plain(values: list) -> list[float]:
    return [value.value_in_unit_system(unit.md_unit_system) for value in values]


def test_bonds_are_openmms_and_the_rigid_ones_its_constraints(molecule: Molecule) -> None:
    force = of_type(molecule, openmm.HarmonicBondForce)
    expected = {}
    for index in range(force.getNumBonds()):
        first, second, length, stiffness = force.getBondParameters(index)
        expected[first, second] = plain([stiffness, length])
    system = openmm.XmlSerializer.deserialize(molecule.system_xml.read_text())
    for index in range(system.getNumConstraints()):
        first, second, length = system.getConstraintParameters(index)
        expected[first, second] = [0.0, *plain([length])]
    expected = {tuple(sorted(pair)): constants for pair, constants in expected.items()}
    terms = molecule.terms
    found = dict(zip(map(tuple, terms.bonds.tolist()), terms.bond_constants.tolist(), strict=True))
    assert found == {pair: pytest.approx(constants) for pair, constants in expected.items()}
    assert {tuple(sorted(pair)) for pair in molecule.bonds.tolist()} == found.keys()
    rigid = {pair for pair, (stiffness, _) in found.items() if stiffness == 0.0}
    assert rigid == {tuple(sorted(pair)) for pair in molecule.constraints.tolist()}


def test_angles_are_openmms(molecule: Molecule) -> None:
    force = of_type(molecule, openmm.HarmonicAngleForce)
    assert force.getNumAngles() == len(molecule.terms.angles)
    for index, (atoms, constants) in enumerate(
        zip(molecule.terms.angles, molecule.terms.angle_constants, strict=True)
    ):
        *expected, angle, stiffness = force.getAngleParameters(index)
        assert atoms.tolist() == expected
        assert constants.tolist() == pytest.approx(plain([stiffness, angle]))


def test_torsions_add_up_to_openmms(molecule: Molecule) -> None:
    """Every quadruple once: its Fourier series is the sum of the entries for it."""
    force, terms = of_type(molecule, openmm.PeriodicTorsionForce), molecule.terms
    entries = [force.getTorsionParameters(index) for index in range(force.getNumTorsions())]
    assert len({tuple(atoms) for atoms in terms.torsions.tolist()}) == len(terms.torsions)
    assert {tuple(entry[:4]) for entry in entries} == set(map(tuple, terms.torsions.tolist()))
    phi = np.linspace(-math.pi, math.pi, 25)
    for atoms, constants in zip(terms.torsions, terms.torsion_constants, strict=True):
        expected = sum(
            k._value * (np.cos(n * phi - phase._value) - np.cos(phase._value))
            for *own, n, phase, k in entries
            if own == atoms.tolist()
        )
        turns = np.arange(1, PERIODICITIES + 1)
        series = (constants[:PERIODICITIES] * (np.cos(phi[:, None] * turns) - 1.0)).sum(1)
        np.testing.assert_allclose(series, expected, atol=1e-9)


def test_several_periodicities_of_a_torsion_are_one_term(isobutanol: Molecule) -> None:
    entries = of_type(isobutanol, openmm.PeriodicTorsionForce).getNumTorsions()
    several = (isobutanol.terms.torsion_constants[:, :PERIODICITIES] != 0).sum(1)
    assert len(isobutanol.terms.torsions) < entries
    assert several.max() >= 2


def test_impropers_are_those_that_follow_no_chain_of_bonds(molecule: Molecule) -> None:
    bonded = {frozenset(pair) for pair in molecule.bonds.tolist()}
    for atoms, constants in zip(
        molecule.terms.torsions.tolist(), molecule.terms.torsion_constants, strict=True
    ):
        chain = all(frozenset(pair) in bonded for pair in pairwise(atoms))
        assert constants[-1] == float(not chain)
    impropers = int(molecule.terms.torsion_constants[:, -1].sum())
    assert impropers == {"phenol": 18}.get(molecule.name, 0)


def test_charges_and_van_der_waals_parameters_are_openmms(molecule: Molecule) -> None:
    force = of_type(molecule, openmm.NonbondedForce)
    expected = [plain(force.getParticleParameters(index)) for index in range(molecule.n_atoms)]
    np.testing.assert_allclose(molecule.terms.nonbonded, expected)


def write(path: Path, *torsions: tuple[int, float, float]) -> Path:
    """A chain of four argon atoms with torsions (periodicity, phase, k) about it."""
    system, force = openmm.System(), openmm.PeriodicTorsionForce()
    for _ in range(4):
        system.addParticle(40.0)
    for torsion in torsions:
        force.addTorsion(0, 1, 2, 3, *torsion)
    system.addForce(force)
    path.write_text(openmm.XmlSerializer.serialize(system))
    return path


def test_phase_gives_the_sign_and_equal_periodicities_add_up(tmp_path: Path) -> None:
    path = write(tmp_path / "system.xml", (1, 0.0, 2.0), (3, math.pi, 5.0), (3, 0.0, 1.0))
    terms = read_terms(path)
    assert terms.torsions.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_allclose(terms.torsion_constants, [[2, 0, -4, 0, 0, 0, 1]], atol=1e-12)


def test_a_system_without_forces_has_atoms_all_the_same(tmp_path: Path) -> None:
    terms = read_terms(write(tmp_path / "system.xml"))
    assert terms.nonbonded.shape == (4, 3)
    assert not any(len(getattr(terms, name)) for name in TERM_ARRAYS if name != "nonbonded")


@pytest.mark.parametrize(
    "content",
    ["", "not xml", "<System><Forces>", "<Molecule/>", '{"json": 1}',
     "<System><Constraints><Constraint d='.1' p1='0'/></Constraints></System>",
     "<System><Constraints><Constraint d='long' p1='0' p2='1'/></Constraints></System>"],
)  # fmt: skip
def test_what_is_not_a_system_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "system.xml"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"system\.xml is not an OpenMM System as"):
        read_terms(path)


@pytest.mark.parametrize("periodicity", [7, 0])
def test_torsions_of_other_periodicities_are_refused(tmp_path: Path, periodicity: int) -> None:
    path = write(tmp_path / "system.xml", (2, 0.0, 2.0))
    path.write_text(path.read_text().replace('periodicity="2"', f'periodicity="{periodicity}"'))
    with pytest.raises(ArtifactError, match=r"system\.xml is not an OpenMM System as"):
        read_terms(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"system\.xml is missing: run `kstep prep` again"):
        read_terms(tmp_path / "system.xml")


def test_padding_loses_nothing(molecule: Molecule) -> None:
    """Of molecules of different sizes each comes back whole, the rest is zero."""
    x = np.random.default_rng(0).normal(size=(5, 3))
    molecules = [no_terms(2), molecule.terms, random_terms(x), no_terms(1)]
    arrays = pad_terms(molecules)
    assert arrays.keys() == set(TERM_ARRAYS)
    for name, padded in arrays.items():
        assert padded.shape[1] == max(len(getattr(terms, name)) for terms in molecules)
        for row, terms in enumerate(molecules):
            own = getattr(terms, name)
            np.testing.assert_array_equal(padded[row, : len(own)], own)
            assert not padded[row, len(own) :].any()


def test_rows_of_a_batch_carry_only_the_padding_they_need(phenol: Molecule) -> None:
    small: Terms = random_terms(np.random.default_rng(0).normal(size=(5, 3)))
    batch = batch_terms(pad_terms([phenol.terms, small, no_terms(3)]))
    picked = batch.of(torch.tensor([2, 1, 1]), 5)
    assert picked.bonds.shape == (3, len(small.bonds), 2)
    assert not picked.bonds[0].any()
    for name in TERM_ARRAYS:
        array = getattr(picked, name)
        assert array.dtype == (torch.int64 if name in ("bonds", "angles", "torsions")
                               else torch.float32)  # fmt: skip
        np.testing.assert_array_equal(array[1], array[2])
        np.testing.assert_allclose(array[1], getattr(small, name), rtol=1e-6)
    alone = batch.of(torch.tensor([2]), 3)
    assert alone.torsions.shape == (1, 0, 4)
    assert alone.torsion_constants.shape == (1, 0, 7)


def test_many_states_share_the_terms_of_one_molecule(phenol: Molecule) -> None:
    batch = batch_terms(pad_terms([phenol.terms])).expand(4)
    assert batch.torsions.shape == (4, *phenol.terms.torsions.shape)
    np.testing.assert_array_equal(batch.angles[3], phenol.terms.angles)
    assert batch.angles.data_ptr() == batch.angles[3].data_ptr()

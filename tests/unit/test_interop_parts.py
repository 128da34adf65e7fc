"""Topology and System of somebody else, held against each other."""

import shutil

import numpy as np
import openmm
import pytest

from foreign_samples import change_system
from kstep.errors import ArtifactError
from kstep.interop.parts import read_parts


def make_periodic(system):
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)


def without_forces(system):
    for index in reversed(range(system.getNumForces())):
        system.removeForce(index)
    system.addForce(openmm.CMMotionRemover())


SYSTEM_FAULTS = {
    "forces": (without_forces, "holds no forces"),
    "barostat": (lambda s: s.addForce(openmm.MonteCarloBarostat(1, 300)), "MonteCarloBarostat"),
    "thermostat": (lambda s: s.addForce(openmm.AndersenThermostat(300, 1)), "AndersenThermostat"),
    "periodic": (make_periodic, "is periodic, .*NoCutoff"),
    "massless": (lambda s: s.setParticleMass(0, 0), "atoms of no mass"),
    "virtual": (
        lambda s: s.setVirtualSite(1, openmm.TwoParticleAverageSite(0, 2, 0.5, 0.5)),
        "virtual sites",
    ),
    "atoms": (lambda s: s.addParticle(1), "has 13 atoms and .* has 14"),
    "masses": (lambda s: s.setParticleMass(6, 32), r"atom 6 .*\+16\.00 Da more than the O"),
}


@pytest.mark.parametrize("fault", SYSTEM_FAULTS)
def test_a_system_that_cannot_be_judged_is_refused(fault, phenol, tmp_path):
    change, sentence = SYSTEM_FAULTS[fault]
    path = change_system(tmp_path / "system.xml", phenol, change)
    with pytest.raises(ArtifactError, match=sentence) as caught:
        read_parts(phenol.pdb, path)
    assert str(path) in str(caught.value)


def test_repartitioned_masses_are_no_fault(phenol, tmp_path):
    def repartition(system):
        for hydrogen, heavy in ((7, 0), (12, 6)):
            system.setParticleMass(heavy, system.getParticleMass(heavy)._value - 2)
            system.setParticleMass(hydrogen, system.getParticleMass(hydrogen)._value + 2)

    path = change_system(tmp_path / "system.xml", phenol, repartition)
    assert read_parts(phenol.pdb, path).masses[7] == pytest.approx(phenol.masses[7] + 2)


def edited_pdb(tmp_path, phenol, edit):
    path = tmp_path / "topology.pdb"
    path.write_text(edit(phenol.pdb.read_text()))
    return path


def without_connections(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith("CONECT"))


def test_bonds_come_from_the_system_where_the_topology_has_none(phenol, tmp_path):
    path = edited_pdb(tmp_path, phenol, without_connections)
    parts = read_parts(path, phenol.system_xml)
    expected = {frozenset(bond) for bond in phenol.bonds.tolist()}
    assert {frozenset(bond) for bond in parts.bonds.tolist()} == expected


def without_bond_force(system):
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.HarmonicBondForce):
            system.removeForce(index)


def custom_bonds(system):
    """The same energy by another class of forces."""
    harmonic = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
    custom = openmm.CustomBondForce("0.5*kb*(r-r0)^2")
    for name in ("kb", "r0"):
        custom.addPerBondParameter(name)
    for index in range(harmonic.getNumBonds()):
        first, second, length, constant = harmonic.getBondParameters(index)
        custom.addBond(first, second, [constant._value, length._value])
    without_bond_force(system)
    system.addForce(custom)


def compound_bonds(system):
    harmonic = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
    compound = openmm.CustomCompoundBondForce(2, "k*(distance(p1,p2)-r0)^2/2")
    for name in ("k", "r0"):
        compound.addPerBondParameter(name)
    for index in range(harmonic.getNumBonds()):
        first, second, length, constant = harmonic.getBondParameters(index)
        compound.addBond([first, second], [constant._value, length._value])
    without_bond_force(system)
    system.addForce(compound)


@pytest.mark.parametrize("change", [custom_bonds, compound_bonds])
@pytest.mark.parametrize("edit", [lambda text: text, without_connections])
def test_bonds_may_be_custom_forces(change, edit, phenol, tmp_path):
    system = change_system(tmp_path / "system.xml", phenol, change)
    parts = read_parts(edited_pdb(tmp_path, phenol, edit), system)
    expected = {frozenset(bond) for bond in phenol.bonds.tolist()}
    assert {frozenset(bond) for bond in parts.bonds.tolist()} == expected
    wrong = edited_pdb(tmp_path, phenol, TOPOLOGY_FAULTS["order"][0])
    with pytest.raises(ArtifactError, match=TOPOLOGY_FAULTS["order"][1]):
        read_parts(wrong, system)


def test_forces_that_cannot_be_looked_into_hide_no_bonds(phenol, tmp_path):
    """As those of a program in Python: constraints on hydrogen are all that names a bond."""

    def hide(system):
        inner = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
        outer = openmm.CustomCVForce("bonds")
        outer.addCollectiveVariable("bonds", openmm.XmlSerializer.clone(inner))
        without_bond_force(system)
        system.addForce(outer)

    system = change_system(tmp_path / "system.xml", phenol, hide)
    assert len(read_parts(phenol.pdb, system).bonds) == len(phenol.bonds)
    bare = edited_pdb(tmp_path, phenol, without_connections)
    with pytest.raises(ArtifactError, match=r"those in .*system\.xml cannot be told: add CONECT"):
        read_parts(bare, system)


XML_FAULTS = {
    'type="HarmonicAngleForce"': ('type="TorchForce"', r"has a TorchForce.* install the plugin"),
    'usesPeriodic="0" version="2"': ('usesPeriodic="0" version="99"', r"newer OpenMM than \d"),
    'type="System"': ('type="Integrator"', r"has a Integrator|is not an OpenMM System"),
    "</System>": ("", r"was cut short"),
}


@pytest.mark.parametrize("old", XML_FAULTS)
def test_what_this_openmm_lacks_is_named(old, phenol, tmp_path):
    new, sentence = XML_FAULTS[old]
    path = tmp_path / "system.xml"
    path.write_text(phenol.system_xml.read_text().replace(old, new))
    with pytest.raises(ArtifactError, match=sentence):
        read_parts(phenol.pdb, path)


def test_one_atom_is_no_molecule(phenol, tmp_path):
    system = openmm.System()
    system.addParticle(15.999)
    system.addForce(openmm.NonbondedForce())
    path = tmp_path / "system.xml"
    path.write_text(openmm.XmlSerializer.serialize(system))
    lines = phenol.pdb.read_text().splitlines(keepends=True)
    topology = tmp_path / "one.pdb"
    topology.write_text(next(line for line in lines if line.rstrip().endswith("O")) + "END\n")
    with pytest.raises(ArtifactError, match=r"one\.pdb holds one atom, which has no structure"):
        read_parts(topology, path)


def test_deuterium_is_hydrogen_of_another_mass(phenol, tmp_path):
    heavy = 2.01355
    topology = edited_pdb(
        tmp_path, phenol, lambda text: text.replace("           H  ", "           D  ")
    )
    system = change_system(
        tmp_path / "system.xml",
        phenol,
        lambda s: [s.setParticleMass(i, heavy) for i in range(7, 13)],
    )
    parts = read_parts(topology, system)
    np.testing.assert_array_equal(parts.numbers, phenol.numbers)
    np.testing.assert_allclose(parts.masses[7:], heavy)
    with pytest.raises(ArtifactError, match=r"[+-]\d\.\d\d Da more than the [DCO]"):
        read_parts(topology, phenol.system_xml)


TOPOLOGY_FAULTS = {
    "element": (lambda t: t.replace("           O  ", "           S  "), r"Da more than the S"),
    "no element": (lambda t: t.replace("           O  ", "              "), r"element of every"),
    "order": (
        lambda t: t.replace("CONECT    1    2    6    8", "CONECT    1    2    6    9").replace(
            "CONECT    8    1", "CONECT    9    1"
        ),
        r"bond between atoms 0 and 8 .* same order",
    ),
    "nonsense": (lambda t: "nothing to see\n", r"cannot be read as a topology"),
    "two molecules": (
        lambda t: t.replace("CONECT    7    6   13\n", "CONECT    7    6\n").replace(
            "CONECT   13    7\n", ""
        ),
        r"holds 2 molecules",
    ),
}


@pytest.mark.parametrize("fault", TOPOLOGY_FAULTS)
def test_a_topology_that_does_not_fit_is_refused(fault, phenol, tmp_path):
    edit, sentence = TOPOLOGY_FAULTS[fault]
    path = edited_pdb(tmp_path, phenol, edit)
    with pytest.raises(ArtifactError, match=sentence) as caught:
        read_parts(path, phenol.system_xml)
    assert str(path) in str(caught.value)


def test_missing_and_foreign_parts_are_said(phenol, tmp_path):
    with pytest.raises(ArtifactError, match=r"no\.pdb does not exist"):
        read_parts(tmp_path / "no.pdb", phenol.system_xml)
    with pytest.raises(ArtifactError, match=r"no\.xml does not exist"):
        read_parts(phenol.pdb, tmp_path / "no.xml")
    foreign = shutil.copy(phenol.pdb, tmp_path / "system.xml")
    with pytest.raises(ArtifactError, match=r"system\.xml is not an OpenMM System"):
        read_parts(phenol.pdb, foreign)

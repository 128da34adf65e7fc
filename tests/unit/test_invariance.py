"""Forces that act from outside are found in a System, whatever OpenMM calls them."""

from collections.abc import Callable
from pathlib import Path

import openmm
import pytest

from kstep.system.invariance import external_forces
from kstep.system.molecule import Molecule

DATA = Path(__file__).parents[1] / "data"


def system_with(*forces: openmm.Force) -> str:
    system = openmm.System()
    for _ in range(3):
        system.addParticle(12.0)
    for force in forces:
        system.addForce(force)
    return openmm.XmlSerializer.serialize(system)


def field() -> openmm.Force:
    force = openmm.CustomExternalForce("5*z^2")
    force.addParticle(0, [])
    return force


def centroid(energy: str, *groups: list[int]) -> openmm.Force:
    force = openmm.CustomCentroidBondForce(len(groups), energy)
    for group in groups:
        force.addGroup(group)
    force.addBond(list(range(len(groups))), [])
    return force


def compound(energy: str) -> openmm.Force:
    force = openmm.CustomCompoundBondForce(2, energy)
    force.addBond([0, 1], [])
    return force


def variable(inner: openmm.Force) -> openmm.Force:
    force = openmm.CustomCVForce("x1^2")
    force.addCollectiveVariable("x1", inner)
    return force


def membrane() -> openmm.Force:
    force = openmm.CustomGBForce()
    force.addEnergyTerm("0.1*z^2", openmm.CustomGBForce.SingleParticle)
    for _ in range(3):
        force.addParticle([])
    return force


def bonds(periodic: bool) -> openmm.Force:
    force = openmm.HarmonicBondForce()
    force.addBond(0, 1, 0.1, 1e5)
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


def charges(method: int) -> openmm.Force:
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(method)
    for _ in range(3):
        force.addParticle(0.1, 0.3, 0.2)
    return force


OUTSIDE: dict[str, Callable[[], openmm.Force]] = {
    "CustomExternalForce": field,
    "CustomCentroidBondForce": lambda: centroid("50*(x1^2+y1^2+z1^2)", [0, 1, 2]),
    "CustomCompoundBondForce": lambda: compound("distance(p1,p2)+z1"),
    "CustomGBForce": membrane,
    "periodic HarmonicBondForce": lambda: bonds(True),
    "periodic NonbondedForce": lambda: charges(openmm.NonbondedForce.PME),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_acts_from_outside_is_named(name):
    assert external_forces(system_with(charges(0), OUTSIDE[name]())) == (name,)


def test_a_field_within_a_collective_variable_is_found():
    assert external_forces(system_with(variable(field()))) == ("CustomExternalForce",)


INSIDE: dict[str, Callable[[], openmm.Force]] = {
    "bonds": lambda: bonds(False),
    "a cutoff without a box": lambda: charges(openmm.NonbondedForce.CutoffNonPeriodic),
    "a distance of two groups": lambda: centroid("distance(g1,g2)^2", [0], [1, 2]),
    "a distance of two atoms": lambda: compound("(distance(p1,p2)-x0)^2*0 + distance(p1,p2)"),
    "a rate that is called z": lambda: openmm.CustomBondForce("z*r^2"),
    "a distance from a shape": lambda: variable(
        openmm.RMSDForce([openmm.Vec3(0, 0, i) for i in range(3)])
    ),
    "removal of the centre's motion": openmm.CMMotionRemover,
}


@pytest.mark.parametrize("name", INSIDE)
def test_what_depends_on_distances_alone_is_not(name):
    assert external_forces(system_with(INSIDE[name]())) == ()


def test_systems_as_they_come(phenol):
    restraint = (DATA / "restraint" / "system.xml").read_text()
    assert external_forces(restraint) == ("CustomCentroidBondForce",)
    assert phenol.external_forces == ()
    in_memory = Molecule(
        numbers=phenol.numbers, masses=phenol.masses, positions=phenol.positions, system=restraint
    )
    assert in_memory.external_forces == ("CustomCentroidBondForce",)


@pytest.mark.parametrize("text", ["", "not XML", "<Force/>"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - what is said is the caller's
        external_forces(text)

"""The System that prep writes, judged by other routes to the same energies."""

import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm.app.internal.customgbforces import GBSAOBC2Force

from kstep.config import load_config
from kstep.system.molecule import Molecule
from kstep.workflow import prep


@pytest.fixture(scope="module")
def phenol(tmp_path_factory: pytest.TempPathFactory) -> Molecule:
    data = tmp_path_factory.mktemp("data")
    listed = data / "list.smi"
    listed.write_text("c1ccccc1O phenol\n")
    return prep.run(load_config([], [f"paths.data={data}"]), listed).molecules[0]


@pytest.fixture(scope="module")
def system(phenol: Molecule) -> openmm.System:
    return openmm.XmlSerializer.deserialize(phenol.system_xml.read_text())


def _force(system: openmm.System, kind: type) -> openmm.Force:
    (force,) = (force for force in system.getForces() if isinstance(force, kind))
    return force


def _state(system: openmm.System, positions: np.ndarray) -> openmm.State:
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    return context.getState(getEnergy=True, getForces=True)


def _energy(system: openmm.System, positions: np.ndarray) -> float:
    energy = _state(system, positions).getPotentialEnergy()
    return float(energy.value_in_unit(unit.kilojoule_per_mole))


def _alone(force: openmm.Force, n_atoms: int) -> openmm.System:
    system = openmm.System()
    for _ in range(n_atoms):
        system.addParticle(1.0)
    system.addForce(force)
    return system


def _conformations(molecule: Molecule) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    noise = rng.normal(scale=0.005, size=(3, *molecule.positions.shape))
    return [molecule.positions, *(molecule.positions + noise)]


def _charges(force: openmm.Force) -> np.ndarray:
    count = force.getNumParticles()
    return np.array([force.getParticleParameters(i)[0]._value for i in range(count)])


def test_forces_are_the_ones_meant_and_no_others(system: openmm.System) -> None:
    assert {type(force).__name__ for force in system.getForces()} == {
        "HarmonicBondForce", "HarmonicAngleForce", "PeriodicTorsionForce", "NonbondedForce",
        "GBSAOBCForce",
    }  # fmt: skip
    for kind in (openmm.NonbondedForce, openmm.GBSAOBCForce):
        assert _force(system, kind).getNonbondedMethod() == kind.NoCutoff
    assert not system.usesPeriodicBoundaryConditions()


def test_native_obc2_has_the_energy_of_the_custom_force(
    phenol: Molecule, system: openmm.System
) -> None:
    native = _force(system, openmm.GBSAOBCForce)
    charges = _charges(_force(system, openmm.NonbondedForce))
    custom = GBSAOBC2Force(solventDielectric=78.5, SA="ACE")
    standard = GBSAOBC2Force.getStandardParameters(app.PDBFile(str(phenol.pdb)).topology)
    custom.addParticles(np.column_stack([charges, np.array(standard)]))
    custom.finalize()
    for positions in _conformations(phenol):
        energies = [
            _energy(_alone(openmm.XmlSerializer.clone(force), phenol.n_atoms), positions)
            for force in (native, custom)
        ]
        assert energies[0] < -10.0
        assert energies[0] == pytest.approx(energies[1], abs=1e-4)


def test_charges_agree_everywhere_and_cancel(phenol: Molecule, system: openmm.System) -> None:
    coulomb = _charges(_force(system, openmm.NonbondedForce))
    np.testing.assert_array_equal(coulomb, _charges(_force(system, openmm.GBSAOBCForce)))
    np.testing.assert_array_equal(coulomb, phenol.manifest["charges_e"])
    assert abs(coulomb.sum()) < 1e-12
    assert coulomb[phenol.numbers == 8] < -0.3


def test_charges_are_those_of_openff_own_route(phenol: Molecule) -> None:
    from openff.toolkit import Molecule as OpenFFMolecule
    from openff.toolkit.utils.nagl_wrapper import NAGLToolkitWrapper

    molecule = OpenFFMolecule.from_file(str(phenol.directory / "molecule.sdf"))
    molecule.assign_partial_charges(
        "openff-gnn-am1bcc-1.0.0.pt", toolkit_registry=NAGLToolkitWrapper()
    )
    np.testing.assert_allclose(
        phenol.manifest["charges_e"], molecule.partial_charges.m_as("elementary_charge"), atol=1e-6
    )


def test_constraints_are_the_bonds_to_hydrogen(phenol: Molecule, system: openmm.System) -> None:
    with_hydrogen = {
        tuple(sorted(bond)) for bond in phenol.bonds.tolist() if 1 in phenol.numbers[bond]
    }
    assert {tuple(sorted(pair)) for pair in phenol.constraints.tolist()} == with_hydrogen
    bonds = _force(system, openmm.HarmonicBondForce)
    assert bonds.getNumBonds() == len(phenol.bonds) - len(with_hydrogen)
    for index in range(system.getNumConstraints()):
        first, second, length = system.getConstraintParameters(index)
        actual = np.linalg.norm(phenol.positions[first] - phenol.positions[second])
        assert actual == pytest.approx(length._value, abs=0.005)


def test_masses_are_those_of_the_elements(phenol: Molecule) -> None:
    standard = {1: 1.008, 6: 12.011, 8: 15.999}
    np.testing.assert_allclose(phenol.masses, [standard[z] for z in phenol.numbers], rtol=1e-3)


def test_an_isolated_molecule_feels_no_net_force_or_torque(
    phenol: Molecule, system: openmm.System
) -> None:
    for positions in _conformations(phenol):
        state = _state(system, positions)
        forces = state.getForces(asNumpy=True)._value
        assert np.abs(forces).max() > 10.0
        np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-6)
        np.testing.assert_allclose(np.cross(positions, forces).sum(axis=0), 0.0, atol=1e-6)

"""True dynamics of ethylene, judged against more of it: nothing that symmetry fixes is open."""

from pathlib import Path

import numpy as np
import openmm
import pytest

from kstep.config import EvalConfig
from kstep.interop.parts import read_parts
from kstep.interop.topology import read_positions
from kstep.referee.claims.checks import adjudicate
from kstep.referee.compared import Side, make_side
from kstep.referee.metrics import Outcome
from kstep.referee.structure.distributions import compare_structures
from kstep.system.mechanics import kinetic_energy
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVT, Trajectory, trajectory_record

ETHYLENE = Path(__file__).parents[1] / "data" / "ethylene"
REPLICAS, FRAMES, SPACING_PS = 4, 100, 0.1


@pytest.fixture(scope="module")
def parts():
    return read_parts(ETHYLENE / "molecule.pdb", ETHYLENE / "system.xml")


@pytest.fixture(scope="module")
def ethylene(parts) -> Molecule:
    return Molecule(
        numbers=parts.numbers, masses=parts.masses, bonds=parts.bonds,
        positions=read_positions(ETHYLENE / "molecule.pdb"), constraints=parts.constraints,
    )  # fmt: skip


def sampled(parts, molecule: Molecule, seed: int) -> Side:
    """Runs of 10 ps at 300 K, 1 fs, from the same geometry."""
    frames = []
    for replica in range(REPLICAS):
        integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.001)
        integrator.setRandomNumberSeed(seed + replica)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(parts.system, integrator, platform)
        context.setPositions(molecule.positions)
        context.setVelocitiesToTemperature(300.0, seed + replica)
        integrator.step(1000)
        for _ in range(FRAMES):
            integrator.step(round(SPACING_PS / 0.001))
            frames.append(context.getState(positions=True, velocities=True, energy=True))
    pos = np.array([frame.getPositions(asNumpy=True)._value for frame in frames])
    vel = np.array([frame.getVelocities(asNumpy=True)._value for frame in frames])
    epot = np.array([frame.getPotentialEnergy()._value for frame in frames])
    ekin = kinetic_energy(vel, molecule.masses)
    trajectory = Trajectory(
        pos=pos, vel=vel, box=np.zeros((len(pos), 3, 3)), epot=epot, ekin=ekin, etot=epot + ekin,
        times=np.tile(SPACING_PS * np.arange(1.0, FRAMES + 1), REPLICAS),
        segment=np.repeat(np.arange(REPLICAS), FRAMES), segment_kind=np.full(REPLICAS, NVT),
        segment_temperature=np.full(REPLICAS, 300.0),
        force_calls=np.zeros(len(pos), dtype=np.int64), numbers=molecule.numbers,
        masses=molecule.masses, record=trajectory_record(),
    )  # fmt: skip
    return make_side(Path("x.npz"), trajectory, 300.0)


def test_the_population_of_ethylenes_wells_is_known(parts, ethylene):
    sides = [sampled(parts, ethylene, seed) for seed in (100, 200)]
    metrics, _, measured = compare_structures(EvalConfig(), ethylene, *sides)
    assert [state.crossings.baseline for state in metrics.torsions] == [0.0, 0.0]
    assert metrics.torsions[0].population.candidate.value == pytest.approx(0.5, abs=0.02)
    found = [c for c in adjudicate(measured) if "dihedral" in c.label]
    assert {check.label.split(" of ")[0] for check in found} == {"population", "divergence"}
    (population,) = (check for check in found if check.label.startswith("population"))
    assert population.outcome is Outcome.ACCEPTED

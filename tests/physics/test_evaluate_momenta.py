"""Momenta of a molecule that something holds in space: they change, and nobody is blamed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest

from evaluate_samples import make_baseline, make_hybrid, make_molecule, make_run
from kstep.config import EvalConfig
from kstep.integrators.openmm_steps import velocity_verlet
from kstep.interop.parts import read_parts
from kstep.interop.topology import read_positions
from kstep.referee.claims.checks import MECHANICS, adjudicate
from kstep.referee.claims.summary import summary_table
from kstep.referee.compared import Side, make_side
from kstep.referee.metrics import Outcome, load_metrics
from kstep.referee.physics.energy import compare_energies
from kstep.referee.report.chapter import chapter
from kstep.system.mechanics import kinetic_energy
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVE, NVT, Trajectory, trajectory_record
from kstep.workflow import evaluate

RESTRAINT = Path(__file__).parents[1] / "data" / "restraint"
FRAMES, SPACING_PS, DT_PS = 50, 0.1, 0.0005


@pytest.fixture(scope="module")
def held() -> Molecule:
    """Methanol whose centroid is restrained to the origin."""
    parts = read_parts(RESTRAINT / "molecule.pdb", RESTRAINT / "system.xml")
    return Molecule(
        numbers=parts.numbers, masses=parts.masses, bonds=parts.bonds,
        positions=read_positions(RESTRAINT / "molecule.pdb"), constraints=parts.constraints,
        system=(RESTRAINT / "system.xml").read_text(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def exact(held) -> Side:
    """Windows of velocity Verlet at 0.5 fs, the first two taken for runs at 300 K."""
    system = openmm.XmlSerializer.deserialize(held.system)
    frames = []
    for seed in range(6):
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, velocity_verlet(DT_PS), platform)
        context.setPositions(held.positions)
        context.applyConstraints(1e-8)
        context.setVelocitiesToTemperature(300.0, seed + 1)
        for _ in range(FRAMES):
            context.getIntegrator().step(round(SPACING_PS / DT_PS))
            frames.append(context.getState(positions=True, velocities=True, energy=True))
    pos = np.array([frame.getPositions(asNumpy=True)._value for frame in frames])
    vel = np.array([frame.getVelocities(asNumpy=True)._value for frame in frames])
    epot = np.array([frame.getPotentialEnergy()._value for frame in frames])
    ekin = kinetic_energy(vel, held.masses)
    trajectory = Trajectory(
        pos=pos, vel=vel, box=np.zeros((len(pos), 3, 3)), epot=epot, ekin=ekin, etot=epot + ekin,
        times=np.tile(SPACING_PS * np.arange(1.0, FRAMES + 1), 6),
        segment=np.repeat(np.arange(6), FRAMES), segment_kind=np.array([NVT] * 2 + [NVE] * 4),
        segment_temperature=np.full(6, 300.0), force_calls=np.zeros(len(pos), dtype=np.int64),
        numbers=held.numbers, masses=held.masses, record=trajectory_record(),
    )  # fmt: skip
    return make_side(Path("x.npz"), trajectory, 300.0)


def mechanics(molecule: Molecule, side: Side) -> dict[str, Outcome]:
    _, _, measured = compare_energies(EvalConfig(), molecule, side, side)
    asked = [one for one in measured if one.claim == MECHANICS]
    return {check.label: check.outcome for check in adjudicate(asked)}


def test_a_restrained_molecule_is_not_blamed_for_its_momenta(held, exact):
    energy, _, _ = compare_energies(EvalConfig(), held, exact, exact)
    assert max(window.linear_momentum for window in energy.candidate.windows) > 1.0
    assert mechanics(held, exact) == {"largest error of a constrained bond": Outcome.ACCEPTED}
    free = mechanics(replace(held, system=None), exact)
    assert free["largest change of the linear momentum in NVE"] is Outcome.REJECTED


def test_the_report_says_what_is_not_judged(tmp_path):
    system = (RESTRAINT / "system.xml").read_text()
    molecule = make_molecule(tmp_path, system=system)
    sides = [make(molecule, n_frames=160) for make in (make_baseline, make_hybrid)]
    config = make_run(tmp_path, *sides, molecule)
    metrics = load_metrics(evaluate.run(config, [molecule]))
    found = metrics.molecules[0]
    assert found.external_forces == ["CustomCentroidBondForce"]
    claim = next(one for one in found.verdict.claims if one.name == MECHANICS)
    assert [check.label for check in claim.checks] == ["largest error of a constrained bond"]
    said = "CustomCentroidBondForce acts from outside, so they do not stay"
    assert any(said in line for line in chapter(found, {}, {}).absent)
    assert f"sample: momenta are not judged: {said}." in summary_table(metrics)

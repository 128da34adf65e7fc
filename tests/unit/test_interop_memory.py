"""Runs of MDTraj and ASE in memory, and frames written for other programs."""

import ase
import ase.io
import MDAnalysis
import mdtraj
import numpy as np
import pytest
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from rdkit import Chem

from kstep.errors import ArtifactError, MoleculeError
from kstep.interop.formats import read
from kstep.interop.frames import write_extxyz, write_sdf, write_xtc
from kstep.interop.from_ase import trajectory_from_ase
from kstep.interop.from_mdtraj import trajectory_from_mdtraj
from kstep.referee.structure.coordinates import as_mdtraj
from kstep.system.mechanics import kinetic_temperature
from kstep.system.trajectory import NVE, NVT


@pytest.fixture(scope="module")
def frames(phenol, make_sampler, equilibrium):
    return make_sampler(phenol).sample(*equilibrium, 300.0, 2, 50 * 20, 50)


def test_mdtraj_becomes_segments(frames, phenol):
    runs = [as_mdtraj(phenol, frames.pos[:12]), as_mdtraj(phenol, frames.pos[12:])]
    energies = [frames.epot[:12], frames.epot[12:]]
    found = trajectory_from_mdtraj(runs, 300.0, 0.1, phenol, energies)
    np.testing.assert_allclose(found.pos, np.concatenate([run.xyz for run in runs]), atol=1e-7)
    np.testing.assert_array_equal(found.epot, frames.epot)
    np.testing.assert_array_equal(found.numbers, phenol.numbers)
    np.testing.assert_array_equal(found.masses, phenol.masses)
    assert [len(segment) for segment in found.segments(NVT, 300.0)] == [12, 8]
    np.testing.assert_allclose(found.times[[0, 11, 12]], [0.1, 1.2, 0.1])
    assert not found.has_velocities and not found.box.any()
    assert 0 < found.record["position_error_nm"] < 1e-6
    alone = trajectory_from_mdtraj(runs, 310.0, 0.1)
    assert np.isnan(alone.epot).all() and alone.segments(NVT, 310.0)
    np.testing.assert_allclose(alone.masses, phenol.masses, rtol=1e-3)


def in_ase(frames, phenol):
    made = []
    for x, v, energy in zip(frames.pos, frames.vel, frames.epot, strict=True):
        atoms = ase.Atoms(phenol.numbers, 10 * x, masses=phenol.masses)
        atoms.set_velocities(v * units.Ang / (100 * units.fs))  # 1 nm/ps is 0.01 Å/fs
        results = {"energy": energy * units.kJ / units.mol}
        atoms.calc = SinglePointCalculator(atoms, **results)
        made.append(atoms)
    return made


def test_ase_becomes_segments_in_our_units(frames, phenol):
    made = in_ase(frames, phenol)
    found = trajectory_from_ase([made], 300.0, 0.1, phenol, NVE)
    np.testing.assert_allclose(found.pos, frames.pos, atol=1e-12)
    np.testing.assert_allclose(found.vel, frames.vel, rtol=1e-9)
    np.testing.assert_allclose(found.epot, frames.epot, rtol=1e-9)
    np.testing.assert_allclose(found.etot, found.epot + found.ekin)
    kinetic = [atoms.get_kinetic_energy() / (units.kJ / units.mol) for atoms in made]
    np.testing.assert_allclose(found.ekin, kinetic, rtol=1e-9)
    assert len(found.segments(NVE, 300.0)) == 1 and found.has_velocities
    bare = [ase.Atoms(phenol.numbers, 10 * x) for x in frames.pos]
    found = trajectory_from_ase([bare], 300.0, 0.1)
    assert not found.has_velocities and np.isnan(found.epot).all()


def test_temperatures_of_ase_are_ours():
    gas = ase.Atoms("Ar2000", np.random.default_rng(0).normal(size=(2000, 3)))
    MaxwellBoltzmannDistribution(gas, temperature_K=300.0, rng=np.random.default_rng(1))
    found = trajectory_from_ase([[gas]], 300.0, 0.1)
    warm = float(kinetic_temperature(found.vel[0], found.masses, 6000))
    assert warm == pytest.approx(gas.get_temperature(), rel=1e-6)  # its constants are older
    assert warm == pytest.approx(300.0, rel=0.1)


def test_runs_that_do_not_fit_are_refused(frames, phenol, isobutanol):
    run, made = as_mdtraj(phenol, frames.pos), in_ase(frames, phenol)
    with pytest.raises(MoleculeError, match=r"MDTraj holds other atoms than 2-methylpropan-1-ol"):
        trajectory_from_mdtraj([run], 300.0, 0.1, isobutanol)
    with pytest.raises(ArtifactError, match="as many energies as frames"):
        trajectory_from_mdtraj([run], 300.0, 0.1, phenol, [frames.epot[1:]])
    for wrong in ({"frame_ps": 0.0}, {"temperature_K": -1.0}, {"frame_ps": np.nan}):
        with pytest.raises(ArtifactError, match=next(iter(wrong))):
            trajectory_from_mdtraj([run], **{"temperature_K": 300.0, "frame_ps": 0.1, **wrong})
    with pytest.raises(ArtifactError, match="no frames"):
        trajectory_from_mdtraj([], 300.0, 0.1)
    with pytest.raises(ArtifactError, match="no frames"):
        trajectory_from_ase([[]], 300.0, 0.1)
    with pytest.raises(ArtifactError, match="different atoms"):
        trajectory_from_ase([[made[0], made[1][::-1]]], 300.0, 0.1)


def test_xtc_is_read_back(frames, phenol, tmp_path):
    path = tmp_path / "a.xtc"
    times = 0.1 * np.arange(1, 21)
    write_xtc(path, frames.pos, times)
    theirs = mdtraj.load(str(path), top=str(phenol.pdb))
    np.testing.assert_allclose(theirs.xyz, frames.pos, atol=6e-5)
    np.testing.assert_allclose(theirs.time, times, rtol=1e-5)
    universe = MDAnalysis.Universe(str(phenol.pdb), str(path))
    np.testing.assert_allclose(universe.trajectory[7].positions, 10 * frames.pos[7], atol=6e-4)
    (ours,) = read(path, NVT, 300.0)
    assert ours.error == pytest.approx(5e-5)
    before = path.read_bytes()
    write_xtc(path, frames.pos, times)
    assert path.read_bytes() == before


def test_extxyz_is_read_back_by_ase(frames, phenol, tmp_path):
    path = tmp_path / "a.extxyz"
    weights = np.linspace(0.1, 2.0, 20)
    write_extxyz(path, phenol, frames.pos, frames.epot, weights)
    found = ase.io.read(path, ":")
    np.testing.assert_allclose([a.positions / 10 for a in found], frames.pos, atol=1e-9)
    np.testing.assert_allclose([a.info["weight"] for a in found], weights, rtol=1e-9)
    again = trajectory_from_ase([found], 300.0, 0.1, phenol)
    np.testing.assert_allclose(again.epot, frames.epot, atol=1e-6)
    write_extxyz(path, phenol, frames.pos)
    assert np.isnan(trajectory_from_ase([ase.io.read(path, ":")], 300.0, 0.1).epot).all()


def test_sdf_is_read_back_by_rdkit(frames, phenol, tmp_path):
    path = tmp_path / "a.sdf"
    template = (phenol.directory / "molecule.sdf").read_text()
    weights = np.linspace(0.1, 2.0, 20)
    write_sdf(path, template, frames.pos, frames.epot, weights)
    found = list(Chem.SDMolSupplier(str(path), removeHs=False))
    assert len(found) == 20
    for index, molecule in enumerate(found):
        x = molecule.GetConformer().GetPositions() / 10
        np.testing.assert_allclose(x, frames.pos[index], atol=6e-6)
        assert Chem.MolToSmiles(Chem.RemoveHs(molecule)) == "Oc1ccccc1"
        energy, weight = (float(molecule.GetProp(n)) for n in ("energy_kJ_per_mol", "weight"))
        assert (energy, weight) == pytest.approx((frames.epot[index], weights[index]), rel=1e-9)
    with pytest.raises(ArtifactError, match="no mol block of 12 atoms"):
        write_sdf(path, template, frames.pos[:, 1:])

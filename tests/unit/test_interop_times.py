"""When the frames of a foreign file were saved: units, repetitions, and what atoms can do."""

from pathlib import Path

import numpy as np
import pytest

from foreign_samples import relabel_dcd, write_dcd, write_gromacs
from kstep.errors import ArtifactError
from kstep.interop.formats import read
from kstep.interop.parts import read_parts
from kstep.interop.stretch import Stretch
from kstep.interop.timing import check_pace, each_once, spacing_ps
from kstep.system.trajectory import NVT

FILE = Path("theirs.xtc")


@pytest.fixture(scope="module")
def frames(phenol, make_sampler, equilibrium):
    """True dynamics of phenol, every 0.1 ps."""
    return make_sampler(phenol).sample(*equilibrium, 300.0, 2, 50 * 100, 50)


def stretch_of(frames, times=None, **more):
    return Stretch(frames.pos, frames.vel, times, **more)


AKMA = 0.04888821
HEADERS = {
    "LAMMPS, real": (1.0, 100, "REMARKS FILENAME=traj.dcd CREATED BY LAMMPS", 0.1),
    "LAMMPS, metal": (0.001, 100, "REMARKS FILENAME=traj.dcd CREATED BY LAMMPS", 0.1),
    "LAMMPS, every step": (1.0, 1, "CREATED BY LAMMPS", 0.001),
    "CP2K": (0.5, 20, "REMARK CORD DCD file created by CP2K 2024.1", 0.01),
    "NAMD": (0.002 / AKMA, 50, "REMARKS FILENAME=out.dcd CREATED BY NAMD", 0.1),
    "OpenMM": (0.004 / AKMA, 25, "Created by OpenMM", 0.1),
    "CHARMM": (0.001 / AKMA, 100, "* MOLECULE", 0.1),
    "MDAnalysis": (0.1 / AKMA, 1, "Created by MDAnalysis", 0.1),
}


@pytest.mark.parametrize("program", HEADERS)
def test_the_time_step_of_a_dcd_is_in_the_unit_of_its_program(program, frames, tmp_path):
    delta, every, title, expected = HEADERS[program]
    path = tmp_path / "a.dcd"
    write_dcd(path, frames.pos)
    relabel_dcd(path, delta, every, title)
    (found,) = read(path, NVT, 300.0)
    assert spacing_ps(path, found, None, "--frame-ps") == pytest.approx(expected, rel=1e-5)
    assert f"saved every {every} steps" in found.clock
    assert spacing_ps(path, found, 0.7, "--frame-ps") == 0.7


@pytest.mark.parametrize(("delta", "every"), [(1.0, 1), (1.0, 100), (0.5, 1000), (0.0, 5), (2, 0)])
def test_a_time_step_in_a_unit_that_nobody_knows_is_asked_for(delta, every, frames, tmp_path):
    path = tmp_path / "a.dcd"
    write_dcd(path, frames.pos)
    relabel_dcd(path, delta, every, "written by my own program")
    (found,) = read(path, NVT, 300.0)
    with pytest.raises(ArtifactError, match=r"does not say the time .*header.*--frame-ps"):
        spacing_ps(path, found, None, "--frame-ps")


def clock(*stretches):
    return np.concatenate([0.1 * np.arange(*stretch) for stretch in stretches])


RESTARTS = {
    "last frame written twice": (clock((0, 61), (60, 99)), [60]),
    "overlap": (clock((0, 60), (50, 90)), range(50, 60)),
    "twice": (clock((0, 30), (25, 60), (55, 85), (85, 90)), [*range(25, 30), *range(60, 65)]),
}


@pytest.mark.parametrize("restart", RESTARTS)
def test_what_a_restart_wrote_again_is_named_and_counted_once(restart, frames):
    times, gone = RESTARTS[restart]
    assert len(times) == 100
    kept, said = each_once(stretch_of(frames, times))
    left = np.setdiff1d(np.arange(100), gone)
    np.testing.assert_array_equal(kept.pos, frames.pos[left])
    np.testing.assert_array_equal(kept.vel, frames.vel[left])
    assert said.startswith(f"{len(gone)} of 100 frames, from {gone[0]} to {gone[-1]} (from 0)")
    assert spacing_ps(FILE, kept, None, "--frame-ps") == pytest.approx(0.1)


def test_repeated_times_in_single_precision_are_found(frames, tmp_path):
    path = tmp_path / "a.trr"
    write_gromacs(path, frames.pos, frames.vel, 1000 + RESTARTS["overlap"][0])
    (found,) = read(path, NVT, 300.0)
    kept, _ = each_once(found)
    assert len(kept.pos) == 90
    assert spacing_ps(path, kept, None, "--frame-ps") == pytest.approx(0.1, rel=1e-4)


def test_frames_that_come_again_in_a_file_without_times_are_counted_once(frames, tmp_path):
    again = np.r_[0:60, 50:90]
    path = tmp_path / "a.dcd"
    write_dcd(path, frames.pos[again])
    (found,) = read(path, NVT, 300.0)
    kept, said = each_once(found)
    np.testing.assert_allclose(kept.pos, frames.pos[:90], atol=2e-7)
    assert "10 of 100 frames" in said


def test_refused_moves_of_a_sampler_are_no_restarts(frames):
    """A Metropolis test counts a state again and again: leaving that out would be wrong."""
    repeated = frames.pos[np.repeat(np.arange(20), 5)]
    kept, said = each_once(Stretch(repeated, None, 0.1 * np.arange(100)))
    assert len(kept.pos) == 100 and said == ""


@pytest.mark.parametrize(
    "times", [np.zeros(100), clock((0, 50), (0, 50)), clock((0, 25), (0, 25), (0, 25), (0, 25))]
)
def test_several_runs_in_one_file_are_no_restart(times, frames):
    kept, _ = each_once(stretch_of(frames, times))
    assert len(kept.pos) == 100
    with pytest.raises(ArtifactError, match=r"do not increase: give every run a file of its own"):
        spacing_ps(FILE, kept, None, "--frame-ps")


def test_atoms_cannot_go_farther_than_they_are_fast(frames, phenol):
    parts = read_parts(phenol.pdb, phenol.system_xml)

    def pace(spacing, vel=None):
        one = Stretch(frames.pos, vel, None)
        return check_pace(FILE, one, parts, 300.0, spacing, "--frame-ps")

    assert pace(0.1) == pace(0.1, frames.vel) == ""
    assert pace(0.04) == ""
    for vel in (None, frames.vel):
        for wrong in (1e-4, 1e-3, 0.1 / 20.455):
            with pytest.raises(ArtifactError, match=r"go as far between two as takes 0\.0\d+ ps"):
                pace(wrong, vel)
    one = Stretch(frames.pos, None, None)
    with pytest.raises(ArtifactError, match="--nve-frame-ps"):
        check_pace(FILE, one, parts, 300.0, 1e-3, "--nve-frame-ps")


def test_molecules_that_hardly_turn_make_one_doubt_a_long_time(frames, phenol):
    parts = read_parts(phenol.pdb, phenol.system_xml)
    turning = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    about = frames.pos - frames.pos.mean(axis=1, keepdims=True)
    angles = 0.2 * np.arange(len(about))  # two rad/ps, as the heat of 300 K turns phenol
    cos, sin, zero, one = np.cos(angles), np.sin(angles), 0 * angles, 1 + 0 * angles
    spin = np.array([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]]).transpose(2, 0, 1)
    back = np.linalg.svd(np.einsum("tni,nj->tij", about, phenol.positions))
    rigid = np.einsum("tij,tjk->tik", back[0], back[2])
    still = np.einsum("tni,tij->tnj", about, rigid)  # turned onto the first conformer
    turned = np.einsum("tni,ij,tkj->tnk", still, turning, spin)

    def pace(spacing, pos):
        return check_pace(FILE, Stretch(pos, None, None), parts, 300.0, spacing, "--frame-ps")

    assert pace(0.1, turned) == pace(1.0, turned) == ""
    assert "hardly move for frames 4.889 ps apart" in pace(4.889, turned)
    assert pace(4.889, turned[::20]) == ""
    assert pace(4.889, still) == ""  # says nothing about time

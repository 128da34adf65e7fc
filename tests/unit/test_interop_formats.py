"""What files hold, and how exactly."""

import h5py
import mdtraj
import numpy as np
import pytest

from foreign_samples import SPACING, write_dcd, write_gromacs, write_h5md, write_npz
from kstep.errors import ArtifactError
from kstep.interop.checks import check_frames
from kstep.interop.formats import read
from kstep.interop.parts import read_parts
from kstep.interop.stretch import Stretch
from kstep.interop.timing import spacing_ps
from kstep.system.trajectory import NVT


@pytest.fixture(scope="module")
def frames(phenol, make_sampler, equilibrium):
    return make_sampler(phenol).sample(*equilibrium, 300.0, 2, 50 * 20, 50)


def only(path):
    (stretch,) = read(path, NVT, 300.0)
    return stretch


SINGLE = 2.0**-24
HELD = {
    "a.dcd": (lambda p, x: write_dcd(p, x), SINGLE),
    "a.trr": (lambda p, x: write_gromacs(p, x), SINGLE),
    "single.npz": (lambda p, x: write_npz(p, pos=x.astype(np.float32)), SINGLE),
    "double.npz": (lambda p, x: write_npz(p, pos=x), 2.0**-53),
    "b.h5md": (lambda p, x: write_h5md(p, x, x), 2.0**-53),
}


@pytest.mark.parametrize("distance", [0.0, 120.0, 5000.0])
@pytest.mark.parametrize("name", HELD)
def test_the_error_of_a_file_grows_with_the_distance_from_the_origin(
    name, distance, frames, tmp_path
):
    write, relative = HELD[name]
    x = frames.pos + distance
    write(tmp_path / name, x)
    found = only(tmp_path / name)
    # MDAnalysis, which writes them, converts units in single precision: twice more.
    assert np.abs(found.pos - x).max() <= 3 * found.error + 1e-12
    assert found.error <= 2 * relative * np.abs(x).max()


@pytest.mark.parametrize("decimals", [3, 4])
def test_rounded_coordinates_tell_their_decimal(decimals, frames, tmp_path):
    write_npz(tmp_path / "a.npz", pos=(frames.pos + 100).round(decimals))
    assert only(tmp_path / "a.npz").error == pytest.approx(0.5 * 10.0**-decimals)


def test_xtc_tells_its_precision(frames, phenol, tmp_path):
    for precision in (100, 1000, 2500):
        path = tmp_path / f"{precision}.xtc"
        with mdtraj.formats.XTCTrajectoryFile(str(path), "w") as file:
            file.write(frames.pos.astype(np.float32))
        content = bytearray(path.read_bytes())
        assert only(path).error == pytest.approx(0.0005)
        step = len(content)  # the precision stands in every frame: as a great-endian float
        found = content.find(np.array(1000.0, ">f4").tobytes())
        while found >= 0:
            content[found : found + 4] = np.array(precision, ">f4").tobytes()
            found = content.find(np.array(1000.0, ">f4").tobytes(), found + 4)
        path.write_bytes(bytes(content))
        assert len(content) == step
        assert only(path).error == pytest.approx(0.5 / precision)


def test_coordinates_too_coarse_to_judge_bonds_by_are_refused(frames, phenol, tmp_path):
    parts = read_parts(phenol.pdb, phenol.system_xml)
    for distance, decimals in ((0.0, 2), (1e5, 9)):
        path = tmp_path / "a.npz"
        write_npz(path, pos=(frames.pos + distance).astype(np.float32).round(decimals))
        with pytest.raises(ArtifactError, match=r"a\.npz holds coordinates to 0\.0\d+ nm only, up"):
            check_frames(path, only(path), parts, 16)


def test_h5md_may_say_one_increment_for_all_times(frames, tmp_path):
    path = tmp_path / "a.h5md"
    write_h5md(path, 10 * frames.pos, 0.01 * frames.vel, ("Angstrom", "Angstrom fs-1", "fs"))
    with h5py.File(path, "a") as file:
        for name in ("position", "velocity"):
            element = file[f"particles/trajectory/{name}"]
            for key, increment in (("step", 50), ("time", 1000 * SPACING)):
                attributes = dict(element[key].attrs)
                del element[key]
                element[key] = increment
                element[key].attrs.update({**attributes, "offset": increment})
    found = only(path)
    np.testing.assert_allclose(found.pos, frames.pos, atol=1e-9)
    np.testing.assert_allclose(found.vel, frames.vel, atol=1e-9)
    assert spacing_ps(path, found, None, "--frame-ps") == pytest.approx(SPACING)


def test_velocities_saved_less_often_are_none(frames, tmp_path):
    path = tmp_path / "a.h5md"
    write_h5md(path, frames.pos, frames.vel)
    with h5py.File(path, "a") as file:
        velocity = file["particles/trajectory/velocity"]
        velocity["time"][...] += 0.05  # at other times
    assert only(path).vel is None


def test_files_of_mdtraj_are_read(frames, tmp_path):
    """By MDTraj's description of its format; its own writer wants PyTables."""
    path = tmp_path / "theirs.h5"
    arrays = {
        "coordinates": (frames.pos, "nanometers"),
        "velocities": (frames.vel, "nanometers/picosecond"),
        "time": (3 + SPACING * np.arange(len(frames.pos)), "picoseconds"),
    }
    with h5py.File(path, "w") as file:
        file.attrs.update(conventions="Pande", program="MDTraj", topology="{}")
        for name, (array, unit) in arrays.items():
            file[name] = array.astype(np.float32)
            file[name].attrs["units"] = np.bytes_(unit)
    found = only(path)
    np.testing.assert_allclose(found.pos, frames.pos, atol=1e-6)
    np.testing.assert_allclose(found.vel, frames.vel, atol=1e-6)
    assert spacing_ps(path, found, None, "--frame-ps") == pytest.approx(SPACING, rel=1e-5)
    with h5py.File(path, "a") as file:
        del file["velocities"], file["time"]
    found = only(path)
    assert found.vel is found.times is None


def test_other_hdf5_is_said_to_be_other(frames, tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["observables/energy"] = [1.0]
    with pytest.raises(ArtifactError, match=r"neither H5MD .* nor MDTraj's"):
        only(path)
    write_h5md(path, frames.pos, frames.vel, ("nm", "parsec yr-1", "ps"))
    with pytest.raises(ArtifactError, match=r"velocities in 'parsec yr-1', a unit"):
        only(path)
    with h5py.File(path, "a") as file:
        file.copy("particles/trajectory", "particles/solvent")
    with pytest.raises(ArtifactError, match="2 groups of particles"):
        only(path)


def test_a_stretch_keeps_what_belongs_to_its_frames(frames, phenol):
    one = Stretch(frames.pos, frames.vel, np.arange(20.0), 0.1, "x", 1e-7, phenol.numbers)
    part = one.only(np.arange(20) % 2 == 0)
    np.testing.assert_array_equal(part.vel, frames.vel[::2])
    assert (len(part.pos), len(part.times), part.error, part.clock) == (10, 10, 1e-7, "x")

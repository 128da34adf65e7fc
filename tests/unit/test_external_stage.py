"""Somebody else's trajectory: every format read right, every fault said in one sentence."""

import os
import re
from dataclasses import replace

import numpy as np
import openmm
import pytest
from openmm import app, unit

from foreign_samples import (
    SPACING,
    change_system,
    write_dcd,
    write_gromacs,
    write_h5md,
    write_npz,
)
from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ArtifactError, ConfigError
from kstep.interop.parts import read_parts
from kstep.potentials.systems import load_system
from kstep.system.mechanics import kinetic_energy
from kstep.system.motion import load_motion, motion_of
from kstep.system.prepared import load_molecules
from kstep.system.trajectory import NVE, NVT, Trajectory, load_trajectory, trajectory_record
from kstep.workflow.external.stage import Request, run
from regressed import PROPAGATOR

N_FRAMES = 30
TURN = np.array([1, -1, -1])
"""By half a turn about x: other frames of the same run."""


@pytest.fixture(scope="module")
def truth(phenol, make_sampler, equilibrium):
    """Frames of true dynamics, every 0.1 ps."""
    return make_sampler(phenol).sample(*equilibrium, 300.0, 2, 50 * N_FRAMES, 50)


@pytest.fixture
def request_for(tmp_path, phenol):
    def make(*paths, **options):
        return Request(paths, phenol.pdb, phenol.system_xml, **options)

    return make


@pytest.fixture
def config(tmp_path):
    return load_config([PROPAGATOR], [f"paths.run={tmp_path / 'run'}", "hybrid.platform=Reference"])


def ours(truth, phenol, kinds=(NVT,), **record):
    n_segments, n_frames = len(kinds), len(truth.epot)
    repeated = [np.concatenate([a] * n_segments) for a in (truth.pos, truth.vel, truth.epot)]
    ekin = kinetic_energy(repeated[1], phenol.masses)
    return Trajectory(
        pos=repeated[0],
        vel=repeated[1],
        box=np.zeros((len(ekin), 3, 3)),
        epot=repeated[2],
        ekin=ekin,
        etot=repeated[2] + ekin,
        times=np.tile(SPACING * np.arange(1, n_frames + 1), n_segments),
        segment=np.repeat(np.arange(n_segments), n_frames),
        segment_kind=np.array(kinds),
        segment_temperature=np.full(n_segments, 300.0),
        force_calls=np.zeros(len(ekin), dtype=np.int64),
        numbers=phenol.numbers,
        masses=phenol.masses,
        record=trajectory_record(**record),
    )


def result_of(outcome):
    config, molecule = outcome
    return load_trajectory(config.paths.run / "hybrid" / f"{molecule.name}.npz")


WRITERS = {
    "a.dcd": (lambda p, t: write_dcd(p, t.pos), 2e-7),
    "a.xtc": (lambda p, t: write_gromacs(p, t.pos), 6e-4),
    "a.trr": (lambda p, t: write_gromacs(p, t.pos, t.vel), 2e-7),
    "a.h5md": (lambda p, t: write_h5md(p, t.pos, t.vel), 2e-7),
    "b.h5": (
        lambda p, t: write_h5md(p, 10 * t.pos, 0.01 * t.vel, ("Angstrom", "Angstrom fs-1", "ps")),
        2e-7,
    ),
    "a.npz": (
        lambda p, t: write_npz(p, pos=t.pos, vel=t.vel, times_ps=5 + SPACING * np.arange(N_FRAMES)),
        0,
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_frames_that_were_written(
    name, truth, tmp_path, config, request_for, phenol
):
    path = tmp_path / name
    write, precision = WRITERS[name]
    write(path, truth)
    outcome = run(config, request_for(path))
    found = result_of(outcome)
    np.testing.assert_allclose(found.pos, truth.pos, atol=precision)
    np.testing.assert_allclose(found.times, SPACING * np.arange(1, N_FRAMES + 1), rtol=1e-5)
    assert np.abs(found.epot - truth.epot).max() < (5.0 if name == "a.xtc" else 0.01)
    assert found.record["rounding_nm"] == (0.001 if name == "a.xtc" else 0)
    assert found.has_velocities == (name not in ("a.dcd", "a.xtc"))
    if found.has_velocities:
        np.testing.assert_allclose(found.vel, truth.vel, atol=2e-6)
        np.testing.assert_allclose(found.etot, found.epot + found.ekin)
    else:
        assert np.isnan(found.vel).all() and np.isnan(found.etot).all()
    assert found.record["candidate"] == name
    assert found.record["temperatures_K"] == [300.0]
    assert "k_steps" not in found.record
    assert sorted(file.name for file in tmp_path.iterdir()) == [name, "run"]


def test_the_molecule_and_the_configuration_serve_the_baseline(
    truth, tmp_path, config, request_for, phenol
):
    path = tmp_path / "my run (2).npz"
    write_npz(path, pos=truth.pos)
    own, molecule = run(config, request_for(path, frame_ps=SPACING))
    assert own.paths.data.parent == tmp_path / "run" / "external"
    assert own.paths.run == tmp_path / "run" / "external" / "my_run_2"
    assert [m.name for m in load_molecules(own.paths.data / "raw")] == [molecule.name]
    assert re.fullmatch("molecule_[0-9a-f]{8}", molecule.name)
    np.testing.assert_array_equal(molecule.numbers, phenol.numbers)
    np.testing.assert_array_equal(molecule.masses, phenol.masses)
    np.testing.assert_array_equal(molecule.constraints, phenol.constraints)
    bonds = [{frozenset(bond) for bond in m.bonds.tolist()} for m in (molecule, phenol)]
    assert bonds[0] == bonds[1]
    assert result_of((own, molecule)).record["fingerprint"] == molecule.fingerprint
    md = own.md
    load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    assert (md.nonbonded_cutoff_nm, md.burst.count, md.temperatures) == (None, 0, (300.0,))
    type(own).model_validate(own.model_dump())
    reread = read_parts(molecule.pdb, molecule.system_xml)
    np.testing.assert_array_equal(reread.numbers, phenol.numbers)


@pytest.mark.parametrize(
    ("given", "used"), [((2.0, 50), (1.0, 100)), ((0.5, 40), (0.5, 40)), ((1.5, 10), (1.0, 15))]
)
def test_the_baseline_is_the_limit_of_small_steps(
    given, used, truth, tmp_path, config, request_for
):
    path = tmp_path / "a.npz"
    write_npz(path, pos=truth.pos)
    md = config.md.model_copy(update={"dt_fs": given[0], "save_interval_steps": given[1]})
    own, _ = run(config.model_copy(update={"md": md}), request_for(path, frame_ps=SPACING))
    assert (own.md.dt_fs, own.md.save_interval_steps) == used


def test_candidates_of_one_system_share_a_molecule_and_overwrite_nothing(
    truth, tmp_path, config, request_for, phenol
):
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    write_npz(first, pos=truth.pos)
    write_npz(second, pos=truth.pos[5:])
    outcomes = [run(config, request_for(path, frame_ps=SPACING)) for path in (first, second)]
    prints = [result_of(outcome).record["fingerprint"] for outcome in outcomes]
    assert prints[0] == prints[1]
    assert [result_of(outcome).record["candidate"] for outcome in outcomes] == ["a.npz", "b.npz"]
    other = change_system(tmp_path / "s.xml", phenol, lambda s: s.removeForce(0))
    request = Request((second,), phenol.pdb, other, frame_ps=SPACING)
    own, molecule = run(config, request)
    assert molecule.name != outcomes[0][1].name
    assert [m.name for m in load_molecules(own.paths.data / "raw")] == [molecule.name]


def test_other_settings_make_another_baseline_beside_the_first(
    truth, tmp_path, config, request_for
):
    path = tmp_path / "a.npz"
    write_npz(path, pos=truth.pos)

    def baseline(temperature=None, **changes):
        changed = config.model_copy(update={"md": config.md.model_copy(update=changes)})
        own, _ = run(changed, request_for(path, frame_ps=SPACING, temperature=temperature))
        return own.paths.data

    same = [baseline(), baseline(300.0), baseline(workers=1)]
    others = [baseline(310.0), baseline(friction_per_ps=0.1), baseline(dt_fs=0.5)]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 4


def test_the_temperature_is_the_one_asked_for(truth, tmp_path, config, request_for):
    path = tmp_path / "a.npz"
    write_npz(path, pos=truth.pos)
    outcome = run(config, request_for(path, frame_ps=SPACING, temperature=310.0))
    assert outcome[0].md.temperatures == outcome[0].hybrid.temperatures == (310.0,)
    found = result_of(outcome)
    assert found.record["temperatures_K"] == [310.0]
    assert len(found.segments(NVT, 310.0)) == 1
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"--temperature .* is no temperature"):
            run(config, request_for(path, frame_ps=SPACING, temperature=wrong))


def test_the_conformer_is_a_minimum(truth, tmp_path, config, request_for, make_dynamics):
    path = tmp_path / "a.npz"
    write_npz(path, pos=truth.pos)
    _, molecule = run(config, request_for(path, frame_ps=SPACING))
    dynamics = make_dynamics(molecule)
    _, minimum = dynamics.evaluate(molecule.positions)
    assert minimum < truth.epot.min() - 10


def test_several_files_are_replicas_and_equal_input_gives_equal_bytes(
    truth, tmp_path, config, request_for
):
    paths = [tmp_path / f"{label}.npz" for label in "ab"]
    for path, turn in zip(paths, (1, TURN), strict=True):
        write_npz(path, pos=truth.pos * turn, vel=truth.vel * turn)
    outcome = run(config, request_for(*paths, frame_ps=0.5))
    found = result_of(outcome)
    assert [len(frames) for frames in found.segments(NVT, 300.0)] == [N_FRAMES] * 2
    np.testing.assert_allclose(found.times[N_FRAMES:], 0.5 * np.arange(1, N_FRAMES + 1))
    file = outcome[0].paths.run / "hybrid" / f"{outcome[1].name}.npz"
    before = hash_file(file)
    run(config, request_for(*paths, frame_ps=0.5))
    assert hash_file(file) == before


def test_windows_of_constant_energy_follow_and_need_velocities(
    truth, tmp_path, config, request_for
):
    nvt, window, without = tmp_path / "a.npz", tmp_path / "b.trr", tmp_path / "c.xtc"
    write_npz(nvt, pos=truth.pos * TURN, vel=truth.vel * TURN)
    write_gromacs(window, truth.pos, truth.vel)
    write_gromacs(without, truth.pos)
    found = result_of(run(config, request_for(nvt, nve=(window,), frame_ps=0.5)))
    (sampled,), (conserved,) = found.segments(NVT, 300.0), found.segments(NVE, 300.0)
    assert (sampled[0], conserved[0]) == (0, N_FRAMES)
    np.testing.assert_allclose(found.times[sampled], 0.5 * np.arange(1, N_FRAMES + 1))
    np.testing.assert_allclose(found.times[conserved], SPACING * np.arange(1, N_FRAMES + 1), 1e-5)
    np.testing.assert_allclose(found.pos[conserved], truth.pos, atol=2e-7)
    assert found.record["candidate"] == "a.npz"
    found = result_of(run(config, request_for(nvt, nve=(window,), frame_ps=0.5, nve_frame_ps=0.2)))
    assert found.times[conserved[0]] == pytest.approx(0.2)
    with pytest.raises(ArtifactError, match=r"c\.xtc holds no velocities.*leave out --nve"):
        run(config, request_for(nvt, nve=(without,), frame_ps=0.5))
    with pytest.raises(ArtifactError, match=r"c\.xtc holds no velocities and others do"):
        run(config, request_for(without, nve=(window,)))


@pytest.fixture(scope="module")
def windows(phenol, make_sampler, equilibrium):
    """NVE windows of phenol with a frame every 2 fs, the second shorter."""
    sampler = make_sampler(phenol)
    x, v = equilibrium
    return [sampler.window(x, v, 40, 1), sampler.window(x, -v, 35, 1)]


def test_densely_saved_windows_are_kept_as_motion(windows, truth, tmp_path, config, request_for):
    nvt = tmp_path / "a.npz"
    write_npz(nvt, pos=truth.pos, vel=truth.vel)
    nve = [tmp_path / f"nve{index}.npz" for index in range(2)]
    for path, window in zip(nve, windows, strict=True):
        times = 0.002 * np.arange(len(window.pos))
        write_npz(path, pos=window.pos, vel=window.vel, times_ps=times)
    own, molecule = run(config, request_for(nvt, nve=tuple(nve), frame_ps=SPACING))
    file = motion_of(own.paths.run / "hybrid" / f"{molecule.name}.npz")
    motion = load_motion(file)
    assert (own.md.dt_fs, motion.spacing) == (1.0, 0.002)
    assert motion.vel.shape == (2, 35, 13, 3)
    for index, window in enumerate(windows):
        np.testing.assert_allclose(motion.vel[index], window.vel[:35], atol=1e-6)
        np.testing.assert_allclose(motion.epot[index], window.epot[:35], atol=1e-6)
        total = window.epot[:35] + kinetic_energy(window.vel[:35], molecule.masses)
        np.testing.assert_allclose(motion.epot[index] + motion.ekin[index], total, atol=1e-6)
    assert (motion.record["fingerprint"], motion.record["temperature_K"]) == (
        molecule.fingerprint, 300.0
    )  # fmt: skip
    for spacing, kept in ((0.064, True), (0.1, False)):
        run(config, request_for(nvt, nve=tuple(nve), frame_ps=SPACING, nve_frame_ps=spacing))
        assert file.exists() == kept
    run(config, request_for(nvt, frame_ps=SPACING))
    assert not file.exists()


@pytest.mark.parametrize(
    ("dense", "given", "step"),
    [(0.7, 2.0, 0.7), (1.0, 2.0, 1.0), (1.5, 2.0, 0.75), (4.0, 2.0, 1.0), (4.0, 0.5, 0.5),
     (2.5, 2.0, 2.5 / 3), (2.0 + 1e-5, 1.0, 1.0), (0.1 + 1e-7, 1.0, 0.1)],
)  # fmt: skip
def test_the_baseline_steps_through_the_frames_of_dense_windows(
    dense, given, step, windows, truth, tmp_path, config, request_for
):
    nvt, nve = tmp_path / "a.npz", tmp_path / "b.npz"
    write_npz(nvt, pos=truth.pos, vel=truth.vel)
    write_npz(nve, pos=windows[0].pos, vel=windows[0].vel)
    given = config.model_copy(update={"md": config.md.model_copy(update={"dt_fs": given})})
    options = {"frame_ps": SPACING, "nve_frame_ps": 1e-3 * dense}
    if dense < 0.5:  # what atoms cannot do in so short a time
        with pytest.raises(ArtifactError, match=r"go as far .*--nve-frame-ps"):
            run(given, request_for(nvt, nve=(nve,), **options))
        return
    own, molecule = run(given, request_for(nvt, nve=(nve,), **options))
    assert own.md.dt_fs == pytest.approx(step)
    motion = load_motion(motion_of(own.paths.run / "hybrid" / f"{molecule.name}.npz"))
    ratio = motion.spacing / own.md.dt_ps
    assert ratio == pytest.approx(round(ratio), abs=1e-9)


def test_the_coarsest_file_tells_the_rounding(truth, tmp_path, config, request_for):
    rounded, exact = tmp_path / "a.npz", tmp_path / "b.npz"
    write_npz(rounded, pos=truth.pos.round(3))
    write_npz(exact, pos=truth.pos)
    found = result_of(run(config, request_for(exact, rounded, frame_ps=SPACING)))
    assert found.record["rounding_nm"] == 0.001


def test_files_of_kstep_give_the_segments_asked_for(truth, tmp_path, config, request_for, phenol):
    path = tmp_path / "ours.npz"
    mixed = ours(truth, phenol, (NVT, NVT, NVE))
    turned = mixed.pos.copy()
    for index, sign in enumerate(([1, 1, 1], [-1, -1, 1], [1, -1, -1])):
        turned[index * N_FRAMES : (index + 1) * N_FRAMES] *= sign
    mixed = replace(mixed, pos=turned)
    mixed.save(path)
    found = result_of(run(config, request_for(path)))
    assert (len(found.segments(NVT)), len(found.segments(NVE))) == (2, 0)
    found = result_of(run(config, request_for(path, nve=(path,))))
    assert (len(found.segments(NVT)), len(found.segments(NVE))) == (2, 1)
    np.testing.assert_allclose(found.epot, mixed.epot, atol=1e-6)
    warmer = load_config([PROPAGATOR], [f"paths.run={tmp_path / 'x'}", "hybrid.temperature_K=310"])
    with pytest.raises(ArtifactError, match="no NVT frames at 310 K"):
        run(warmer, request_for(path))
    replace(ours(truth, phenol), numbers=phenol.numbers[::-1].copy()).save(path)
    with pytest.raises(ArtifactError, match="other elements"):
        run(config, request_for(path))
    replace(ours(truth, phenol), masses=2 * phenol.masses).save(path)
    with pytest.raises(ArtifactError, match="other masses"):
        run(config, request_for(path))


def with_nan(pos):
    bad = pos.copy()
    bad[7, 3, 1] = np.nan
    return bad


def broken(pos):
    bad = pos.copy()
    bad[4, 12] += [2.0, 0, 0]
    return bad


def stretched(pos):
    bad = pos.copy()
    bad[:, 12] += 0.1 * (bad[:, 12] - bad[:, 6])
    return bad


FAULTS = {
    "10 times too long": (lambda t: {"pos": 10 * t.pos}, r"typically 1\.\d+ nm: .*another unit"),
    "10 times too short": (lambda t: {"pos": 0.1 * t.pos}, r"another unit"),
    "NaN": (lambda t: {"pos": with_nan(t.pos)}, r"not numbers, first in frame 7"),
    "broken": (lambda t: {"pos": broken(t.pos)}, r"between atoms 6 and 12 in frame 4.*whole"),
    "unconstrained": (lambda t: {"pos": stretched(t.pos)}, r"violates the constraints .* 4\.1 %"),
    "no frames": (lambda t: {"pos": t.pos[:0]}, r"has 0 frames, 16 are needed"),
    "few frames": (lambda t: {"pos": t.pos[:15]}, r"has 15 frames, 16 are needed"),
    "fewer atoms": (lambda t: {"pos": t.pos[:, :12]}, r"has 12 atoms and .*phenol.* has 13"),
    "permuted": (lambda t: {"pos": t.pos[:, ::-1]}, r"in another order"),
    "still": (lambda t: {"pos": t.pos[[3] * N_FRAMES]}, r"same coordinates in all of its frames"),
    "complex": (lambda t: {"pos": t.pos + 0j}, r"complex128 under 'pos': save real"),
    "text": (lambda t: {"pos": t.pos, "vel": t.vel.astype(str)}, r"<U\d+ under 'vel': save real"),
    "no pos": (lambda t: {"xyz": t.pos}, r"lacks the array 'pos'"),
    "flat": (lambda t: {"pos": t.pos.reshape(N_FRAMES, -1)}, r"arrays of the wrong shape"),
    "vel in Å/ps": (lambda t: {"pos": t.pos, "vel": 10 * t.vel}, r"velocities of .* another unit"),
    "vel NaN": (lambda t: {"pos": t.pos, "vel": with_nan(t.vel)}, r"velocities that are not num"),
    "times": (
        lambda t: {"pos": t.pos, "times_ps": np.zeros(N_FRAMES)},
        r"do not increase: .*--frame-ps",
    ),
    "gap": (
        lambda t: {"pos": t.pos, "times_ps": np.r_[0:20, 21:31] * SPACING},
        r"not equally spaced",
    ),
    "no times": (lambda t: {"pos": t.pos}, r"does not say the time .*--frame-ps"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_trajectory_is_refused_in_one_sentence(fault, truth, tmp_path, config, request_for):
    arrays, sentence = FAULTS[fault]
    path = tmp_path / "candidate.npz"
    write_npz(path, **arrays(truth))
    with pytest.raises(ArtifactError, match=sentence) as caught:
        run(config, request_for(path))
    message = str(caught.value)
    assert str(path) in message and message.endswith(".") and "\n" not in message
    assert not (tmp_path / "run").exists()


def test_dcd_that_does_not_know_its_time_asks_for_it(truth, tmp_path, config, request_for):
    path = tmp_path / "a.dcd"
    write_dcd(path, truth.pos, spacing=0.04888821)  # what mdtraj and VMD write: delta 1
    with pytest.raises(ArtifactError, match="--frame-ps"):
        run(config, request_for(path))
    found = result_of(run(config, request_for(path, frame_ps=0.2)))
    assert found.times[1] == pytest.approx(0.4)
    with pytest.raises(ArtifactError, match="--frame-ps -1"):
        run(config, request_for(path, frame_ps=-1.0))


def test_files_of_openmm_are_read(truth, tmp_path, config, request_for, phenol):
    path = tmp_path / "openmm.dcd"
    topology = app.PDBFile(str(phenol.pdb)).topology
    with path.open("wb") as stream:
        file = app.DCDFile(stream, topology, 0.002 * unit.picosecond, 0, 50)
        for x in truth.pos:
            file.writeModel(x * unit.nanometer)
    found = result_of(run(config, request_for(path)))
    np.testing.assert_allclose(found.pos, truth.pos, atol=2e-7)
    np.testing.assert_allclose(found.times, SPACING * np.arange(1, N_FRAMES + 1), rtol=1e-5)


def test_a_dcd_that_promises_more_frames_is_refused(truth, tmp_path, config, request_for):
    path = tmp_path / "a.dcd"
    write_dcd(path, truth.pos)
    whole = path.read_bytes()
    path.write_bytes(whole[:-400])
    with pytest.raises(ArtifactError, match=r"a\.dcd promises 30 frames and holds 28: .*cut short"):
        run(config, request_for(path))
    path.write_bytes(whole[:8] + bytes(4) + whole[12:])  # 0: as of a run that was never closed
    assert result_of(run(config, request_for(path))).n_frames == N_FRAMES


@pytest.mark.parametrize("kept", [30, 200])
def test_a_trr_that_ends_within_a_frame_is_refused(kept, truth, tmp_path, config, request_for):
    path = tmp_path / "a.trr"
    write_gromacs(path, truth.pos, truth.vel)
    whole = path.read_bytes()
    per_frame = len(whole) // N_FRAMES
    path.write_bytes(whole[: 20 * per_frame + kept])  # within a header, within positions
    with pytest.raises(ArtifactError, match=r"a\.trr (ends within a frame|cannot be read)"):
        run(config, request_for(path))
    path.write_bytes(whole[: 20 * per_frame])
    assert result_of(run(config, request_for(path))).n_frames == 20


def test_unreadable_files_are_said(truth, tmp_path, config, request_for, capfd):
    for name in ("a.dcd", "a.xtc", "a.trr", "a.h5md", "a.npz"):
        path = tmp_path / name
        with pytest.raises(ArtifactError, match=rf"{name} does not exist"):
            run(config, request_for(path))
        path.write_bytes(b"not a trajectory at all" * 20)
        with pytest.raises(ArtifactError, match=rf"{name} cannot be read as"):
            run(config, request_for(path))
    with pytest.raises(ArtifactError, match=r"a\.mdcrd is of no known .* format"):
        run(config, request_for(tmp_path / "a.mdcrd"))
    write_h5md(tmp_path / "u.h5md", truth.pos, truth.vel, (None, None, None))
    with pytest.raises(ArtifactError, match=r"u\.h5md does not say in which units"):
        run(config, request_for(tmp_path / "u.h5md"))
    assert "Traceback" not in capfd.readouterr().err


def test_replicas_must_differ_and_share_their_spacing(truth, tmp_path, config, request_for):
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    write_npz(first, pos=truth.pos, times_ps=SPACING * np.arange(N_FRAMES))
    write_npz(second, pos=truth.pos, times_ps=0.2 * np.arange(N_FRAMES))
    with pytest.raises(ArtifactError, match=r"b\.npz has a frame every 0\.2 ps and .* every 0\.1"):
        run(config, request_for(first, second))
    for options in ({"nve": (first,)}, {}):
        paths = (first,) if options else (first, first)
        with pytest.raises(ArtifactError, match=r"a\.npz holds the same frames as .*a\.npz"):
            run(config, request_for(*paths, **options))


def test_parts_of_one_run_are_no_independent_runs(truth, tmp_path, config, request_for):
    """As a restart leaves them; a state that two runs start from is no fault."""
    paths = [tmp_path / f"{label}.npz" for label in "ab"]
    write_npz(paths[0], pos=truth.pos[:20])
    write_npz(paths[1], pos=truth.pos[10:])
    with pytest.raises(
        ArtifactError, match=r"b\.npz holds the same frames .*\(10 of 20\).*one file"
    ):
        run(config, request_for(*paths, frame_ps=SPACING))
    write_npz(paths[1], pos=np.concatenate([truth.pos[:1], truth.pos[20:], truth.pos[20:] * TURN]))
    assert result_of(run(config, request_for(*paths, frame_ps=SPACING))).n_frames == 41


def test_a_file_name_that_is_no_utf_8_is_written_down_as_far_as_it_is(
    truth, tmp_path, config, request_for
):
    path = tmp_path / os.fsdecode(b"caf\xe9.npz")
    write_npz(path, pos=truth.pos)
    found = result_of(run(config, request_for(path, frame_ps=SPACING)))
    assert found.record["candidate"] == found.record["sources"][0]["file"] == "caf?.npz"


def test_what_was_taken_from_the_files_is_said_and_kept(
    truth, tmp_path, config, request_for, capsys
):
    path = tmp_path / "a.npz"
    again = np.r_[0:20, 15:30]
    write_npz(path, pos=truth.pos[again], times_ps=SPACING * again)
    found = result_of(run(config, request_for(path)))
    assert found.n_frames == N_FRAMES
    said = capsys.readouterr().err
    assert f"{path}: 30 frames, one every 0.1 ps (as its times say; 5 of 35 frames, from 15" in said
    (source,) = found.record["sources"]
    assert (source["file"], source["frames"]) == ("a.npz", 30)
    assert source["frame_ps"] == pytest.approx(SPACING)
    assert [remark[:14] for remark in source["remarks"]] == ["as its times s", "5 of 35 frames"]
    write_dcd(path.with_suffix(".dcd"), truth.pos)
    run(config, request_for(path.with_suffix(".dcd")))
    assert "one every 0.1 ps (time step 2.04548, saved every 1 steps" in capsys.readouterr().err


def test_a_system_without_solvent_and_constraints_is_judged_as_it_is(
    truth, phenol, tmp_path, config
):
    def strip(system):
        for index in reversed(range(system.getNumConstraints())):
            first, second, length = system.getConstraintParameters(index)
            bonds = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
            bonds.addBond(first, second, length, 3e5)
            system.removeConstraint(index)
        for index in reversed(range(system.getNumForces())):
            if isinstance(system.getForce(index), openmm.GBSAOBCForce):
                system.removeForce(index)

    path = tmp_path / "a.npz"
    write_npz(path, pos=truth.pos)
    system = change_system(tmp_path / "system.xml", phenol, strip)
    own, molecule = run(config, Request((path,), phenol.pdb, system, frame_ps=SPACING))
    assert (own.md.constraints, own.md.implicit_solvent) == ("None", "None")
    assert (own.prep.constraints, own.prep.implicit_solvent) == ("None", "None")
    assert len(molecule.constraints) == 0
    assert np.abs(result_of((own, molecule)).epot - truth.epot).min() > 1

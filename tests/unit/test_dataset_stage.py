"""The dataset stage: what is in the files, resume, and refusals."""

import os
from pathlib import Path

import numpy as np
import pytest

from dataset_samples import MASSES, NUMBERS, write_bursts
from kstep.artifacts import hash_file, write_npz
from kstep.config import Config, load_config
from kstep.errors import ArtifactError, ConfigError
from kstep.regressed import windows as dataset
from kstep.regressed.windows.splits import load_split, windows_of
from kstep.regressed.windows.windows import load_dataset

SIZES = {"butane": 4, "pair": 2, "six": 6}


def _config(data: Path, *overrides: str) -> Config:
    shares = ["dataset.val_molecules=0.34", "dataset.test_molecules=0"]
    return load_config([], [f"paths.data={data}", *shares, *overrides])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def trajectories(data: Path) -> list[Path]:
    sizes = enumerate(SIZES.items())
    return [write_bursts(data / "md", name, n, n_bursts=20, seed=i) for i, (name, n) in sizes]


@pytest.fixture(scope="module")
def paths(data: Path, trajectories: list[Path]) -> dict[int, Path]:
    made = dataset.run(_config(data), trajectories)
    return {int(path.stem.removeprefix("dataset_k")): path for path in made}


def test_every_start_on_the_grid_gives_a_window(paths: dict[int, Path]) -> None:
    assert set(paths) == {4, 8, 12, 16}
    for k_steps, path in paths.items():
        data = load_dataset(path)
        starts = list(range(0, 48 - k_steps + 1, 4))
        assert data.n_windows == 3 * 20 * len(starts)
        for row in range(3):
            for burst in range(20):
                own = (data.molecule_id == row) & (data.window_burst == burst)
                assert data.window_start[own].tolist() == starts


def test_molecules_are_padded_with_nothing(paths: dict[int, Path]) -> None:
    data = load_dataset(paths[8])
    assert data.molecules == sorted(SIZES)
    for row, name in enumerate(data.molecules):
        size = SIZES[name]
        np.testing.assert_array_equal(data.atom_types[row, :size], NUMBERS[:size])
        np.testing.assert_array_equal(data.masses[row, :size], MASSES[:size])
        assert not data.atom_types[row, size:].any()
        own = data.molecule_id == row
        for array in (data.x_t, data.v_t, data.f_t, data.v_t_half, data.x_tk, data.v_tk_half):
            assert not array[own][:, size:].any()
            assert array[own][:, :size].any()
            assert array.dtype == np.float32


def test_force_fields_go_with_their_molecules(
    paths: dict[int, Path], trajectories: list[Path]
) -> None:
    data = load_dataset(paths[12])
    for path in trajectories:
        row = data.molecules.index(path.stem)
        with np.load(path) as source:
            for name, array in data.terms.items():
                own = source[f"terms_{name}"]
                np.testing.assert_array_equal(array[row, : len(own)], own)
                assert not array[row, len(own) :].any()
    assert (data.bonds[..., 1] > 0).sum(1).tolist() == [SIZES[n] - 1 for n in data.molecules]


def test_rollout_targets_continue_their_window(paths: dict[int, Path]) -> None:
    """Windows of the same burst that start at k, 2k tell what lies at 2k, 3k."""
    data = load_dataset(paths[16])
    assert len(data.rollout_window) == 3 * 20
    for index, window in enumerate(data.rollout_window):
        assert data.window_start[window] == 0
        same = (data.molecule_id == data.molecule_id[window]) & (
            data.window_burst == data.window_burst[window]
        )
        for jump in (1, 2):
            (later,) = np.flatnonzero(same & (data.window_start == 16 * jump))
            for rollout, end in (
                (data.rollout_x, data.x_tk),
                (data.rollout_v, data.v_tk),
                (data.rollout_f, data.f_tk),
                (data.rollout_v_half, data.v_tk_half),
            ):
                np.testing.assert_array_equal(rollout[index, jump - 1], end[later])


def test_bursts_too_short_for_rollouts_still_give_windows(tmp_path: Path) -> None:
    path = write_bursts(tmp_path / "md", "short", length=16)
    (made,) = dataset.run(_config(tmp_path, "dataset.k_steps=[8]"), [path])
    data = load_dataset(made)
    assert data.n_windows == 20 * 3
    assert data.rollout_x.shape == (0, 2, 4, 3)


def test_records_name_their_sources(paths: dict[int, Path], trajectories: list[Path]) -> None:
    data = load_dataset(paths[12])
    assert data.k_steps == 12
    assert data.dt_ps == 0.002
    assert data.record["source_hashes"] == {p.stem: hash_file(p) for p in trajectories}
    assert data.record["fingerprints"]["six"] == "fingerprint of six"
    split = load_split(paths[12].parents[1] / "splits" / "train.json")
    assert split.record["source_hashes"] == data.record["source_hashes"]
    assert split.record["seed"] == 42


def test_splits_cover_both_kinds(paths: dict[int, Path]) -> None:
    data = load_dataset(paths[8])
    folder = paths[8].parents[1] / "splits"
    train, val, test = (load_split(folder / f"{part}.json") for part in ("train", "val", "test"))
    (unseen,) = val.unseen_molecules
    assert set(train.seen_molecules) == set(SIZES) - {unseen}
    assert test.unseen_molecules == train.unseen_molecules == {}
    # 20 frames: two for the test, two for validation, one unused at each seam.
    for name in train.seen_molecules:
        assert train.seen_molecules[name] == list(range(14))
        assert val.seen_molecules[name] == [15, 16]
        assert test.seen_molecules[name] == [18, 19]
    assert len(windows_of(data, train, "seen")) == 2 * 14 * 11
    assert len(windows_of(data, val, "unseen")) == 20 * 11
    row = data.molecules.index(unseen)
    assert set(data.molecule_id[windows_of(data, val, "unseen")]) == {row}
    assert set(data.window_burst[windows_of(data, val, "seen")]) == {15, 16}
    assert len(windows_of(data, test, "unseen")) == 0


def test_two_runs_write_the_same_bytes(
    tmp_path: Path, paths: dict[int, Path], trajectories: list[Path]
) -> None:
    made = dataset.run(_config(tmp_path), trajectories[::-1])
    assert [hash_file(path) for path in made] == [hash_file(paths[k]) for k in (4, 8, 12, 16)]
    for part in ("train", "val", "test"):
        before = paths[4].parents[1] / "splits" / f"{part}.json"
        assert hash_file(tmp_path / "splits" / f"{part}.json") == hash_file(before)


def test_finished_work_is_kept_and_changed_work_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bursts(tmp_path / "md", "a", seed=1)
    config = _config(tmp_path, "dataset.k_steps=[8]")
    (made,) = dataset.run(config, [path])
    before = hash_file(made)
    with monkeypatch.context() as patch:
        patch.setattr(
            "kstep.regressed.windows.stage.cut_windows", lambda *_: pytest.fail("cut again")
        )
        dataset.run(config, [path])
    os.truncate(made, 5000)
    dataset.run(config, [path])
    assert hash_file(made) == before
    write_bursts(tmp_path / "md", "a", seed=2)
    dataset.run(config, [path])
    assert hash_file(made) != before


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hash_file(path) for path in folder.iterdir()}


def test_another_stride_leaves_the_splits_as_they_are(tmp_path: Path) -> None:
    path = write_bursts(tmp_path / "md", "a")
    dataset.run(_config(tmp_path, "dataset.k_steps=[8]"), [path])
    before = _hashes(tmp_path / "splits")
    dataset.run(_config(tmp_path, "dataset.k_steps=[8,16]"), [path])
    assert _hashes(tmp_path / "splits") == before


def test_other_shares_leave_the_datasets_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bursts(tmp_path / "md", "a")
    dataset.run(_config(tmp_path), [path])
    before = _hashes(tmp_path / "splits")
    monkeypatch.setattr(
        "kstep.regressed.windows.stage.cut_windows", lambda *_: pytest.fail("cut again")
    )
    dataset.run(_config(tmp_path, "dataset.test_segments=0.2"), [path])
    after = _hashes(tmp_path / "splits")
    assert all(after[name] != before[name] for name in before)


def test_another_trajectory_is_not_the_split_of_this_dataset(
    tmp_path: Path, paths: dict[int, Path]
) -> None:
    other = write_bursts(tmp_path / "md", "butane", seed=9)
    dataset.run(_config(tmp_path), [other])
    split = load_split(tmp_path / "splits" / "train.json")
    with pytest.raises(ArtifactError, match="made from different trajectories"):
        windows_of(load_dataset(paths[8]), split, "seen")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"n_bursts": 0}, "holds no bursts"),
        ({"stride": 3, "length": 48}, "every 3 steps, which does not divide k = 8"),
        ({"length": 4}, "bursts of 4 steps, too short for k = 8"),
        ({"burst_vel": np.zeros((20, 13, 3, 3), np.float32)}, "wrong shape"),
        ({"burst_pos": np.full((20, 13, 4, 3), np.nan, np.float32)}, "not finite"),
        ({"burst_frame": np.full(20, 99)}, "does not say how its bursts were made"),
    ],
)
def test_unfit_bursts_are_refused_by_name(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    path = write_bursts(tmp_path / "md", "odd", **change)  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match=complaint) as caught:
        dataset.run(_config(tmp_path, "dataset.k_steps=[8]"), [path])
    assert str(path) in str(caught.value)


def test_mixed_time_steps_are_refused(tmp_path: Path) -> None:
    made = [write_bursts(tmp_path, "a"), write_bursts(tmp_path, "b", dt_ps=0.001)]
    with pytest.raises(ArtifactError, match=r"b\.npz has base steps of 0\.001 ps"):
        dataset.run(_config(tmp_path), made)


def test_molecules_of_two_potentials_are_refused(tmp_path: Path) -> None:
    made = [write_bursts(tmp_path, "a"), write_bursts(tmp_path, "b", potential="gfn2-xtb")]
    with pytest.raises(ArtifactError, match=r"b\.npz is of gfn2-xtb, .*a\.npz of openff-2.2.1 in"):
        dataset.run(_config(tmp_path), made)
    (only, *_) = dataset.run(_config(tmp_path), made[1:])
    assert load_dataset(only).record["potential"] == "gfn2-xtb"


def test_a_molecule_given_twice_is_refused(tmp_path: Path) -> None:
    made = [write_bursts(tmp_path / folder, "a") for folder in ("one", "two")]
    with pytest.raises(ArtifactError, match="both of a"):
        dataset.run(_config(tmp_path), made)


def test_foreign_missing_and_truncated_files_are_refused(tmp_path: Path) -> None:
    foreign, bare, cut = (tmp_path / f"{name}.npz" for name in ("foreign", "bare", "cut"))
    np.savez(foreign, x=np.zeros(3))
    write_npz(bare, {"pos": np.zeros(3)}, {"schema": "kstep.trajectory", "schema_version": 2})
    cut.write_bytes(write_bursts(tmp_path, "whole").read_bytes()[:-500])
    for path, complaint in [
        (foreign, "was not written by kstep"),
        (bare, "lacks the array"),
        (cut, "truncated"),
        (tmp_path / "absent.npz", "is missing"),
    ]:
        with pytest.raises(ArtifactError, match=complaint) as caught:
            dataset.run(_config(tmp_path), [path])
        assert str(path) in str(caught.value)
    with pytest.raises(ArtifactError, match="no trajectories"):
        dataset.run(_config(tmp_path), [])


def test_shares_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    few = write_bursts(tmp_path / "md", "few", n_bursts=3)
    with pytest.raises(ConfigError, match="few has bursts from 3 frames"):
        dataset.run(_config(tmp_path), [few])
    two = [write_bursts(tmp_path / "md", name) for name in "ab"]
    shares = ("dataset.val_molecules=0.5", "dataset.test_molecules=0.5")
    with pytest.raises(ConfigError, match="take all 2 molecules"):
        dataset.run(_config(tmp_path, *shares), two)


def test_readers_refuse_what_is_not_theirs(tmp_path: Path, paths: dict[int, Path]) -> None:
    foreign = tmp_path / "x.json"
    foreign.write_text('{"schema": "other"}')
    with pytest.raises(ArtifactError, match="not a split"):
        load_split(foreign)
    data = load_dataset(paths[4])
    arrays = {key: value for key, value in vars(data).items() if key != "record"}
    for change, complaint in (
        ({"v_t": data.v_t[:-1]}, "different lengths"),
        ({"v_t": np.full_like(data.v_t, np.inf)}, "not finite"),
    ):
        write_npz(tmp_path / "bad.npz", arrays | change, data.record)
        with pytest.raises(ArtifactError, match=complaint):
            load_dataset(tmp_path / "bad.npz")

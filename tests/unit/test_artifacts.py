"""Files are whole or absent, say what they are, and are refused when they are not that."""

import errno
import os

import numpy as np
import pytest

from kstep.artifacts import (
    hash_config,
    hash_file,
    read_json,
    read_npz,
    write_atomically,
    write_json,
    write_npz,
)
from kstep.config import load_config
from kstep.errors import ArtifactError, KstepError

RECORD = {"schema": "test", "schema_version": 1}


def test_npz_round_trip_gives_equal_bytes_for_equal_content(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3)}
    for name in ("one.npz", "two.npz"):
        write_npz(tmp_path / name, arrays, RECORD)
    assert hash_file(tmp_path / "one.npz") == hash_file(tmp_path / "two.npz")
    found, record = read_npz(tmp_path / "one.npz", "test", 1, ["a"])
    np.testing.assert_array_equal(found["a"], arrays["a"])
    assert record == RECORD


def test_a_failing_write_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(stream):
        stream.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence_and_no_debris(tmp_path):
    def full(stream):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(KstepError, match=r"result.npz could not be written \(No space left"):
        write_atomically(tmp_path / "result.npz", full)
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(ArtifactError, match="is missing"):
        read_npz(path, "test", 1, [])
    np.savez(path, a=np.zeros(1))
    with pytest.raises(ArtifactError, match="not written by kstep"):
        read_npz(path, "test", 1, [])
    np.savez(path, record=np.array("[1]"))
    with pytest.raises(ArtifactError, match="not written by kstep"):
        read_npz(path, "test", 1, [])
    np.savez(path, record=np.array("{"))
    with pytest.raises(ArtifactError, match="not an NPZ"):
        read_npz(path, "test", 1, [])
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(ArtifactError, match="not an NPZ"):
        read_npz(path, "test", 1, [])
    write_npz(path, {"a": np.zeros(3)}, RECORD)
    with pytest.raises(ArtifactError, match="not other version 1"):
        read_npz(path, "other", 1, [])
    with pytest.raises(ArtifactError, match="not test version 2"):
        read_npz(path, "test", 2, [])
    with pytest.raises(ArtifactError, match="lacks the array"):
        read_npz(path, "test", 1, ["b"])


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_truncated_files_are_refused(tmp_path, kept):
    path = tmp_path / "a.npz"
    write_npz(path, {"a": np.zeros(1000)}, RECORD)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtifactError, match="truncated or not an NPZ"):
        read_npz(path, "test", 1, ["a"])


def test_json_round_trip_and_refusals(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": 1})
    assert read_json(path) == {"b": 1}
    path.write_text("{")
    with pytest.raises(ArtifactError, match="not a JSON object"):
        read_json(path)


def test_config_hash_depends_on_values_only():
    spelled_out = load_config([], ["md.dt_fs=2.0", "md.seed=42"])
    assert hash_config(spelled_out.md) == hash_config(load_config().md)
    assert hash_config(load_config([], ["md.seed=43"]).md) != hash_config(load_config().md)

"""Two processes train together on CPUs (gloo), as `kstep train` starts them."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from kstep.config import TrainConfig
from kstep.errors import ArtifactError, ConfigError, DeviceError
from kstep.regressed import training as train
from kstep.regressed.training.device import devices, guest
from kstep.regressed.training.stream import BatchStream
from kstep.regressed.training.windows import jump_windows
from train_samples import make_config, make_dataset, make_files

SCRIPT = Path(__file__).parents[1] / "shared_training.py"
LENGTH = ("train.epochs=5", "train.max_minutes=1000")
HANGS_S = 1800
"""Processes that wait for each other wait for ever; a busy machine takes some minutes at most."""
BATCHES, FAIL_AT = 60, 32
"""12 batches an epoch; the last checkpoint before the failure is that of batch 28 or 30."""


def kstep(folder: Path, records: Path, **environment: str) -> subprocess.CompletedProcess:
    """Train with two processes; all that they do is recorded."""
    records.mkdir()
    sections = make_config(folder).model_dump(
        mode="json", include={"model", "train", "hybrid", "paths"}
    )
    overrides = [f"paths.data={folder}", *LENGTH, "train.devices=2", "train.strategy=ddp"]
    path = folder / "config.yaml"
    path.write_text(json.dumps(sections))
    return subprocess.run(
        [sys.executable, SCRIPT, "train", f"--config={path}", *overrides],
        env={**os.environ, "RECORDS": str(records), **environment},
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )


def drawn(records: Path, rank: int) -> list[int]:
    return [int(number) for number in (records / f"drawn_{rank}.txt").read_text().split()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes trained, failed on the way, and went on."""
    folder = tmp_path_factory.mktemp("ddp")
    dataset, _ = make_files(folder)
    (folder / "datasets").mkdir()
    dataset.rename(folder / "datasets" / dataset.name)
    failed = kstep(folder, folder / "before", FAIL_AT=str(FAIL_AT))
    assert failed.returncode == 1
    assert failed.stderr.strip().endswith("kstep: the first process failed.")
    assert "Traceback" not in failed.stderr
    done = kstep(folder, folder / "after")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("train: ") == 1
    assert "GLOBAL_RANK" not in done.stderr
    return folder


def test_every_batch_is_used_once(folder: Path) -> None:
    parts = [drawn(folder / "after", rank) for rank in (0, 1)]
    first = parts[0][0]
    assert 0 < first <= FAIL_AT
    assert parts == [list(range(first, BATCHES, 2)), list(range(first + 1, BATCHES, 2))]
    assert drawn(folder / "before", 1)[:3] == [1, 3, 5]


def test_it_learns_and_is_recorded_once(folder: Path) -> None:
    run = folder / "run" / "train"
    with (run / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["batch"]) for row in rows] == list(range(10, BATCHES + 1, 10))
    assert [int(row["step"]) for row in rows] == list(range(5, BATCHES // 2 + 1, 5))
    assert float(rows[-1]["seen_rel_dx"]) < 0.9 * float(rows[0]["seen_rel_dx"])
    record = json.loads((run / "record.json").read_text())
    assert (record["processes"], record["batches"], record["steps"]) == (2, BATCHES, BATCHES // 2)
    assert sorted(path.name for path in run.glob("*.ckpt")) == ["best.ckpt", "last.ckpt"]


def test_all_processes_end_alike(folder: Path) -> None:
    ends = [json.loads((folder / "after" / f"end_{rank}.json").read_text()) for rank in (0, 1)]
    assert ends[0] == ends[1]
    assert ends[0]["progress"] == 1.0


def test_one_process_does_not_go_on_from_two(folder: Path) -> None:
    config = make_config(folder, *LENGTH)
    data = folder / "datasets" / "dataset_k8.npz"
    with pytest.raises(ArtifactError, match="a training with another number of processes"):
        train.run(config, data, folder / "splits")


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("first", [0, 30])
def test_batches_are_dealt_out_in_turn(processes: int, first: int) -> None:
    """Whoever draws it, batch n is batch n: of its own windows, with its own augmentation."""
    windows = jump_windows(make_dataset(), "half_step")
    chosen = torch.arange(len(windows.molecule))
    config = TrainConfig(batch_size=16, epochs=3, input_noise=0.001)
    alone = list(BatchStream(windows, chosen, config, first))
    streams = [
        BatchStream(windows, chosen, config, first, rank, processes) for rank in range(processes)
    ]
    hands = [list(stream) for stream in streams]
    assert {len(hand) for hand in hands} == {len(alone) // processes}
    dealt = [batch for each in zip(*hands, strict=True) for batch in each]
    assert first + len(dealt) == streams[0].total
    for batch, expected in zip(dealt, alone, strict=False):
        assert torch.equal(batch.start.x, expected.start.x)


def test_cores_are_shared_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    found = []
    for processes in (2, 8):
        with guest(TrainConfig(), processes):
            found.append(torch.get_num_threads())
    assert found == [3, 1]


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices(TrainConfig(devices="auto"), "gpu") == 2
    with pytest.raises(DeviceError, match=r"train\.devices=4, but torch sees 2 GPU"):
        devices(TrainConfig(devices=4), "gpu")


def test_a_launcher_that_started_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert devices(TrainConfig(devices=2, nodes=2), "cpu") == 2
    with pytest.raises(ConfigError, match=r"4 processes were started.*train\.nodes=1 are 2"):
        devices(TrainConfig(devices=2), "cpu")


def test_fewer_batches_than_processes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pl.Trainer, "world_size", 1000)
    with pytest.raises(ConfigError, match="1000 processes have fewer training batches"):
        train.run(make_config(tmp_path), folder / "datasets" / "dataset_k8.npz", folder / "splits")

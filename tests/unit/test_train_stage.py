"""The stage as a whole: it learns, repeats itself exactly, survives a kill, refuses mix-ups."""

import csv
import importlib.util
import itertools
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from kstep.artifacts import hash_config
from kstep.config import Config
from kstep.errors import ArtifactError, ConfigError, DeviceError, KstepError, SimulationError
from kstep.regressed import training as train
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.training import module, provenance
from kstep.regressed.training.device import guest
from kstep.regressed.training.keeper import VALIDATION_WINDOWS, draw_windows
from kstep.regressed.training.module import JumpTraining
from train_samples import make_config, make_files


class KilledError(Exception):
    """Stands for kill -9: nothing can be tidied up."""


Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(files: Files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path]:
    config = make_config(tmp_path_factory.mktemp("finished"))
    return config, train.run(config, *files).parent


def interrupt_at(monkeypatch: pytest.MonkeyPatch, batch: int, error: type) -> Callable[[], None]:
    original = JumpTraining.training_step

    def step(self: JumpTraining, *arguments: object) -> object:
        if self.batches_done == batch:
            raise error
        return original(self, *arguments)

    monkeypatch.setattr(JumpTraining, "training_step", step)
    return lambda: monkeypatch.setattr(JumpTraining, "training_step", original)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_it_learns_and_says_so(finished: tuple[Config, Path]) -> None:
    _, folder = finished
    history = rows(folder)
    assert float(history[-1]["seen_rel_dx"]) < 0.85 * float(history[0]["seen_rel_dx"])
    assert {"lr", "train_position", "train_velocity", "train_momentum", "unseen_rel_dv",
            "seen_rollout_rmsd_nm_3"} <= history[0].keys()  # fmt: skip
    record = json.loads((folder / "record.json").read_text())
    score = record["scores"]["val_seen"]
    assert 0.0 < score["rel_dx"] < 0.7
    assert set(score["by_molecule"]) == {"bent"}
    assert set(record["scores"]["val_unseen"]["by_molecule"]) == {"flat"}
    assert set(score["by_element"]) == {"H", "C", "O"}
    assert len(record["rollout_rmsd_nm"]["test_seen"]) == 3
    assert record["clipped_share"] == 0.0
    assert record["n_parameters"] > 1000


def test_checkpoint_says_what_it_is(finished: tuple[Config, Path]) -> None:
    config, folder = finished
    jump = load_jump(folder / "best.ckpt")
    assert (jump.physics.k_steps, jump.physics.landing) == (8, "half_step")
    assert jump.physics.fingerprints == {"bent": "fingerprint of bent"}
    assert jump.physics.masses_Da == {
        1: (pytest.approx(1.008),),
        6: (pytest.approx(12.011),),
        8: (pytest.approx(15.999),),
    }
    assert jump.model.config == config.model
    assert {"config_hash", "dataset_hash", "split_hashes", "seed", "versions"} <= jump.record.keys()


def test_histogram_counts_every_atom_twice(finished: tuple[Config, Path]) -> None:
    with (finished[1] / "displacements.csv").open() as stream:
        table = list(csv.DictReader(stream))
    true, predicted = (sum(int(row[side]) for row in table) for side in ("true", "predicted"))
    assert true == predicted == 2 * 7 * 4  # bursts, windows each, atoms


def test_same_seed_same_weights(
    finished: tuple[Config, Path], files: Files, tmp_path: Path
) -> None:
    config = make_config(tmp_path)
    again = train.run(config, *files)
    assert again.read_bytes() == (finished[1] / "best.ckpt").read_bytes()
    for name in ("record.json", "metrics.csv", "displacements.csv"):
        assert again.with_name(name).read_bytes() == (finished[1] / name).read_bytes()


def test_a_training_leaves_the_process_as_it_was(files: Files, tmp_path: Path) -> None:
    """Threads, environment variables and random states (beartype draws from Python's own)."""
    torch.set_num_threads(2)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)

    def process() -> tuple[object, ...]:
        numbers = np.random.get_state()  # noqa: NPY002
        return (
            torch.get_num_threads(),
            dict(os.environ),
            (numbers[1].tolist(), numbers[2:]),
            torch.get_rng_state().tolist(),
        )

    before = process()
    train.run(make_config(tmp_path, "train.threads=1"), *files)
    after = process()
    torch.set_num_threads(1)
    assert after == before


def test_another_seed_other_weights(
    finished: tuple[Config, Path], files: Files, tmp_path: Path
) -> None:
    folder = train.run(make_config(tmp_path, "train.seed=7"), *files).parent
    mine, theirs = weights(folder), weights(finished[1])
    assert not all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_killed_and_continued_is_as_if_never_killed(
    accumulate: int, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = (f"train.grad_accum={accumulate}", "train.input_noise=0.001")
    whole = train.run(make_config(tmp_path / "whole", *overrides), *files).parent
    config = make_config(tmp_path / "killed", *overrides)
    for batch in (4, 12, 25):  # before the first checkpoint, between, in a later epoch
        heal = interrupt_at(monkeypatch, batch, KilledError)
        with pytest.raises(KilledError):
            train.run(config, *files)
        heal()
    folder = train.run(config, *files).parent
    expected = weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(folder).items())
    for name in ("best.ckpt", "record.json", "metrics.csv"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_gradient_that_is_not_finite_does_not_spread(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = JumpTraining.training_step

    def step(self: JumpTraining, *arguments: object) -> dict[str, torch.Tensor]:
        outputs = dict(original(self, *arguments))
        if self.batches_done == 5:
            outputs["loss"] = outputs["loss"] * torch.nan
        return outputs

    monkeypatch.setattr(JumpTraining, "training_step", step)
    folder = train.run(make_config(tmp_path, "train.epochs=1"), *files).parent
    assert all(bool(value.isfinite().all()) for value in weights(folder).values())


def test_ctrl_c_gets_through_and_keeps_the_checkpoint(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    interrupt_at(monkeypatch, 12, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        train.run(make_config(tmp_path), *files)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "run" / "train" / "last.ckpt").exists()


def test_finished_training_is_not_repeated(
    finished: tuple[Config, Path], files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 0, KilledError)
    config, folder = finished
    assert train.run(config, *files) == folder / "best.ckpt"


def test_other_tracker_or_threads_are_the_same_training(
    finished: tuple[Config, Path], files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 0, KilledError)
    settings = {"logger": "tensorboard", "threads": 2}
    config = finished[0]
    same = config.model_copy(update={"train": config.train.model_copy(update=settings)})
    assert train.run(same, *files) == finished[1] / "best.ckpt"


@pytest.mark.parametrize("name", ["lr", "arch", "dataset", "split"])
def test_another_training_in_the_same_folder_is_refused(
    name: str, finished: tuple[Config, Path], files: Files, tmp_path: Path
) -> None:
    config, folder = finished
    before = (folder / "best.ckpt").read_bytes()
    dataset, splits = files
    if name == "lr":
        update = {"train": config.train.model_copy(update={"lr": 1e-3})}
        config, what = config.model_copy(update=update), "other settings of model or train"
    elif name == "arch":
        update = {"model": config.model.model_copy(update={"hidden_channels": 8})}
        config, what = config.model_copy(update=update), "other settings of model or train"
    elif name == "dataset":
        (dataset, _), what = make_files(tmp_path, count=21), "another dataset"
    else:
        (_, splits), what = make_files(tmp_path, count=19), "other splits"
    with pytest.raises(ArtifactError, match=rf"record\.json belongs to a training with {what}"):
        train.run(config, dataset, splits)
    assert (folder / "best.ckpt").read_bytes() == before


def test_unfinished_training_with_other_settings_is_refused(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heal = interrupt_at(monkeypatch, 12, KilledError)
    with pytest.raises(KilledError):
        train.run(make_config(tmp_path), *files)
    heal()
    with pytest.raises(
        ArtifactError, match=r"last\.ckpt belongs to a training with other settings"
    ):
        train.run(make_config(tmp_path, "train.lr=1e-3"), *files)


def test_truncated_last_checkpoint(
    finished: tuple[Config, Path], files: Files, tmp_path: Path
) -> None:
    folder = tmp_path / "run" / "train"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").write_bytes((finished[1] / "last.ckpt").read_bytes()[:3000])
    with pytest.raises(ArtifactError, match=r"last\.ckpt is truncated or not a checkpoint"):
        train.run(make_config(tmp_path), *files)


def test_missing_dataset(files: Files, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nowhere\.npz is missing"):
        train.run(make_config(tmp_path), tmp_path / "nowhere.npz", files[1])


def test_dataset_of_another_k(files: Files, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds windows of 8 base steps, not 16"):
        train.run(make_config(tmp_path, "train.k_steps=16"), *files)


def test_nothing_to_validate_with(files: Files, tmp_path: Path) -> None:
    dataset, splits = make_files(tmp_path)
    content = json.loads((splits / "val.json").read_text())
    content |= {"seen_molecules": {}, "unseen_molecules": {}}
    (splits / "val.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"val\.json holds no window"):
        train.run(make_config(tmp_path), dataset, splits)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_gpu(files: Files, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"train\.device=gpu, but torch sees no GPU"):
        train.run(make_config(tmp_path, "train.device=gpu"), *files)


def test_threads_are_those_of_the_cores_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5, 8})
    with guest(make_config(tmp_path, "train.threads=0").train, processes=1):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("tracker", ["wandb", "wandb-offline", "tensorboard"])
def test_absent_tracker(
    tracker: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"train\.logger={tracker} needs the package"):
        train.run(make_config(tmp_path, f"train.logger={tracker}"), *files)


def test_full_disk(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the size of files stands for the disk: the write itself fails."""
    original = pl.Trainer.save_checkpoint
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def save(self: pl.Trainer, path: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            original(self, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", save)
    with pytest.raises(KstepError, match=r"last\.ckpt could not be written \("):
        train.run(make_config(tmp_path), *files)
    assert not list((tmp_path / "run" / "train").glob("*last.ckpt*"))


def test_diverged_training_says_so_again_and_again(files: Files, tmp_path: Path) -> None:
    config = make_config(tmp_path, "train.lr=1e30", "train.epochs=1")
    for _ in range(2):  # the second time from last.ckpt
        with pytest.raises(SimulationError, match=r"diverged.*run/train and lower train\.lr"):
            train.run(config, *files)


def test_a_model_left_by_a_killed_training_is_not_this_ones(
    finished: tuple[Config, Path], files: Files, tmp_path: Path
) -> None:
    folder = tmp_path / "run" / "train"
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes((finished[1] / "best.ckpt").read_bytes())
    with pytest.raises(SimulationError, match="diverged"):
        train.run(make_config(tmp_path, "train.lr=1e30", "train.epochs=1"), *files)
    assert not (folder / "best.ckpt").exists()


@pytest.mark.parametrize("starts", [1, 5, 11])
def test_validation_draws_from_all_window_starts(starts: int) -> None:
    windows = torch.arange(VALIDATION_WINDOWS * starts + 1)
    drawn = draw_windows(windows, VALIDATION_WINDOWS)
    assert len(set(drawn.tolist())) == VALIDATION_WINDOWS
    assert set((drawn % starts).tolist()) == set(range(starts))
    assert torch.equal(drawn, draw_windows(windows, VALIDATION_WINDOWS))


def test_validation_uses_every_window_of_a_few() -> None:
    windows = torch.arange(7, 50)
    assert torch.equal(draw_windows(windows, VALIDATION_WINDOWS), windows)


@pytest.mark.parametrize("killed", [False, True])
def test_early_stop(
    killed: bool, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is learned, so the first validation stays the best; a restart keeps counting."""
    overrides = ("train.lr=1e-12", "train.lr_min=1e-12", "train.patience=3", "train.epochs=50")
    config = make_config(tmp_path, *overrides)
    if killed:
        heal = interrupt_at(monkeypatch, 35, KilledError)
        with pytest.raises(KilledError):
            train.run(config, *files)
        heal()
    assert len(rows(train.run(config, *files).parent)) == 4


LONG = ("train.epochs=100000", "train.val_every_steps=100000")


def test_time_limit(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that takes a second for each batch."""
    ticks = itertools.count()
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(ticks)))
    folder = train.run(make_config(tmp_path, "train.max_minutes=1", *LONG), *files).parent
    (row,) = rows(folder)
    assert 30 < int(row["batch"]) < 62
    assert float(row["lr"]) < 1e-3  # from 1e-2: the decay was fitted to the time


@pytest.mark.parametrize("beside", [(), ("train.max_minutes=1e6",)])
def test_step_limit(beside: tuple[str, ...], files: Files, tmp_path: Path) -> None:
    config = make_config(tmp_path, "train.max_steps=23", *LONG, *beside)
    folder = train.run(config, *files).parent
    (row,) = rows(folder)
    assert int(row["batch"]) == 23
    assert float(row["lr"]) < 2e-4  # from 1e-2: the decay was fitted to the steps


@pytest.mark.parametrize("seconds", [1e-6, 1e4])
def test_the_clock_changes_nothing(
    finished: tuple[Config, Path],
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    """Equal seeds give equal bytes, however long every batch takes."""
    ticks = itertools.count()
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds * next(ticks))
    best = train.run(make_config(tmp_path), *files)
    assert best.read_bytes() == (finished[1] / "best.ckpt").read_bytes()


def test_trainings_without_a_step_limit_are_known_by_what_else_they_are(
    finished: tuple[Config, Path], files: Files
) -> None:
    """As those were that are older than `train.max_steps`."""
    config, folder = finished
    settings = config.train.model_copy(update=provenance._NEUTRAL)
    older = hash_config(config.model, settings, exclude={*provenance._SHARING, "max_steps"})
    assert json.loads((folder / "record.json").read_text())["config_hash"] == older
    limited = config.train.model_copy(update={"max_steps": 5})
    with pytest.raises(ArtifactError, match="with other settings of model or train"):
        train.run(config.model_copy(update={"train": limited}), *files)


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="not installed")
def test_tensorboard(files: Files, tmp_path: Path) -> None:
    folder = train.run(make_config(tmp_path, "train.logger=tensorboard"), *files).parent
    assert list((folder / "tensorboard").glob("events*"))


@pytest.mark.parametrize("settings", [("model.use_force_head=true", "train.lambda_force=0.1"),
                                      ("model.predict_delta=false",),
                                      ("model.max_disp_nm=0.02",),
                                      ("train.landing=step", "hybrid.corrector=none")])  # fmt: skip
def test_options_train_too(settings: tuple[str, ...], files: Files, tmp_path: Path) -> None:
    folder = train.run(make_config(tmp_path, "train.epochs=1", *settings), *files).parent
    record = json.loads((folder / "record.json").read_text())
    assert 0.0 < record["scores"]["val_seen"]["rel_dx"] < 1.5
    assert (record["clipped_share"] > 0.0) == ("model.max_disp_nm=0.02" in settings)
    forces = [float(row["train_force"]) for row in rows(folder)]
    assert (max(forces) > 0.0) == ("model.use_force_head=true" in settings)


def test_a_lost_model_of_a_finished_training_is_trained_again(
    finished: tuple[Config, Path], files: Files, tmp_path: Path
) -> None:
    folder = finished[1]
    config = make_config(tmp_path)
    copy = shutil.copytree(folder, config.paths.run / "train")
    (copy / "best.ckpt").write_bytes(b"damaged")
    best = train.run(config, *files)
    assert best == copy / "best.ckpt"
    assert best.read_bytes() == (folder / "best.ckpt").read_bytes()

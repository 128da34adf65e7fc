"""A splitting learns a force: its loss, its training, its checkpoint, its settings."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kstep.config import TrainConfig, load_config
from kstep.errors import ConfigError
from kstep.regressed import training as train
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.splitting import SplittingJump
from kstep.regressed.training.objective import force_loss, jump_loss, training_loss
from kstep.regressed.training.windows import WindowBatch, jump_windows
from model_samples import SPLITTINGS, make_model
from regressed import PROPAGATOR
from splitting_samples import KICKS, Force, Sample, hydroxylamine, make_splitting
from train_samples import DT, K, make_config, make_dataset, make_files

CONFIGS = Path(__file__).parents[2] / "configs"
SETTINGS = (
    "model.arch=splitting",
    "model.hidden_channels=8",
    "model.rbf_size=6",
    "train.landing=closing_kick",
    "hybrid.corrector=closing_kick",
)


class Known(nn.Module):
    """A learned force that has learned this much of `springs`, and something else along bonds."""

    def __init__(self, sample: Sample, share: float, along: float = 0.0) -> None:
        super().__init__()
        self.sample, self.share, self.along = sample, share, along

    def force_of(self, *_: object) -> Force:
        return self._force

    def _force(self, x: Tensor) -> Tensor:
        rigid = self.sample.rigid(len(x))
        along = rigid.incidence.transpose(1, 2) @ (rigid.incidence @ x)
        return self.share * self.sample.springs(x) + self.along * along


def knowing(sample: Sample, share: float, along: float = 0.0) -> SplittingJump:
    model = make_splitting()
    model.learned = Known(sample, share, along)
    return model


def test_the_loss_is_the_squared_relative_error_of_the_force() -> None:
    sample = hydroxylamine()
    start = sample.states(5)
    for share, expected in ((1.0, 0.0), (0.0, 1.0), (0.7, 0.09), (2.0, 1.0)):
        loss = force_loss(knowing(sample, share), start)
        assert float(loss.total) == pytest.approx(expected, abs=1e-12)
        assert float(loss.force) == float(loss.total)
    assert not loss.position.any()
    assert not loss.velocity.any()


def test_what_pulls_along_a_rigid_bond_is_no_error() -> None:
    """The constraints take it away, in a jump as in the loss."""
    sample = hydroxylamine()
    start = sample.states(5)
    assert float(force_loss(knowing(sample, 1.0, along=1e4), start).total) < 1e-20
    free = replace(start, terms=hydroxylamine(constrained=False).batch(5))
    assert float(force_loss(knowing(sample, 1.0, along=1e4), free).total) > 0.1


def windows_batch() -> WindowBatch:
    windows = jump_windows(make_dataset(3), "closing_kick", 0.5 * DT)
    return windows.batch(torch.arange(8))


@pytest.mark.parametrize("arch", ["propagator", *SPLITTINGS])
def test_a_splitting_learns_from_forces_and_others_from_jumps(arch: str) -> None:
    model, batch, weights = make_model(arch), windows_batch(), TrainConfig()
    found = training_loss(model, batch, weights)
    if isinstance(model, SplittingJump):
        expected = force_loss(model, batch.start)
    else:
        expected = jump_loss(model(batch.start), batch, model.physics, weights)
    assert float(found.total) == float(expected.total) > 0.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_files(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("kicks", KICKS)
def test_it_learns_and_says_what_it_is(
    kicks: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    config = make_config(tmp_path, *SETTINGS, f"model.kicks={kicks}", "train.epochs=5")
    checkpoint = train.run(config, *files)
    with checkpoint.with_name("metrics.csv").open() as stream:
        history = list(csv.DictReader(stream))
    assert float(history[-1]["train_force"]) < 0.8  # no kicks at all would err by 1
    if kicks == "conservative":  # direct ones begin with none, not far above what is reached here
        for column, share in (("seen_rel_dx", 0.9), ("seen_rel_dv", 0.95)):
            assert float(history[-1][column]) < share * float(history[0][column])
    assert float(history[-1]["train_position"]) == 0.0
    jump = load_jump(checkpoint)
    assert isinstance(jump.model, SplittingJump)
    assert jump.model.drifts == jump.physics.k_steps == K
    assert jump.physics.landing == "closing_kick"
    assert jump.physics.closing_ps == pytest.approx(0.5 * DT)
    record = json.loads(checkpoint.with_name("record.json").read_text())
    rollout = record["rollout_rmsd_nm"]["val_seen"]
    assert len(rollout) == 3
    # Untrained, the jump already knows the true force at its ends.
    assert record["scores"]["val_seen"]["rel_dx"] < 1.0


def test_the_settings_of_each_architecture_go_together() -> None:
    config = load_config()
    assert config.model.arch == "splitting"
    assert config.train.landing == config.hybrid.corrector == "closing_kick"
    regressed = load_config([CONFIGS, PROPAGATOR])
    assert regressed.model.arch == "propagator"
    assert regressed.train.landing == "half_step"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model.arch=propagator"], "model.arch splitting goes with"),
        (["train.landing=half_step"], "train.landing must be closing_kick"),
        (["hybrid.corrector=drift_kick_drift"], "train.landing must be half_step"),
        (["hybrid.corrector=none", "train.landing=step"], "configs/propagator has all three"),
        (["hybrid.corrector=drift_kick_drift", "train.landing=half_step"],
         "configs/propagator has all three"),
        ([*SETTINGS, "hybrid.ensemble=ghmc", "hybrid.corrector=drift_kick_drift"],
         "ensemble ghmc is exact only"),
        ([*SETTINGS, "model.kicks=curly"], "model.kicks"),
        ([*SETTINGS, "hybrid.impulse=1.5"], "hybrid.impulse"),
        ([*SETTINGS, "hybrid.drifts_per_step=0"], "hybrid.drifts_per_step"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_config([], overrides)
    assert "\n" not in str(caught.value)


def test_ghmc_with_a_splitting_is_accepted() -> None:
    config = load_config([], [*SETTINGS, "hybrid.ensemble=ghmc", "hybrid.impulse=0.5"])
    assert config.hybrid.ensemble == "ghmc"

"""A checkpoint gives back the model it was made of, or one clear sentence."""

from pathlib import Path

import pytest
import torch

from kstep.errors import ArtifactError
from kstep.model import load_jump, require_match, save_jump
from model_samples import ARCHITECTURES, PHYSICS, make_batch, make_model

RECORD = {"config_hash": "abc", "seed": 1}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_round_trip(arch: str, tmp_path: Path) -> None:
    model, batch = make_model(arch), make_batch((7,))
    save_jump(tmp_path / "best.ckpt", model, RECORD)
    loaded = load_jump(tmp_path / "best.ckpt")
    # Without gradients, as torch chooses other kernels, of other round-off, with them.
    assert torch.equal(loaded.model(batch).dx, model.requires_grad_(False)(batch).dx)
    assert (loaded.physics, loaded.record) == (PHYSICS, RECORD)
    assert loaded.model.config == model.config
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_jump(tmp_path / name, make_model("propagator"), RECORD)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"best\.ckpt is missing: run `kstep train` first"):
        load_jump(tmp_path / "best.ckpt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated(share: float, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    save_jump(path, make_model("propagator"), RECORD)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ArtifactError, match="is truncated or not a checkpoint"):
        load_jump(path)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"schema": "kstep.jump"}])
def test_foreign(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "best.ckpt")
    with pytest.raises(ArtifactError, match="is not a trained jump of this version"):
        load_jump(tmp_path / "best.ckpt")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save(make_model("propagator"), tmp_path / "best.ckpt")
    with pytest.raises(ArtifactError, match="is truncated or not a checkpoint"):
        load_jump(tmp_path / "best.ckpt")


def test_weights_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    save_jump(path, make_model("propagator"), RECORD)
    content = torch.load(path, weights_only=True)
    content["weights"] = make_model("propagator", num_layers=5).state_dict()
    torch.save(content, path)
    with pytest.raises(ArtifactError, match="does not fit the model it describes"):
        load_jump(path)


WANTED = {"k_steps": 8, "dt_ps": 0.002, "landing": "half_step", "elements": [1, 6]}


def test_match() -> None:
    require_match(PHYSICS, "best.ckpt", **WANTED)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k_steps": 16}, "jumps 8 base steps, not 16"),
        ({"dt_ps": 0.001}, "base step of 2 fs, not 1 fs"),
        ({"landing": "step"}, "lands on 'half_step', but the corrector needs 'step'"),
        ({"elements": [6, 7]}, "aspirin holds N, which best.ckpt was not trained on"),
    ],
)
def test_mismatch(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ArtifactError, match=sentence):
        require_match(PHYSICS, "best.ckpt", **{**WANTED, **change}, molecule="aspirin")

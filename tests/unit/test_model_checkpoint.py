"""A checkpoint gives back the model it was made of, or one clear sentence."""

import resource
from pathlib import Path

import pytest
import torch

from kstep.errors import ArtifactError, KstepError
from kstep.regressed.networks.checkpoint import load_jump, save_jump
from kstep.regressed.networks.physics import require_match
from model_samples import ARCHITECTURES, PHYSICS, make_batch, make_model

RECORD = {"config_hash": "abc", "seed": 1}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_round_trip(arch: str, tmp_path: Path) -> None:
    model, batch = make_model(arch), make_batch((7,))
    save_jump(tmp_path / "best.ckpt", model, RECORD)
    loaded = load_jump(tmp_path / "best.ckpt")
    # Without gradients, as torch chooses other kernels, of other round-off, with them.
    assert torch.equal(loaded.model(batch).dx, model.requires_grad_(False)(batch).dx)
    assert (loaded.physics, loaded.record) == (model.physics, RECORD)
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


def test_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the write itself fails."""
    path, model = tmp_path / "best.ckpt", make_model("propagator")
    save_jump(path, model, RECORD)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(KstepError, match=r"best\.ckpt could not be written"):
            save_jump(path, model, {"seed": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint_states_its_units_and_chemistry(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    save_jump(path, make_model("propagator"), RECORD)
    content = torch.load(path, weights_only=True)
    assert content["physics"]["units"] == "nm, ps, Da, kJ/mol"
    assert content["physics"]["masses_Da"]["6"] == [12.011]
    assert content["physics"]["fingerprints"] == {"sample": "fingerprint of sample"}
    content["physics"]["units"] = "Å, fs, Da, kcal/mol"
    torch.save(content, path)
    with pytest.raises(ArtifactError, match="does not fit the model it describes"):
        load_jump(path)


WANTED = {"k_steps": 8, "dt_ps": 0.002, "landing": "half_step", "elements": [1, 6],
          "masses": [1.0079, 12.0107], "fingerprint": "fingerprint of aspirin"}  # fmt: skip
PREPARED = PHYSICS.model_copy(update={"fingerprints": {"aspirin": "fingerprint of aspirin"}})


def test_match() -> None:
    require_match(PREPARED, "best.ckpt", **WANTED, molecule="aspirin")
    require_match(PREPARED, "best.ckpt", **{**WANTED, "masses": ()}, molecule="aspirin")


def test_any_preparation_of_a_molecule_that_was_not_trained_on_will_do() -> None:
    require_match(PREPARED, "best.ckpt", **{**WANTED, "fingerprint": "any"}, molecule="phenol")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k_steps": 16}, "jumps 8 base steps, not 16"),
        ({"dt_ps": 0.001}, "base step of 2 fs, not 1 fs"),
        ({"landing": "step"}, "lands on 'half_step', but the corrector needs 'step'"),
        ({"elements": [6, 7]}, "aspirin holds N, which best.ckpt was not trained on"),
        ({"masses": [3.024, 12.011]}, "H atoms of 3.024 Da, but best.ckpt was trained with 1.008"),
        ({"fingerprint": "in vacuum"}, "best.ckpt was trained on another aspirin"),
    ],
)
def test_mismatch(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ArtifactError, match=sentence):
        require_match(PREPARED, "best.ckpt", **{**WANTED, **change}, molecule="aspirin")

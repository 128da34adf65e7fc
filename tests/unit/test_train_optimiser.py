"""Muon: orthogonal updates of the matrices it should take, AdamW for the rest, exact resume."""

import copy

import pytest
import torch
from torch import nn

from kstep.config import TrainConfig
from kstep.surrogates.optimiser import (
    ADAM_RMS,
    BETAS,
    THIN,
    Muon,
    make_optimiser,
    orthogonalise,
)
from model_samples import make_batch, make_model

CONFIG = TrainConfig(lr=1e-2, weight_decay=0.1)


class Small(nn.Module):
    """One parameter of every sort."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(10, 8)
        self.wide = nn.Linear(8, 6)
        self.same = nn.Linear(8, 6)
        self.tall = nn.Linear(6, 30, bias=False)
        self.thin = nn.Linear(30, THIN, bias=False)
        self.cube = nn.Parameter(torch.randn(5, 6, 7))


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def trained(config: TrainConfig, steps: int = 1) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = Small()
    optimiser = make_optimiser(model, config)
    for step in range(steps):
        give_gradients(model, step)
        optimiser.step()
    return model, optimiser


@pytest.mark.parametrize("shape", [(1, 6, 6), (1, 64, 64), (1, 5, 80), (1, 80, 5), (7, 24, 16)])
def test_orthogonalise_makes_singular_values_one(shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    matrices = 1e-3 * torch.randn(shape, generator=generator)
    # A square random matrix has singular values near zero, which five sweeps do not lift.
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalise(u * s.clamp_min(1e-2 * float(s.max()))[:, None] @ vh)
    assert found.shape == matrices.shape
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    along = torch.einsum("mak,mab,mkb->mk", u, found, vh)  # in the directions of the matrix
    assert float(along.min()) > 0.6
    assert float(along.max()) < 1.3


def test_orthogonalise_survives_nothing() -> None:
    assert not orthogonalise(torch.zeros(2, 5, 6)).any()


def test_each_matrix_of_a_stack_is_on_its_own() -> None:
    matrices = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(2))
    matrices *= torch.tensor([1.0, 100.0, 0.01])[:, None, None]
    for whole, alone in zip(orthogonalise(matrices), matrices, strict=True):
        assert torch.allclose(whole, orthogonalise(alone[None])[0], atol=1e-5)


def test_the_path_is_that_of_torchs_muon() -> None:
    """Torch rounds to bfloat16 on the way, ours does not."""
    ours, theirs = (nn.Parameter(torch.ones(12, 20)) for _ in range(2))
    settings = {"lr": 1e-2, "weight_decay": 0.1}
    mine = Muon([{"params": [ours], "weight_decay": 0.1}], 1e-2, [ours])
    torchs = torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        ours.grad = torch.randn(12, 20, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        torchs.step()
    moved = float((theirs - 1.0).norm())
    assert moved > 0.1
    assert float((ours - theirs).norm()) < 0.02 * moved


def test_embeddings_thin_matrices_and_the_rest_go_to_adamw() -> None:
    found, _ = trained(CONFIG, steps=3)
    adam, _ = trained(CONFIG.model_copy(update={"optimiser": "adamw"}), steps=3)
    expected = dict(adam.named_parameters())
    same = {name for name, p in found.named_parameters() if torch.equal(p, expected[name])}
    assert same == {"table.weight", "wide.bias", "same.bias", "thin.weight", "cube"}
    before = Small()
    for name in ("wide", "same", "tall"):
        change = getattr(before, name).weight - getattr(found, name).weight
        assert 0.01 < float(change.norm()) < 1.0


def test_updates_are_as_large_as_adams() -> None:
    config = CONFIG.model_copy(update={"weight_decay": 0.0})
    found, _ = trained(config)
    for name in ("wide", "tall"):
        change = getattr(Small(), name).weight - getattr(found, name).weight
        rms = float(change.square().mean().sqrt())
        assert rms == pytest.approx(ADAM_RMS * config.lr, rel=0.3)


def test_weight_decay_shrinks_matrices_only() -> None:
    plain, _ = trained(CONFIG.model_copy(update={"weight_decay": 0.0}))
    decayed, _ = trained(CONFIG)
    start = Small()
    for name, parameter in start.named_parameters():
        a, b = plain.get_parameter(name), decayed.get_parameter(name)
        shrunk = CONFIG.lr * CONFIG.weight_decay * (parameter.ndim > 1)
        assert torch.allclose(a - b, shrunk * parameter, atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_resumed_steps_are_those_of_an_uninterrupted_training(name: str) -> None:
    config = CONFIG.model_copy(update={"optimiser": name})
    whole, _ = trained(config, steps=6)
    model, optimiser = trained(config, steps=3)
    state = copy.deepcopy(optimiser.state_dict())
    resumed = Small()
    resumed.load_state_dict(model.state_dict())
    again = make_optimiser(resumed, config)
    again.load_state_dict(state)
    for step in range(3, 6):
        give_gradients(resumed, step)
        again.step()
    for parameter, expected in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(parameter, expected)


def test_a_closure_is_called_once_with_gradients() -> None:
    model = Small()
    optimiser, calls = make_optimiser(model, CONFIG), []

    def closure() -> torch.Tensor:
        loss = model.wide.weight.square().sum()
        loss.backward()
        calls.append(float(loss))
        return loss.detach()

    loss = optimiser.step(closure)
    assert calls == [float(loss)]
    assert float(model.wide.weight.square().sum()) < calls[0]


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_every_weight_of_the_network_moves(name: str) -> None:
    model, batch = make_model("propagator").train(), make_batch((9,))
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = make_optimiser(model, TrainConfig(optimiser=name))
    assert {group["betas"] for group in optimiser.param_groups} == {BETAS}
    jump = model(batch)
    (jump.dx.square().sum() + jump.dv.square().sum()).backward()
    optimiser.step()
    assert all(
        not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)
    )

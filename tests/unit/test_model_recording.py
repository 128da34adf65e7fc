"""Predictors: as the model itself jumps, in whatever way they are run."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import kstep.regressed.networks.recording as module
from kstep.regressed.networks.predictor import JumpPredictor, RegressedPredictor, make_predictor
from model_samples import SPLITTINGS, make_model
from splitting_samples import hydroxylamine

MOLECULE = hydroxylamine()

States = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], JumpPredictor]:
    """A predictor of a molecule of five atoms that records at its n-th call; never: 0."""

    def predictor(arch: str, at_call: int) -> JumpPredictor:
        monkeypatch.setattr(module, "WORTH_RECORDING", at_call)
        return make_predictor(make_model(arch), MOLECULE.numbers, MOLECULE.masses, MOLECULE.terms)

    return predictor


def states(replicas: int, seed: int) -> States:
    start = MOLECULE.states(replicas, seed)
    return start.x.numpy(), start.v.numpy(), start.f.numpy()


def jumps(predictor: JumpPredictor) -> list[np.ndarray]:
    """Positions and velocities after jumps of one, three and one replica, other states each."""
    sizes = (1, 1, 1, 3, 3, 3, 1, 3)
    return [part for seed, n in enumerate(sizes) for part in predictor(*states(n, seed))]


@pytest.mark.parametrize("at_call", [1, 2])
def test_recorded_or_not_the_jump_is_the_same_to_the_bit(
    at_call: int, make: Callable[[str, int], JumpPredictor]
) -> None:
    expected = jumps(make("propagator", 0))
    predictor = make("propagator", at_call)
    assert isinstance(predictor, RegressedPredictor)
    assert all(map(np.array_equal, jumps(predictor), expected))
    recorded = predictor._jump._recorded
    assert {shape[0] for shape in recorded} == {1, 3}
    assert all(isinstance(one, torch.jit.ScriptModule) for one in recorded.values())


@pytest.mark.parametrize("arch", SPLITTINGS)
def test_a_splitting_jumps_in_double_precision(
    arch: str, make: Callable[[str, int], JumpPredictor]
) -> None:
    """As the model itself does with its weights in float64; those it was given stay as they are."""
    x, v, f = states(2, seed=5)
    found = make(arch, 0)(x, v, f)
    jump = make_model(arch).double()(MOLECULE.states(2, seed=5))
    assert all(part.dtype == np.float64 for part in found)
    np.testing.assert_allclose(found[0], x + jump.dx.detach().numpy(), rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(found[1], v + jump.dv.detach().numpy(), rtol=0.0, atol=1e-10)
    assert np.abs(found[0] - x).max() > 1e-3


def test_a_predictor_leaves_its_model_alone() -> None:
    model = make_model("splitting").train()
    make_predictor(model, MOLECULE.numbers, MOLECULE.masses, MOLECULE.terms)
    assert model.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_an_operation_that_depends_on_the_state_is_not_recorded(
    make: Callable[[str, int], JumpPredictor],
) -> None:
    """Which pairs the transformer sees depends on the geometry."""
    predictor = make("torchmdnet_et", 1)
    jumps(predictor)
    assert not hasattr(predictor._jump, "_recorded")


@pytest.mark.parametrize("fault", ["unable", "different"])
def test_without_a_faithful_record_the_network_itself_goes_on(
    fault: str,
    make: Callable[[str, int], JumpPredictor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = jumps(make("propagator", 0))

    def trace(network: Callable, *_: object, **__: object) -> Callable:
        if fault == "unable":
            raise RuntimeError
        return lambda *inputs: tuple(output + 1e-7 for output in network(*inputs))

    monkeypatch.setattr(torch.jit, "trace", trace)
    assert all(map(np.array_equal, jumps(make("propagator", 2)), expected))

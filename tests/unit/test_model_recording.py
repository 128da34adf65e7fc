"""A predictor that has recorded its network jumps as the network itself does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import kstep.model.predictor as module
from kstep.model import JumpPredictor
from model_samples import make_batch, make_model
from term_samples import random_terms

States = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], JumpPredictor]:
    """A predictor of a molecule of eight atoms that records at its n-th call; never: 0."""

    def predictor(arch: str, at_call: int) -> JumpPredictor:
        monkeypatch.setattr(module, "WORTH_RECORDING", at_call)
        batch = make_batch((8,))
        numbers, masses = batch.species[0].numpy(), batch.masses[0].double().numpy()
        terms = random_terms(batch.x[0].double().numpy())
        return JumpPredictor(make_model(arch), numbers, masses, terms)

    return predictor


def states(replicas: int, seed: int) -> States:
    rng = np.random.default_rng(seed)
    shape = (replicas, 8, 3)
    x = make_batch((8,)).x.double().numpy() + rng.normal(0.0, 0.01, shape)
    return x, rng.normal(size=shape), 300.0 * rng.normal(size=shape)


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
    assert all(map(np.array_equal, jumps(predictor), expected))
    assert set(predictor._recorded) == {1, 3}
    for recorded in predictor._recorded.values():
        assert isinstance(recorded, torch.jit.ScriptModule)


def test_an_operation_that_depends_on_the_state_is_not_recorded(
    make: Callable[[str, int], JumpPredictor],
) -> None:
    """Which pairs the transformer sees depends on the geometry."""
    predictor = make("torchmdnet_et", 1)
    jumps(predictor)
    assert not predictor._recorded


@pytest.mark.parametrize("fault", ["unable", "different"])
def test_without_a_faithful_record_the_network_itself_goes_on(
    fault: str, make: Callable[[str, int], JumpPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = jumps(make("propagator", 0))

    def trace(network: Callable, *_: object, **__: object) -> Callable:
        if fault == "unable":
            raise RuntimeError
        return lambda *inputs: tuple(output + 1e-7 for output in network(*inputs))

    monkeypatch.setattr(torch.jit, "trace", trace)
    assert all(map(np.array_equal, jumps(make("propagator", 2)), expected))

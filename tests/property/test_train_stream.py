"""The order of batches, whatever the seed, batch size and point of resumption."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kstep.config import TrainConfig
from kstep.regressed.training.stream import BatchStream, with_noise
from kstep.regressed.training.windows import WindowBatch, jump_windows
from kstep.surrogates.optimiser import learning_rate
from model_samples import make_batch
from train_samples import make_dataset

WINDOWS = jump_windows(make_dataset(5), "half_step")
ALL = torch.arange(len(WINDOWS.molecule))


def stream(first: int = 0, **changes: int) -> BatchStream:
    config = TrainConfig(**{"epochs": 2, "batch_size": 8, **changes})
    return BatchStream(WINDOWS, ALL, config, first)


def dx(batches: BatchStream) -> list[bytes]:
    return [batch.dx.numpy().tobytes() for batch in batches]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 40), data=st.data())
def test_resumed_stream_continues_exactly(seed: int, size: int, data: st.DataObject) -> None:
    whole = dx(stream(seed=seed, batch_size=size))
    first = data.draw(st.integers(0, len(whole)))
    assert dx(stream(first, seed=seed, batch_size=size)) == whole[first:]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 40), epoch=st.integers(0, 5))
def test_an_epoch_visits_no_window_twice(seed: int, size: int, epoch: int) -> None:
    batches = stream(seed=seed, batch_size=size).epoch(epoch)
    visited = np.concatenate(batches)
    assert len(set(visited.tolist())) == len(visited)
    assert len(visited) > len(ALL) - 2 * size
    for windows in batches:
        assert len(WINDOWS.molecule[torch.from_numpy(windows)].unique()) == 1


def test_epochs_and_seeds_differ() -> None:
    first, second = (stream().epoch(n)[0].tolist() for n in (0, 1))
    assert first != second
    assert first != stream(seed=5).epoch(0)[0].tolist()


def test_about_half_the_windows_are_reversed() -> None:
    def starts(reversal: bool) -> set[bytes]:
        batches = stream(time_reversal=reversal, epochs=20)
        return {row.numpy().tobytes() for batch in batches for row in batch.start.v}

    forwards = {row.numpy().tobytes() for row in WINDOWS.v[0]}
    forwards |= {row[:3].numpy().tobytes() for row in WINDOWS.v[0]}
    assert starts(False) <= forwards
    share = len(starts(True) - forwards) / len(starts(True))
    assert 0.4 < share < 0.6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_noise_keeps_landing_and_centre_of_mass(seed: int) -> None:
    start = make_batch((7, 5), seed=seed)
    target = 0.01 * torch.randn(*start.x.shape, generator=torch.Generator().manual_seed(seed))
    batch = WindowBatch(start, target, target, target)
    noisy = with_noise(batch, 0.002, np.random.default_rng(seed))
    shift = noisy.start.x - start.x
    assert torch.allclose(noisy.start.x + noisy.dx, start.x + target, atol=1e-6)
    assert float((start.masses[..., None] * shift).sum(1).abs().max()) < 1e-5
    assert 0.001 < float(shift[start.mask].std()) < 0.003
    assert not shift[~start.mask].any()


@given(progress=st.floats(0.02, 1.0), later=st.floats(0.02, 1.0))
def test_learning_rate_only_falls_after_the_warm_up(progress: float, later: float) -> None:
    rates = 1e-3, 1e-5
    low, high = sorted((progress, later))
    assert 1e-5 * 0.999 <= learning_rate(high, *rates) <= learning_rate(low, *rates) <= 1e-3 * 1.001
    assert learning_rate(0.0, *rates) < 1e-4

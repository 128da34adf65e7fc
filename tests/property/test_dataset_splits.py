"""No window of the hold-outs is, or touches, one that was trained on."""

from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from kstep.config import DatasetConfig
from kstep.errors import ConfigError
from kstep.regressed.windows.bursts import Source
from kstep.regressed.windows.splits import GAP, PARTS, deal_molecules, divide_in_time, make_splits
from term_samples import no_terms

shares = st.floats(0.0, 0.45)


def _source(name: str, frames: np.ndarray, stretches: np.ndarray) -> Source:
    return Source(
        path=Path(f"{name}.npz"),
        hash=f"hash of {name}",
        molecule=name,
        fingerprint=name,
        potential="openff-2.2.1 in OBC2",
        dt_ps=0.002,
        temperatures=(300.0,),
        stride=4,
        length=48,
        frame=frames,
        stretch=stretches,
        numbers=np.array([6, 1]),
        masses=np.array([12.0, 1.0]),
        terms=no_terms(2),
    )


@st.composite
def frames_and_stretches(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Bursts of one to three stretches, several of them perhaps from one frame."""
    frames: list[int] = []
    stretches: list[int] = []
    for stretch in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 40))
        per_frame = draw(st.integers(1, 3))
        frames += [1000 * stretch + 7 * (burst // per_frame) for burst in range(count)]
        stretches += [stretch] * count
    return frames, stretches


@st.composite
def configs(draw: st.DrawFn) -> DatasetConfig:
    return DatasetConfig(
        val_molecules=draw(shares),
        test_molecules=draw(shares),
        val_segments=draw(shares),
        test_segments=draw(shares),
        seed=draw(st.integers(0, 1000)),
    )


@given(frames_and_stretches(), configs())
def test_held_out_segments_are_apart_from_training(
    bursts: tuple[list[int], list[int]], config: DatasetConfig
) -> None:
    source = _source("m", *(np.array(column) for column in bursts))
    try:
        parts = divide_in_time(source, config)
    except ConfigError:
        assume(False)
    used = [burst for part in PARTS for burst in parts[part]]
    assert len(used) == len(set(used))
    for stretch in np.unique(source.stretch):
        order = np.unique(source.frame[source.stretch == stretch]).tolist()
        ranks = {
            part: sorted(
                {order.index(source.frame[b]) for b in parts[part] if source.stretch[b] == stretch}
            )
            for part in PARTS
        }
        assert ranks["train"][0] == 0
        held_out = {"val": config.val_segments, "test": config.test_segments}
        for part, share in held_out.items():
            assert len(ranks[part]) >= share * len(order)
        filled = [rank for rank in ranks.values() if rank]
        for rank in filled:
            assert rank == list(range(rank[0], rank[-1] + 1))  # one block of time
        for earlier, later in pairwise(filled):
            assert later[0] - earlier[-1] == GAP + 1
        assert filled[-1][-1] == len(order) - 1


@given(st.sets(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=15), configs())
def test_molecules_are_in_one_part_each(names: set[str], config: DatasetConfig) -> None:
    dealt = deal_molecules(names, config)
    assert sorted(name for part in dealt.values() for name in part) == sorted(names)
    assert len(dealt["train"]) >= 1
    assert len(dealt["val"]) <= config.val_molecules * len(names)
    assert len(dealt["test"]) <= config.test_molecules * len(names)


@given(st.integers(1, 8), configs(), st.randoms())
def test_splits_do_not_depend_on_the_order_of_files(
    count: int, config: DatasetConfig, random: Random
) -> None:
    made = [_source(f"m{i}", np.arange(60), np.zeros(60, np.int64)) for i in range(count)]
    shuffled = list(made)
    random.shuffle(shuffled)
    first, second = make_splits(made, config), make_splits(shuffled, config)
    assert first == second
    train, val, test = first
    assert not train.unseen_molecules
    trained = set(train.seen_molecules)
    assert trained >= set(val.seen_molecules) | set(test.seen_molecules)
    for name, bursts in train.seen_molecules.items():
        for part in (val, test):
            assert not set(bursts) & set(part.seen_molecules.get(name, []))
    assert trained.isdisjoint(val.unseen_molecules)
    assert trained.isdisjoint(test.unseen_molecules)
    assert set(val.unseen_molecules).isdisjoint(test.unseen_molecules)

"""What the file of a map's quality becomes in the metrics."""

from pathlib import Path

import numpy as np
import pytest

from kstep.artifacts import write_npz
from kstep.errors import ArtifactError
from kstep.referee.physics.map_quality import map_quality

STATES, GUARDED = 8, 60


def make_arrays(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    error = rng.rayleigh(0.1, GUARDED)
    return {
        "reversal_x": rng.uniform(0.1, 0.2, STATES),
        "reversal_v": rng.uniform(0.2, 0.3, STATES),
        "symplectic_defect": rng.uniform(0.01, 0.02, STATES),
        "log_det": rng.normal(0.0, 0.1, STATES),
        # Energy errors have signs; the guard looks at their size.
        "guard_energy": 10.0 * error * rng.choice([-1.0, 1.0], GUARDED),
        "true_error_x": 0.1 * error,
        "true_error_v": error,
        "refused": error > 0.25,
    }


def write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    write_npz(path, arrays, {"schema": "kstep.map", "schema_version": 1})
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "phenol.map.npz"


def test_means_with_intervals_over_states(path):
    arrays = make_arrays()
    metrics, curves = map_quality(write(path, arrays))
    assert metrics is not None
    assert (metrics.samples, metrics.guard_samples) == (STATES, GUARDED)
    for name in ("reversal_x", "reversal_v", "symplectic_defect", "log_det"):
        found = getattr(metrics, name)
        assert found.value == pytest.approx(arrays[name].mean())
        assert found.low < found.value < found.high
        assert arrays[name].min() < found.low and found.high < arrays[name].max()
    assert metrics.true_error.value == pytest.approx(arrays["true_error_v"].mean())
    assert (curves["map/guard_energy"] >= 0.0).all()
    assert curves["map/refused"].tolist() == arrays["refused"].tolist()
    assert curves["map/true_error"] == pytest.approx(arrays["true_error_v"])


def test_a_guard_that_sees_the_truth_catches_all_and_a_blind_one_what_chance_gives(path):
    arrays = make_arrays()
    metrics, _ = map_quality(write(path, arrays))
    assert metrics is not None
    assert metrics.guard_rank == pytest.approx(1.0)
    assert metrics.guard_caught == 1.0
    metrics, _ = map_quality(write(path, arrays | {"guard_energy": 1.0 / arrays["guard_energy"]}))
    assert metrics is not None
    assert metrics.guard_rank == pytest.approx(-1.0)
    assert metrics.guard_caught == 0.0
    half = arrays["guard_energy"].copy()
    worst = np.argsort(arrays["true_error_v"])[-6:]
    half[worst[:3]] = np.median(np.abs(half))
    metrics, _ = map_quality(write(path, arrays | {"guard_energy": half}))
    assert metrics is not None and metrics.guard_caught == 0.5


def test_a_guard_without_opinion_has_no_rank(path):
    metrics, _ = map_quality(write(path, make_arrays() | {"guard_energy": np.ones(GUARDED)}))
    assert metrics is not None and metrics.guard_rank is None
    few = {name: values[:12] for name, values in make_arrays().items()}
    metrics, _ = map_quality(write(path, few))
    assert metrics is not None
    assert metrics.guard_rank is None and metrics.guard_caught is None
    assert metrics.guard_samples == 12


def test_states_that_lead_nowhere_are_not_counted(path):
    arrays = make_arrays()
    for name in ("reversal_x", "log_det"):
        arrays[name][3] = np.inf
    arrays["true_error_v"][:2] = np.inf
    metrics, curves = map_quality(write(path, arrays))
    assert metrics is not None
    assert (metrics.samples, metrics.guard_samples) == (STATES - 1, GUARDED - 2)
    assert metrics.log_det.value == pytest.approx(np.delete(arrays["log_det"], 3).mean())
    assert len(curves["map/refused"]) == GUARDED - 2


def test_nothing_where_nothing_was_measured(path):
    assert map_quality(path) == (None, {})
    none = {name: values[:0] for name, values in make_arrays().items()}
    metrics, curves = map_quality(write(path, none))
    assert metrics is None
    assert len(curves["map/guard_energy"]) == 0


def test_a_broken_file_is_refused_in_one_sentence(path):
    arrays = make_arrays()
    with pytest.raises(ArtifactError, match=r"phenol\.map\.npz has arrays of different lengths"):
        map_quality(write(path, arrays | {"log_det": arrays["log_det"][:3]}))
    del arrays["refused"]
    with pytest.raises(ArtifactError, match="lacks the array"):
        map_quality(write(path, arrays))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ArtifactError, match="truncated"):
        map_quality(path)

"""The stride belongs to the run: any whole number of base steps, and a run is known by it."""

import json
from pathlib import Path

import numpy as np
import pytest

from kstep.config import Config, load_config
from kstep.errors import ArtifactError
from kstep.referee.metrics import load_metrics
from kstep.regressed.learned import Network
from kstep.surrogates.shipped import shipped_checkpoint
from kstep.system.molecule import Molecule
from kstep.system.motion import load_motion, motion_of
from kstep.system.trajectory import NVE, NVT, load_trajectory
from kstep.workflow import evaluate, hybrid, md, report

SETTINGS = (
    "md.temperature_K=300", "md.replicas=2", "md.length_ns=0.004", "md.equilibration_ps=0.2",
    "md.nve_window_ps=1", "md.nve_every_ps=1", "md.burst.count=0", "md.motion.windows=2",
    "md.motion.window_ps=1", "md.platform=Reference", "md.workers=1", "hybrid.temperature_K=300",
    "hybrid.network=shipped", "hybrid.ensemble=ghmc", "hybrid.length_ps=1", "hybrid.replicas=2",
    "hybrid.nve_windows=2", "hybrid.nve_window_ps=1", "hybrid.motion.windows=2",
    "hybrid.motion.window_ps=1", "hybrid.map_samples=0", "hybrid.basin.starts=0",
    "hybrid.guard.enabled=false", "hybrid.platform=Reference", "hybrid.workers=1",
    "eval.bootstrap=20", "eval.workers=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, phenol: Molecule) -> Path:
    """A data folder with plain MD of phenol."""
    folder = tmp_path_factory.mktemp("data")
    md.run(configure(folder, folder), [phenol])
    return folder


def configure(data: Path, run: Path, *more: str) -> Config:
    return load_config([], [f"paths.data={data}", f"paths.run={run}", *SETTINGS, *more])


def sample(config: Config, phenol: Molecule) -> Path:
    network = Network(shipped_checkpoint(config), training_calls=0)
    return hybrid.run(config, [phenol], {"phenol": network})[0]


@pytest.mark.parametrize("k_steps", [1, 7, 5000])
def test_runs_of_any_stride_are_judged_and_reported(
    baseline: Path, phenol: Molecule, tmp_path: Path, k_steps: int
) -> None:
    """Also where a jump is longer than a window was to be, and than the baseline's windows."""
    longer = f"hybrid.length_ps={max(1.0, 8 * k_steps * 0.002)}"
    config = configure(baseline, tmp_path, f"hybrid.k_steps={k_steps}", longer)
    path = sample(config, phenol)
    trajectory = load_trajectory(path)
    assert trajectory.record["k_steps"] == trajectory.record["base_steps_per_macro_step"] == k_steps
    spacing = -(-50 // k_steps) * k_steps * 0.002
    for segment in (*trajectory.segments(NVT), *trajectory.segments(NVE)):
        expected = spacing * np.arange(1, len(segment) + 1)
        np.testing.assert_allclose(trajectory.times[segment], expected)
    assert load_motion(motion_of(path)).spacing == pytest.approx(k_steps * 0.002)
    timing = json.loads(path.with_suffix(".timing.json").read_text())
    steps = trajectory.record["macro_steps"] * k_steps
    assert timing["simulated_ps"] == pytest.approx(steps * 0.002)
    metrics = evaluate.run(config, [phenol])
    (judged,) = load_metrics(metrics).molecules
    assert judged.k_steps == k_steps
    assert judged.cost is not None
    assert judged.cost.counted_saving == pytest.approx(steps / trajectory.record["force_calls"])
    assert f"k = {k_steps}" in report.run(config, metrics).read_text()


class Rest:
    """A jump of 200 ps that leads nowhere, at no cost."""

    k_steps, landing, closing_ps = 100_000, "closing_kick", 0.001

    def __call__(self, x: np.ndarray, v: np.ndarray, forces: np.ndarray) -> tuple:
        return x, v


def test_the_longest_strides_keep_their_books(
    phenol: Molecule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kstep.workflow.hybrid.setup.load_learned_jump", lambda *_: Rest())
    config = configure(tmp_path, tmp_path, f"hybrid.k_steps={Rest.k_steps}", "hybrid.length_ps=1e4")
    trajectory = load_trajectory(sample(config, phenol))
    first = trajectory.segments(NVT)[0]
    np.testing.assert_allclose(trajectory.times[first], 200.0 * np.arange(1, 51))
    record = trajectory.record
    # 2 x 50 jumps in GHMC, 2 windows of the fewest frames, a force at each start.
    assert record["macro_steps"] == 2 * 50 + 2 * 3
    assert record["force_calls"] == 2 * 50 + 2 * 3 + 4
    assert record["counted_saving"] == pytest.approx(1e5 * 106 / 110)


@pytest.mark.parametrize("setting", ["hybrid.k_steps", "train.k_steps"])
def test_a_finished_run_is_known_by_its_stride(
    phenol: Molecule, tmp_path: Path, setting: str
) -> None:
    first = configure(tmp_path, tmp_path, f"{setting}=8")
    path = sample(first, phenol)
    before = path.stat().st_mtime_ns
    with pytest.raises(ArtifactError, match="made with another stride than 16 base steps: delete"):
        sample(configure(tmp_path, tmp_path, f"{setting}=16"), phenol)
    assert sample(first, phenol).stat().st_mtime_ns == before
    # Said in another way it is the same run.
    assert sample(configure(tmp_path, tmp_path, "hybrid.k_steps=8"), phenol) == path
    assert path.stat().st_mtime_ns == before

"""Files of a finished run that somebody damaged: one sentence each, and no number made of them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate_samples import (
    TIMING,
    make_baseline,
    make_hybrid,
    make_molecule,
    make_motion,
    make_run,
    make_search,
    make_trajectory,
)
from kstep.artifacts import write_npz
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.referee.compared import files_of, load_sides, recorded
from kstep.referee.cost.methods import score_methods
from kstep.referee.cost.savings import load_timing
from kstep.referee.metrics import MethodMetrics
from kstep.referee.physics.map_quality import map_quality
from kstep.referee.structure.basin import time_to_basin
from kstep.system.molecule import Molecule
from kstep.system.motion import load_motion
from kstep.system.trajectory import NVE, Trajectory, load_trajectory


def refused(read: object, path: Path, words: str) -> None:
    """Reading it fails with one sentence that names the file and holds the words."""
    with pytest.raises(ArtifactError, match=words) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and message.endswith(".") and "\n" not in message
    assert "again" in message


@pytest.fixture(scope="module")
def molecule(tmp_path_factory) -> Molecule:
    return make_molecule(tmp_path_factory.mktemp("molecule"))


@pytest.fixture(scope="module")
def whole(molecule) -> Trajectory:
    return make_baseline(molecule, n_frames=80, n_windows=1)


def at(values: np.ndarray, index: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[index] = value
    return changed


ARRAYS = {
    "times NaN": (lambda t: {"times_ps": at(t.times, 3, np.nan)}, "times that are not finite"),
    "times still": (lambda t: {"times_ps": at(t.times, 3, t.times[2])}, "do not increase within"),
    "times back": (lambda t: {"times_ps": t.times[::-1].copy()}, "do not increase within"),
    "segment too far": (lambda t: {"segment": at(t.segment, -1, 99)}, "from 0 to 8"),
    "segment below": (lambda t: {"segment": t.segment - 1}, "from 0 to 8"),
    "segment from 1": (lambda t: {"segment": np.maximum(t.segment, 1)}, "from 0 to 8"),
    "segment back": (lambda t: {"segment": at(t.segment, 25, 0)}, "out of order"),
    "segment without frames": (
        lambda t: {"segment": np.where(t.segment == 4, 5, t.segment)},
        "without frames",
    ),
    "few kinds": (lambda t: {"segment_kind": t.segment_kind[:-1]}, "different lengths"),
    "many kinds": (
        lambda t: {
            "segment_kind": np.r_[t.segment_kind, 0],
            "segment_temperature_K": np.r_[t.segment_temperature, 300.0],
        },
        "from 0 to 9",
    ),
    "kind unknown": (lambda t: {"segment_kind": t.segment_kind + 3}, "unknown kind"),
    "few temperatures": (
        lambda t: {"segment_temperature_K": t.segment_temperature[:-1]},
        "different lengths",
    ),
    "cold": (
        lambda t: {"segment_temperature_K": 0.0 * t.segment_temperature},
        "not a positive number",
    ),
    "words": (lambda t: {"Epot": t.epot.astype(str)}, "Epot of type <U"),
    "halves": (lambda t: {"segment": t.segment + 0.5}, "segment of type float64"),
    "flat": (lambda t: {"box": t.box.reshape(-1, 9)}, "different lengths"),
    "one number": (lambda t: {"Ekin": np.array(1.0)}, "different lengths"),
}


@pytest.mark.parametrize("fault", ARRAYS)
def test_a_damaged_trajectory(fault, whole, tmp_path):
    damage, words = ARRAYS[fault]
    path = tmp_path / "sample.npz"
    whole.save(path, damage(whole))
    refused(load_trajectory, path, words)


def test_a_trajectory_without_frames(whole, tmp_path):
    path = tmp_path / "sample.npz"
    frames = {"pos": whole.pos, "vel": whole.vel, "box": whole.box, "Epot": whole.epot,
              "Ekin": whole.ekin, "Etot": whole.etot, "times_ps": whole.times,
              "segment": whole.segment, "force_calls": whole.force_calls}  # fmt: skip
    whole.save(path, {key: values[:0] for key, values in frames.items()})
    refused(load_trajectory, path, "holds no frames")


def test_a_whole_trajectory_is_read(whole, tmp_path):
    path = tmp_path / "sample.npz"
    whole.save(path)
    assert load_trajectory(path).n_frames == whole.n_frames


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperatures_K", []), ("temperatures_K", None), ("temperatures_K", 300.0),
        ("temperatures_K", ["warm"]), ("temperatures_K", [[300.0]]), ("temperatures_K", [0.0]),
        ("dt_ps", None), ("dt_ps", 0), ("dt_ps", "short"), ("dt_ps", float("nan")),
    ],
)  # fmt: skip
def test_a_damaged_record(key, value, whole, tmp_path):
    path = tmp_path / "sample.npz"
    replace(whole, record={**whole.record, key: value}).save(path)
    refused(load_trajectory, path, re.escape(f"its {key} is {value!r}"))


@pytest.mark.parametrize("record", [{}, {"seed": None}])
def test_an_entry_that_is_not_there(record, whole, tmp_path):
    path = tmp_path / "sample.npz"
    refused(lambda p: recorded(p, replace(whole, record=record), "seed"), path, "say its seed")
    assert recorded(path, whole, "seed") == whole.record["seed"]


MOTIONS = {
    "at once": ({"spacing_ps": np.array(0.0)}, r"spacing_ps=0\.0, not one positive"),
    "backwards": ({"spacing_ps": np.array(-0.002)}, r"spacing_ps=-0\.002"),
    "NaN": ({"spacing_ps": np.array(np.nan)}, "spacing_ps=nan"),
    "many spacings": ({"spacing_ps": np.full(2, 0.002)}, "not one positive time"),
    "words": ({"Epot": np.full((2, 9), "low")}, "of the wrong type"),
    "double": ({"vel": np.zeros((2, 9, 4, 3))}, "of the wrong type"),
    "lengths": ({"Ekin": np.zeros((2, 8))}, "different lengths"),
}


@pytest.mark.parametrize("fault", MOTIONS)
def test_a_damaged_motion(fault, tmp_path):
    arrays, words = MOTIONS[fault]
    refused(load_motion, write_motion(tmp_path, 2, 9, **arrays), words)


@pytest.mark.parametrize(("windows", "frames"), [(0, 9), (2, 1), (2, 0)])
def test_a_motion_with_nothing_in_it(windows, frames, tmp_path):
    path = write_motion(tmp_path, windows, frames)
    refused(load_motion, path, f"holds {windows} windows of {frames} frames")
    assert load_motion(write_motion(tmp_path, 1, 2)).vel.shape[:2] == (1, 2)


def write_motion(folder: Path, windows: int, frames: int, **changes: np.ndarray) -> Path:
    path = folder / "sample.motion.npz"
    arrays = {
        "vel": np.zeros((windows, frames, 4, 3), np.float32),
        "Epot": np.zeros((windows, frames)),
        "Ekin": np.zeros((windows, frames)),
        "spacing_ps": np.array(0.002),
    }
    write_npz(path, arrays | changes, make_motion(1, 100, n_windows=1).record)
    return path


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full(30, "large"), "not of numbers"),
        (np.zeros((30, 2)), "different lengths"),
        (np.array(1.0), "different lengths"),
    ],
)
@pytest.mark.parametrize("name", ["log_det", "guard_energy"])
def test_a_damaged_map(name, values, words, tmp_path):
    names = ("reversal_x", "reversal_v", "symplectic_defect", "log_det", "guard_energy",
             "true_error_x", "true_error_v", "refused")  # fmt: skip
    path = tmp_path / "sample.map.npz"
    arrays = {key: np.linspace(0.0, 1.0, 30) for key in names}
    write_npz(path, arrays | {name: values}, {"schema": "kstep.map", "schema_version": 1})
    refused(map_quality, path, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"s_per_ps": 0}, r"wrong s_per_ps \(0\)"),
        ({"s_per_ps": -1.0}, r"wrong s_per_ps \(-1\.0\)"),
        ({"baseline_s_per_ps": 0.0}, "wrong baseline_s_per_ps"),
        ({"baseline_s_per_ps": float("inf")}, "wrong baseline_s_per_ps"),
        ({"s_per_ps": float("nan")}, "wrong s_per_ps"),
        ({"s_per_ps": "fast"}, "wrong s_per_ps"),
        ({"wall_s": {"jump": -1.0}}, r"wrong wall_s\.jump"),
    ],
)
def test_a_damaged_timing(change, words, tmp_path):
    path = tmp_path / "sample.timing.json"
    path.write_text(json.dumps(TIMING | {"wall_s": {"jump": 0.0}}))
    assert load_timing(path).wall_s == {"jump": 0.0}
    path.write_text(json.dumps(TIMING | change))
    refused(load_timing, path, words)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Config, Molecule]:
    """A scored run without controls."""
    folder = tmp_path_factory.mktemp("finished")
    molecule = make_molecule(folder)
    baseline, hybrid = make_baseline(molecule, n_frames=400), make_hybrid(molecule, n_frames=400)
    return make_run(folder, baseline, hybrid, molecule), molecule


def add_control(finished: tuple[Config, Molecule], temperature: float, s_per_ps: float) -> Path:
    """The folder of controls, with the reference alone in it."""
    config, molecule = finished
    folder = files_of(config, molecule.name).controls
    control = make_trajectory(
        molecule, 5, n_frames=400, temperatures=(temperature,), candidate="small steps"
    )
    control.save(folder / "half_fs.npz")
    (folder / "half_fs.timing.json").write_text(json.dumps({"s_per_ps": s_per_ps}))
    return folder


def methods(finished: tuple[Config, Molecule]) -> list[MethodMetrics]:
    config, molecule = finished
    files = files_of(config, molecule.name)
    return score_methods(config.eval, molecule, files, *load_sides(files, molecule), None)


def test_what_does_not_belong_among_the_controls_is_left_alone(finished, capsys):
    folder = add_control(finished, 300.0, 0.1)
    for name in ("old.bak", "copy.npz", "copy.timing.json"):
        (folder / name).mkdir()
    (folder / "notes.txt").write_text("mine")
    present = files_of(finished[0], finished[1].name).present
    assert [path.name for path in present if path.parent == folder] == [
        "half_fs.npz", "half_fs.timing.json",
    ]  # fmt: skip
    assert methods(finished)[0].name == "small steps"
    assert capsys.readouterr().err == ""


def test_a_candidate_whose_calls_nobody_counted_is_compared_over_equal_time(finished):
    """A trajectory of another program, with controls beside it: its record has no step either."""
    config, molecule = finished
    path = files_of(config, molecule.name).candidate
    own = load_trajectory(path)
    kept = {k: v for k, v in own.record.items() if k not in ("dt_ps", "k_steps", "force_calls")}
    foreign = replace(
        own,
        force_calls=np.zeros_like(own.force_calls),
        record={**kept, "candidate": "theirs.dcd", "force_calls": "unknown"},
    )
    foreign.save(path)
    try:
        add_control(finished, 300.0, 0.1)
        found = {method.name: method for method in methods(finished)}
    finally:
        own.save(path)
    theirs, baseline = found["theirs.dcd"], found["velocity Verlet"]
    assert (theirs.force_calls, theirs.dt_fs, theirs.per_1000_calls) == (None, None, None)
    assert theirs.equal_time is not None
    assert theirs.outcome is not None
    assert theirs.equal_calls is None
    assert baseline.equal_calls is None  # over as many calls as the candidate's: unknown
    assert baseline.per_1000_calls is not None


def test_a_search_without_runs(finished):
    config, molecule = finished
    path = files_of(config, molecule.name).basin_candidate
    search, extra = make_search(molecule, 3, 6.0)
    kinds = np.full_like(search.segment_kind, NVE)
    replace(search, segment_kind=kinds).save(path, extra)
    files = files_of(config, molecule.name)
    timing = load_timing(files.timing)
    try:
        refused(lambda _: time_to_basin(config.eval, molecule, files, timing), path, "no search")
    finally:
        search.save(path, extra)


def test_controls_at_another_temperature_are_not_skipped_silently(finished, capsys):
    folder = add_control(finished, 310.0, 0.1)
    assert methods(finished) == []
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{folder} are not compared" in said
    assert "md.temperature_K beginning with 300." in said


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_damaged_timing_of_a_control(finished, seconds):
    folder = add_control(finished, 300.0, seconds)
    refused(lambda _: methods(finished), folder / "half_fs.timing.json", "wrong s_per_ps")

"""A user's mistake is one clear sentence and a non-zero exit, never a traceback."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kstep.artifacts import exclusive, read_json
from kstep.errors import (
    ArtifactError,
    ConfigError,
    DeviceError,
    KstepError,
    MoleculeError,
    SimulationError,
)
from kstep.workflow.cli.main import INTERRUPTED, main

FAST = [
    "md.length_ns=0.01", "md.equilibration_ps=0.1", "md.nve_window_ps=0", "md.burst.count=20",
    "md.replicas=1", "md.temperature_K=300", "md.motion.windows=0",
]  # fmt: skip


@pytest.fixture
def kstep(tmp_path, place, capsys, monkeypatch):
    """Runs a command in a workspace with phenol prepared; gives (status, stderr)."""
    place(tmp_path / "data")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        status = main(list(arguments))
        return status, capsys.readouterr().err

    return run


def only_sentence(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.startswith("kstep: ")]
    assert len(lines) == 1, stderr
    assert "Traceback" not in stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ["md", "md.nonsense=1"],
            ConfigError.exit_code,
            "md.nonsense=1) is not a setting",
        ),
        (
            ["md", "md.dt_fs=[1]"],
            ConfigError.exit_code,
            "md.dt_fs=[1]) is wrong",
        ),
        (["md", "--config", "none.yaml"], ConfigError.exit_code, "none.yaml does not exist"),
        (["md", "md.platform=Quantum"], DeviceError.exit_code, "Quantum cannot be used"),
        (["md", "paths.data=empty"], ArtifactError.exit_code, "no prepared molecule"),
        (["dataset"], ArtifactError.exit_code, "phenol.npz is missing"),
        (["train"], ArtifactError.exit_code, "dataset_k8.npz is missing"),
        (["run"], ArtifactError.exit_code, "best.ckpt is missing"),
        (["eval"], ArtifactError.exit_code, "kstep"),
        (["report"], ArtifactError.exit_code, "metrics.json is missing"),
    ],
)
def test_mistakes_are_one_sentence(kstep, arguments, status, words):
    found, stderr = kstep(*arguments)
    assert found == status
    assert words in only_sentence(stderr)


def test_options_and_overrides_mix(kstep, monkeypatch):
    """What reaches the stage holds every override, in the order given."""
    seen = []
    stage = "kstep.workflow.evaluate.run"
    monkeypatch.setattr(stage, lambda config, _: seen.append(config.eval) or 1 / 0)
    words = ["eval", "eval.workers=1", "--resume", "eval.bootstrap=30", "--config", "own.yaml",
             "eval.bootstrap=40", "eval.seed=7"]  # fmt: skip
    Path("own.yaml").write_text("eval: {bootstrap: 20}")
    with pytest.raises(ZeroDivisionError):
        kstep(*words)
    assert (seen[0].workers, seen[0].bootstrap, seen[0].seed) == (1, 40, 7)


def test_an_unknown_option_is_still_one(kstep, capsys):
    with pytest.raises(SystemExit, match="2"):
        kstep("eval", "eval.workers=1", "--nonsense", "eval.bootstrap=30")
    assert "unrecognized arguments: --nonsense\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--resume", "b.dcd"], ["b.dcd", "--resume"], ["eval.workers=1", "--resume", "b.dcd"]],
)
def test_a_word_that_is_not_an_override(kstep, arguments):
    status, stderr = kstep("eval", *arguments)
    assert status == ConfigError.exit_code
    sentence = only_sentence(stderr)
    assert "'b.dcd' is not an override: write section.key=value" in sentence
    assert "--trajectory" not in sentence


def test_a_second_trajectory_without_its_option(kstep):
    status, stderr = kstep("eval", "--trajectory", "a.dcd", "b.dcd", "--topology", "a.pdb")
    assert status == ConfigError.exit_code
    assert "'b.dcd' is not an override" in (sentence := only_sentence(stderr))
    assert "give --trajectory once per value" in sentence


@pytest.mark.parametrize(
    "option",
    [
        ["--topology", "a.pdb"],
        ["--system", "a.xml"],
        ["--frame-ps", "0.1"],
        ["--temperature", "310"],
    ],
)
def test_options_of_a_trajectory_are_not_ignored_without_one(kstep, option):
    status, stderr = kstep("eval", *option)
    assert status == ConfigError.exit_code
    assert f"{option[0]} says nothing without --trajectory" in only_sentence(stderr)


def test_an_index_that_lists_nothing(kstep, tmp_path):
    """The commands after a list of which nothing could be prepared do not end well in silence."""
    Path("broken.smi").write_text("C(( broken\n")
    assert kstep("prep", "prep.molecules=broken.smi")[0] == MoleculeError.exit_code
    for command in ("md", "controls", "dataset", "run", "adapt", "eval", "grid"):
        status, stderr = kstep(command, *FAST)
        assert status == ArtifactError.exit_code
        assert "index.json lists no molecule" in only_sentence(stderr)


def test_a_missing_list_of_molecules(kstep):
    status, stderr = kstep("prep")
    assert status != 0
    assert "molecules.smi" in only_sentence(stderr)


def test_a_manifest_changed_by_hand(kstep, tmp_path):
    with (tmp_path / "data" / "raw" / "phenol" / "system.xml").open("a") as stream:
        stream.write("\n")
    status, stderr = kstep("md", *FAST)
    assert status == ArtifactError.exit_code
    assert "system.xml was changed after" in only_sentence(stderr)


def test_a_foreign_npz(kstep, tmp_path):
    (tmp_path / "data" / "md").mkdir()
    shutil.copy(__file__, tmp_path / "data" / "md" / "phenol.npz")
    status, stderr = kstep("md", *FAST)
    assert status == ArtifactError.exit_code
    assert "phenol.npz is truncated or not an NPZ" in only_sentence(stderr)


def test_an_exploding_simulation(kstep):
    status, stderr = kstep("md", *FAST, "md.temperature_K=1e9")
    assert status == SimulationError.exit_code
    assert "phenol" in only_sentence(stderr)


def test_a_gpu_that_is_not_there(kstep):
    main(["md", *FAST])
    main(["dataset", "dataset.k_steps=[8]", "dataset.val_molecules=0"])
    status, stderr = kstep("train", "train.device=gpu")
    assert status == DeviceError.exit_code
    assert "GPU" in only_sentence(stderr)


def _limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))


def test_a_full_disk_keeps_what_there_was(tmp_path, place):
    """A limit on file size fails a write as a full disk does, at any point of it."""
    place(tmp_path / "data")
    command = [sys.executable, "-m", "kstep", "md", *FAST, f"paths.data={tmp_path / 'data'}"]
    result = subprocess.run(
        command, preexec_fn=_limit_file_size, capture_output=True, text=True, check=False
    )
    assert result.returncode == KstepError.exit_code
    assert "could not be written" in only_sentence(result.stderr)
    md = tmp_path / "data" / "md"
    left = sorted(path for path in md.rglob("*") if path.is_file())
    assert [path.name for path in left] == [".lock", "platform.json"]
    read_json(left[1])  # small enough to have been written, and whole


def test_two_at_once_in_one_folder(kstep, tmp_path):
    with exclusive(tmp_path / "data" / "md"):
        status, stderr = kstep("md", *FAST)
    assert status == KstepError.exit_code
    assert "another kstep is at work" in only_sentence(stderr)
    assert kstep("md", *FAST)[0] == 0


def _listen_to_ctrl_c() -> None:
    # A shell makes what it runs in the background deaf to it, and its children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_keeps_finished_work(tmp_path, place):
    place(tmp_path / "data")
    settings = [
        "md.length_ns=50", "md.nve_every_ps=1", "md.burst.count=0", "md.nve_window_ps=0",
        "md.replicas=1", "md.temperature_K=300",
    ]  # fmt: skip
    command = [sys.executable, "-m", "kstep", "md", *settings]
    process = subprocess.Popen(
        [*command, f"paths.data={tmp_path / 'data'}"], stderr=subprocess.PIPE, text=True,
        preexec_fn=_listen_to_ctrl_c,
    )  # fmt: skip
    blocks = tmp_path / "data" / "md" / ".partial" / "phenol"
    while process.poll() is None and not list(blocks.glob("block_*.npz")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == INTERRUPTED
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert list(blocks.glob("block_*.npz"))


def test_help_describes_every_setting_with_its_unit(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["md", "--help"])
    text = capsys.readouterr().out
    assert "md.friction_per_ps=1.0" in text
    assert "Langevin friction, 1/ps" in text


def test_exit_codes_differ_by_family():
    families = (ConfigError, MoleculeError, ArtifactError, SimulationError, DeviceError)
    codes = {family.exit_code for family in families}
    assert len(codes) == len(families)
    assert 0 not in codes

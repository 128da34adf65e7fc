"""Time and memory that the referee takes for all prepared molecules.

Runs, where they are not there yet, two independent baselines of 1 ns for each molecule, a frame
every 50 steps (dynamics: some minutes), takes one for the candidate, then scores them all in a
process of its own with `kstep.workflow.evaluate.run` and prints wall-clock time and peak memory.

    .venv/bin/python benchmarks/referee_speed.py paths.data=data paths.run=runs/referee_speed
"""

import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from kstep.config import Config, load_config
from kstep.parallel import available_cores
from kstep.referee.metrics import load_metrics
from kstep.system.motion import motion_of
from kstep.system.prepared import load_molecules
from kstep.workflow import md
from kstep.workflow.evaluate import run

LENGTHS = {
    "replicas": 1, "length_ns": 1.0, "temperature_K": 300.0, "nve_every_ps": 250.0,
    "nve_window_ps": 20.0,
}  # fmt: skip
WINDOWS = 4


def configured(config: Config, data: Path, seed: int) -> Config:
    """The settings of one side's dynamics."""
    own = config.md.model_copy(
        update={
            **LENGTHS,
            "seed": seed,
            "burst": config.md.burst.model_copy(update={"count": 0}),
            "motion": config.md.motion.model_copy(update={"windows": WINDOWS}),
        }
    )
    paths = config.paths.model_copy(update={"data": data})
    return config.model_copy(update={"md": own, "paths": paths})


def prepare(config: Config) -> None:
    """Both sides of every molecule; the second is put where a hybrid run would lie."""
    molecules = load_molecules(config.paths.data / "raw")
    md.run(configured(config, config.paths.run / "data", 1), molecules)
    candidates = md.run(configured(config, config.paths.run / "candidates", 2), molecules)
    target = config.paths.run / "hybrid"
    target.mkdir(exist_ok=True)
    for path in candidates:
        for file in (path, motion_of(path)):
            shutil.copy(file, target / file.name)


def score(config: Config) -> None:
    """The part that is timed, in a process of its own so that its memory can be told."""
    molecules = load_molecules(config.paths.data / "raw")
    shutil.rmtree(config.paths.run / "eval", ignore_errors=True)
    start = time.perf_counter()
    metrics = load_metrics(run(configured(config, config.paths.run / "data", 1), molecules))
    seconds = time.perf_counter() - start
    print(metrics.sentence)
    workers = min(available_cores(), len(molecules))
    own_GiB, worker_GiB = (
        resource.getrusage(who).ru_maxrss / 2**20
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        f"{len(molecules)} molecules x 1 ns scored in {seconds:.0f} s on {workers} cores; memory "
        f"at most {own_GiB + workers * worker_GiB:.2f} GiB (largest worker {worker_GiB:.2f} GiB)"
    )


def main(overrides: list[str]) -> None:
    prepare(load_config([], overrides))
    subprocess.run([sys.executable, __file__, "--score", *overrides], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        score(load_config([], sys.argv[2:]))
    else:
        main(sys.argv[1:])

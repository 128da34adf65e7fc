"""Time and memory that the referee takes for all prepared molecules.

Makes, where they are not there yet, a baseline and a faultless candidate of 1 ns of frames every
50 steps for each molecule (dynamics: some minutes), then scores them all in a process of its own
with `kstep.evaluate.run` and prints wall-clock time and peak memory.

    .venv/bin/python benchmarks/referee_speed.py paths.data=data paths.run=runs/referee_speed
"""

import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from kstep.config import Config, load_config
from kstep.evaluate import load_metrics, run
from kstep.molecule import Molecule, load_molecules
from kstep.motion import motion_of
from kstep.parallel import available_cores
from kstep.testing.faults import faultless
from kstep.testing.runs import Setup

LENGTHS = {"replicas": 1, "length_ps": 1000.0, "nve_windows": 8, "motion_windows": 8}


def prepare(config: Config, molecule: Molecule) -> None:
    """Both trajectories of a molecule, by true dynamics from different seeds."""
    targets = (config.paths.run / "data" / "md", config.paths.run / "hybrid")
    for seed, (folder, base_steps) in enumerate(zip(targets, (1, 9), strict=True)):
        path = folder / f"{molecule.name}.npz"
        if not path.is_file():
            setup = Setup(molecule, config.md, seed=seed, base_steps=base_steps, **LENGTHS)
            found = faultless(setup)
            found.motion.save(motion_of(path))
            found.trajectory.save(path)


def score(config: Config) -> None:
    """The part that is timed, in a process of its own so that its memory can be told."""
    molecules = load_molecules(config.paths.data / "raw")
    own = {"paths": config.paths.model_copy(update={"data": config.paths.run / "data"})}
    shutil.rmtree(config.paths.run / "eval", ignore_errors=True)
    start = time.perf_counter()
    metrics = load_metrics(run(config.model_copy(update=own), molecules))
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
    config = load_config([], overrides)
    molecules = load_molecules(config.paths.data / "raw")
    with ProcessPoolExecutor(available_cores()) as workers:
        list(workers.map(partial(prepare, config), molecules))
    subprocess.run([sys.executable, __file__, "--score", *overrides], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        score(load_config([], sys.argv[2:]))
    else:
        main(sys.argv[1:])

"""Time per jump and replica against the true base steps it replaces, on one CPU thread.

    python benchmarks/jump_speed.py paths.data=demo/data paths.run=demo/run

Both sides are timed in this process, in alternating rounds; the ratio is printed with its
spread over rounds.
"""

import sys
import time

import numpy as np

from kstep.config import Config, load_config
from kstep.hybrid import Jump, load_learned_jump
from kstep.md.platforms import resolve_platform
from kstep.md.systems import load_system
from kstep.molecule import Molecule, load_molecules

REPLICAS = (1, 4, 16, 64, 256)
ROUNDS = 7


def main(overrides: list[str]) -> None:
    config = load_config([], overrides)
    checkpoint = config.paths.run / "train" / "best.ckpt"
    print("molecule              replicas  jump, µs a replica  true steps, µs  ratio (25-75 %)")
    for molecule in load_molecules(config.paths.data / "raw"):
        jump = load_learned_jump(
            checkpoint, molecule, config.train.k_steps, config.md.dt_ps, config.train.landing
        )
        for replicas in REPLICAS:
            states = _states(molecule, replicas)
            rounds = [
                (_time_jump(jump, *states), _time_steps(molecule, config, jump.k_steps))
                for _ in range(ROUNDS)
            ]
            ours, theirs = np.array(rounds).T
            ratio = np.quantile(ours / replicas / theirs, (0.25, 0.5, 0.75))
            print(
                f"{molecule.name:<20}  {replicas:>8}  {1e6 * np.median(ours) / replicas:>18.0f}  "
                f"{1e6 * np.median(theirs):>14.0f}  {ratio[1]:.1f} ({ratio[0]:.1f}-{ratio[2]:.1f})"
            )


def _states(molecule: Molecule, replicas: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    shape = (replicas, molecule.n_atoms, 3)
    x = molecule.positions + 0.002 * rng.standard_normal(shape)
    return x, rng.standard_normal(shape), 100.0 * rng.standard_normal(shape)


def _time_jump(jump: Jump, x: np.ndarray, v: np.ndarray, forces: np.ndarray) -> float:
    jump(x, v, forces)  # warm-up
    repeats = max(2, 64 // len(x))
    start = time.perf_counter()
    for _ in range(repeats):
        jump(x, v, forces)
    return (time.perf_counter() - start) / repeats


def _time_steps(molecule: Molecule, config: Config, steps: int) -> float:
    """Seconds of `steps` base steps of the fastest integrator on the fastest platform."""
    md = config.md
    system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    _, timing = resolve_platform(md.platform, system, molecule.positions, md.dt_ps)
    return steps * timing.fastest_step


if __name__ == "__main__":
    main(sys.argv[1:])

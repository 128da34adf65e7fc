"""The md stage: baseline trajectories and bursts of every molecule, in parallel, resumable."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import openmm

from kstep import __version__
from kstep.artifacts import Record, exclusive, hash_config, read_npz, write_json, write_npz
from kstep.config import Config, MdConfig
from kstep.errors import ArtifactError
from kstep.md.assembly import BLOCK_KEYS, block_arrays, save_baseline
from kstep.md.platforms import resolve_platform
from kstep.md.sampling import Sampler
from kstep.md.systems import load_system
from kstep.molecule import Molecule
from kstep.parallel import Report, ns_per_day, run_parallel
from kstep.trajectory import load_trajectory
from kstep.units import PS_PER_NS, SECONDS_PER_DAY

BLOCK_SCHEMA = "kstep.md_block"


@dataclass(frozen=True)
class Block:
    """One restartable piece of work.

    Attributes:
        index: over all temperatures.
        first: whether it opens the sampling at its temperature.
        temperature: K.
        steps: base steps of Langevin sampling.
        window_steps: base steps of the NVE window that follows; 0 for none.
        bursts: number of bursts taken from its frames.
    """

    index: int
    first: bool
    temperature: float
    steps: int
    window_steps: int
    bursts: int


def run(config: Config, molecules: Sequence[Molecule]) -> list[Path]:
    """Simulate every molecule; returns the NPZ files `<paths.data>/md/<name>.npz`.

    Finished molecules are not simulated again, unfinished ones go on after their last block.

    Raises ArtifactError when a finished file was made with another configuration or System,
    SimulationError when dynamics fail.
    """
    folder = config.paths.data / "md"
    with exclusive(folder):
        return _run_all(config, molecules, folder)


def _run_all(config: Config, molecules: Sequence[Molecule], folder: Path) -> list[Path]:
    targets = {molecule.name: folder / f"{molecule.name}.npz" for molecule in molecules}
    waiting = [
        molecule
        for molecule in molecules
        if not _is_finished(targets[molecule.name], config.md, molecule)
    ]
    if waiting:
        amount = sum(_picoseconds(block, config.md) for block in plan(config.md))
        run_parallel(
            {m.name: partial(simulate, config.md, m, targets[m.name]) for m in waiting},
            config.md.workers,
            f"md ({len(waiting)} molecules)",
            [amount] * len(waiting),
            "ps",
            ns_per_day,
        )
    return list(targets.values())


def plan(config: MdConfig) -> list[Block]:
    """The blocks of one molecule: for each temperature, stretches between NVE windows."""
    interval = config.save_interval_steps
    total = _whole_frames(config.length_ns * PS_PER_NS / config.dt_ps, interval)
    every = min(_whole_frames(config.nve_every_ps / config.dt_ps, interval), total)
    window = round(config.nve_window_ps / config.dt_ps)
    starts = list(range(0, total, every))
    if len(starts) > 1 and total - starts[-1] < every // 2:
        starts.pop()  # a short remainder joins the stretch before it
    counts = np.diff(np.linspace(0, config.burst.count, len(starts) + 1).round().astype(int))
    blocks: list[Block] = []
    for temperature in config.temperatures:
        ends = [*starts[1:], total]
        for start, end, count in zip(starts, ends, counts, strict=True):
            steps = end - start
            blocks.append(
                Block(
                    index=len(blocks),
                    first=start == 0,
                    temperature=temperature,
                    steps=steps,
                    window_steps=window if steps >= every else 0,
                    bursts=int(count),
                )
            )
    return blocks


def _whole_frames(steps: float, interval: int) -> int:
    """The number of steps rounded to whole save intervals, at least one."""
    return max(1, round(steps / interval)) * interval


def simulate(config: MdConfig, molecule: Molecule, target: Path, report: Report) -> Path:
    """All blocks of one molecule, from the first unfinished one, then the final NPZ."""
    system = load_system(
        molecule, config.nonbonded_cutoff_nm, config.constraints, config.implicit_solvent
    )
    platform, timing = resolve_platform(config.platform, system, molecule.positions, config.dt_ps)
    record = _record(config, molecule, system, platform)
    partial_folder = target.parent / ".partial" / molecule.name
    sampler = Sampler(system, platform, config, molecule.name, report)
    paths: list[Path] = []
    blocks = plan(config)
    for block in blocks:
        path = partial_folder / f"block_{block.index:04d}.npz"
        if _block_is_finished(path, record):
            report(_picoseconds(block, config))
        else:
            _run_block(sampler, config, block, paths, path, molecule, record)
        paths.append(path)
    seconds_per_ps = timing.fastest_step / config.dt_ps
    write_json(
        target.with_suffix(".timing.json"),
        {
            "platform": platform,
            "us_per_step": timing.as_json(),
            "s_per_ps": seconds_per_ps,
            "ns_per_day": SECONDS_PER_DAY / seconds_per_ps / PS_PER_NS,
        },
    )
    save_baseline(target, molecule, config, blocks, _read_blocks(paths), record)
    shutil.rmtree(partial_folder)
    return target


def _run_block(
    sampler: Sampler,
    config: MdConfig,
    block: Block,
    earlier: Sequence[Path],
    path: Path,
    molecule: Molecule,
    record: Record,
) -> None:
    # Names are part of the seed: molecules simulated side by side must not share noise.
    entropy = [config.seed, block.index, *molecule.name.encode()]
    seeds = np.random.SeedSequence(entropy).generate_state(3) % (2**31 - 1) + 1
    if block.first:
        x, v = sampler.equilibrate(molecule.positions, block.temperature, int(seeds[0]))
    else:
        previous, _ = read_npz(earlier[-1], BLOCK_SCHEMA, 1, BLOCK_KEYS)
        x, v = previous["last_pos"], previous["last_vel"]
    interval = config.save_interval_steps
    frames = sampler.sample(x, v, block.temperature, int(seeds[1]), block.steps, interval)
    rng = np.random.default_rng(int(seeds[2]))
    bursts = sampler.bursts(frames, block.bursts, block.temperature, rng)
    window = sampler.window(frames.pos[-1], frames.vel[-1], block.window_steps, interval)
    write_npz(path, block_arrays(frames, window, bursts), record)


def _picoseconds(block: Block, config: MdConfig) -> float:
    """Simulated time of a block, as the progress bar counts it."""
    equilibration = config.equilibration_ps if block.first else 0.0
    dynamics = (block.steps + block.window_steps) * config.dt_ps
    return equilibration + dynamics + block.bursts * config.burst.length_steps * config.dt_ps


def _record(config: MdConfig, molecule: Molecule, system: openmm.System, platform: str) -> Record:
    return {
        "schema": BLOCK_SCHEMA,
        "schema_version": 1,
        "molecule": molecule.name,
        "fingerprint": molecule.fingerprint,
        "config_hash": hash_config(_physical(config)),
        "config": _physical(config).model_dump(mode="json"),
        "nonbonded_cutoff_nm": config.nonbonded_cutoff_nm,
        "platform": platform,
        "n_constraints": system.getNumConstraints(),
        "versions": {"kstep": __version__, "openmm": openmm.__version__},
    }


def _physical(config: MdConfig) -> MdConfig:
    """The settings without the number of processes, which changes no result."""
    return config.model_copy(update={"workers": 0})


def _block_is_finished(path: Path, record: Record) -> bool:
    if not path.exists():
        return False
    try:
        _, found = read_npz(path, BLOCK_SCHEMA, 1, BLOCK_KEYS)
    except ArtifactError:
        return False
    return found == record


def _read_blocks(paths: Sequence[Path]) -> Iterator[dict[str, np.ndarray]]:
    for path in paths:
        yield read_npz(path, BLOCK_SCHEMA, 1, BLOCK_KEYS)[0]


def _is_finished(target: Path, config: MdConfig, molecule: Molecule) -> bool:
    if not target.exists():
        return False
    record = load_trajectory(target).record
    if record.get("fingerprint") != molecule.fingerprint:
        raise ArtifactError(
            f"{target} belongs to another preparation of {molecule.name}: "
            "delete it to simulate again, or choose another paths.data."
        )
    if record.get("config_hash") != hash_config(_physical(config)):
        raise ArtifactError(
            f"{target} was made with another md configuration: "
            "delete it to simulate again, or choose another paths.data."
        )
    return True

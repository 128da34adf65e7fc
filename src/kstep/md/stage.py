"""The md stage: baseline trajectories, bursts and motion of every molecule, resumable."""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import openmm

from kstep import __version__
from kstep.artifacts import (
    Record,
    exclusive,
    hash_config,
    read_finished,
    read_npz,
    write_json,
    write_npz,
)
from kstep.config import Config, MdConfig
from kstep.errors import ArtifactError
from kstep.md.assembly import BLOCK_KEYS, block_arrays, save_baseline
from kstep.md.motion import record_motion
from kstep.md.plan import Block, picoseconds, plan
from kstep.md.platforms import Timing, resolve_platform
from kstep.md.sampling import Sampler
from kstep.md.systems import load_system
from kstep.molecule import Molecule
from kstep.motion import load_motion, motion_of
from kstep.parallel import Report, ns_per_day, run_parallel
from kstep.potentials import programs
from kstep.trajectory import load_trajectory
from kstep.units import PS_PER_NS, SECONDS_PER_DAY

BLOCK_SCHEMA = "kstep.md_block"
_NOT_SAMPLING = frozenset({"workers", "motion"})
"""Settings that change nothing in a trajectory."""


def run(config: Config, molecules: Sequence[Molecule]) -> list[Path]:
    """Simulate every molecule; returns the NPZ files `<paths.data>/md/<name>.npz`.

    Beside each lies its motion, `<name>.motion.npz`. Finished files are not made again,
    unfinished molecules go on after their last block.

    Raises ArtifactError when a finished file was made with another configuration or System,
    SimulationError when dynamics fail.
    """
    folder = config.paths.data / "md"
    with exclusive(folder):
        return _run_all(config, molecules, folder)


def _run_all(config: Config, molecules: Sequence[Molecule], folder: Path) -> list[Path]:
    targets = {molecule.name: folder / f"{molecule.name}.npz" for molecule in molecules}
    waiting = [m for m in molecules if not _is_finished(targets[m.name], config.md, m)]
    if waiting:
        motion = config.md.motion.windows * config.md.motion.window_ps
        amount = _sampled_picoseconds(config.md) + motion
        run_parallel(
            {m.name: partial(simulate, config.md, m, targets[m.name]) for m in waiting},
            config.md.workers,
            f"md ({len(waiting)} molecules)",
            [amount] * len(waiting),
            "ps",
            ns_per_day,
        )
    return list(targets.values())


def simulate(config: MdConfig, molecule: Molecule, target: Path, report: Report) -> Path:
    """All of one molecule that is not finished yet: its trajectory, then its motion."""
    system = load_system(
        molecule, config.nonbonded_cutoff_nm, config.constraints, config.implicit_solvent
    )
    platform, timing = resolve_platform(config.platform, system, molecule.positions, config.dt_ps)
    record = _record(config, molecule, system, platform)
    folder = target.parent / ".partial" / molecule.name
    sampler = Sampler(system, platform, config, molecule.name, report)
    if _trajectory_is_finished(target, config, molecule):
        report(_sampled_picoseconds(config))
    else:
        paths = _run_blocks(sampler, config, molecule, folder, record, report)
        _write_timing(target.with_suffix(".timing.json"), platform, timing, config.dt_ps)
        save_baseline(target, molecule, config, plan(config), _read_blocks(paths), record)
    if not _motion_is_finished(target, config, molecule):
        own = {"config_hash": motion_hash(config), "motion": config.motion.model_dump(mode="json")}
        record_motion(sampler, config, target, folder, {**record, **own}, report)
    shutil.rmtree(folder, ignore_errors=True)
    return target


def _run_blocks(
    sampler: Sampler,
    config: MdConfig,
    molecule: Molecule,
    folder: Path,
    record: Record,
    report: Report,
) -> list[Path]:
    paths: list[Path] = []
    for block in plan(config):
        path = folder / f"block_{block.index:04d}.npz"
        if read_finished(path, record, BLOCK_KEYS) is not None:
            report(picoseconds(block, config))
        else:
            _run_block(sampler, config, block, paths, path, molecule, record)
        paths.append(path)
    return paths


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
    sampler.forget()
    before = sampler.counts
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
    write_npz(path, block_arrays(frames, window, bursts, sampler.counts - before), record)


def _sampled_picoseconds(config: MdConfig) -> float:
    return sum(picoseconds(block, config) for block in plan(config))


def _write_timing(path: Path, platform: str, timing: Timing, dt_ps: float) -> None:
    seconds_per_ps = timing.fastest_step / dt_ps
    content = {
        "platform": platform,
        "us_per_step": timing.as_json(),
        "s_per_ps": seconds_per_ps,
        "ns_per_day": SECONDS_PER_DAY / seconds_per_ps / PS_PER_NS,
    }
    write_json(path, content)


def _record(config: MdConfig, molecule: Molecule, system: openmm.System, platform: str) -> Record:
    return {
        "schema": BLOCK_SCHEMA,
        "schema_version": 1,
        "molecule": molecule.name,
        "fingerprint": molecule.fingerprint,
        "config_hash": sampling_hash(config),
        "config": config.model_dump(mode="json", exclude=set(_NOT_SAMPLING)),
        "potential": molecule.potential.identity,
        "nonbonded_cutoff_nm": config.nonbonded_cutoff_nm,
        "platform": platform,
        "n_constraints": system.getNumConstraints(),
        "versions": {"kstep": __version__, "openmm": openmm.__version__}
        | programs(molecule.potential),
    }


def sampling_hash(config: MdConfig) -> str:
    """Hash of the settings that shape a trajectory: not the motion, nor how many processes."""
    return hash_config(config, exclude=_NOT_SAMPLING)


def motion_hash(config: MdConfig) -> str:
    """Hash of the settings that shape a motion file: the trajectory's and its own."""
    return hash_config(config, exclude=_NOT_SAMPLING - {"motion"})


def _read_blocks(paths: Sequence[Path]) -> Iterator[dict[str, np.ndarray]]:
    for path in paths:
        yield read_npz(path, BLOCK_SCHEMA, 1, BLOCK_KEYS)[0]


def _is_finished(target: Path, config: MdConfig, molecule: Molecule) -> bool:
    trajectory = _trajectory_is_finished(target, config, molecule)
    return _motion_is_finished(target, config, molecule) and trajectory


def _trajectory_is_finished(target: Path, config: MdConfig, molecule: Molecule) -> bool:
    if not target.exists():
        return False
    _check_origin(target, load_trajectory(target).record, sampling_hash(config), molecule)
    return True


def _motion_is_finished(target: Path, config: MdConfig, molecule: Molecule) -> bool:
    path = motion_of(target)
    if not path.exists():
        return config.motion.windows == 0
    _check_origin(path, load_motion(path).record, motion_hash(config), molecule)
    return True


def _check_origin(path: Path, record: Record, config_hash: str, molecule: Molecule) -> None:
    """Raise ArtifactError when a finished file is not of this configuration and molecule."""
    if record.get("fingerprint") != molecule.fingerprint:
        raise ArtifactError(
            f"{path} belongs to another preparation of {molecule.name}: "
            "delete it to simulate again, or choose another paths.data."
        )
    if record.get("config_hash") != config_hash:
        raise ArtifactError(
            f"{path} was made with another md configuration: "
            "delete it to simulate again, or choose another paths.data."
        )

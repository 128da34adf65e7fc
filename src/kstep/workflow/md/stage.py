"""The md stage: baseline trajectories, bursts and motion of every molecule, resumable."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from kstep.artifacts import Record, exclusive
from kstep.config import Config, MdConfig
from kstep.errors import ArtifactError, SimulationError
from kstep.parallel import Report, ns_per_day, processes, run_parallel
from kstep.system.motion import load_motion, motion_of
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import load_trajectory
from kstep.workflow.md.baseline import Baseline, motion_hash, sampling_hash
from kstep.workflow.md.plan import Block, picoseconds, plan, replicas


def run(config: Config, molecules: Sequence[PreparedMolecule]) -> list[Path]:
    """Simulate every molecule; returns the NPZ files `<paths.data>/md/<name>.npz`.

    Beside each lies its motion, `<name>.motion.npz`. Finished files are not made again,
    unfinished molecules go on after their last block.

    Raises ArtifactError when a finished file was made with another configuration or System,
    SimulationError when dynamics fail.
    """
    folder = config.paths.data / "md"
    with exclusive(folder):
        return _run_all(config, molecules, folder)


def _run_all(config: Config, molecules: Sequence[PreparedMolecule], folder: Path) -> list[Path]:
    targets = {molecule.name: folder / f"{molecule.name}.npz" for molecule in molecules}
    waiting = [m for m in molecules if not _is_finished(targets[m.name], config.md, m)]
    if waiting:
        if processes(config.md.workers) > len(waiting):
            _run_replicas_apart(config.md, waiting, targets)
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


def _run_replicas_apart(
    config: MdConfig, molecules: Sequence[PreparedMolecule], targets: Mapping[str, Path]
) -> None:
    """Run every replica as a task of its own, since there are more processes than molecules."""
    tasks: dict[str, Callable[[Report], None]] = {}
    amounts: list[float] = []
    for molecule in molecules:
        target = targets[molecule.name]
        if _trajectory_is_finished(target, config, molecule):
            continue
        Baseline(config, molecule, target, lambda _: None)  # settles the platform for all
        for blocks in replicas(config):
            name = f"{molecule.name}, {blocks[0].temperature:g} K, {blocks[0].replica}"
            tasks[name] = partial(run_replica, config, molecule, target, blocks)
            amounts.append(sum(picoseconds(block, config) for block in blocks))
    if tasks:
        # What fails here fails again, and is said, when its molecule has its turn.
        with suppress(SimulationError):
            label = f"md ({len(tasks)} replicas)"
            run_parallel(tasks, config.workers, label, amounts, "ps", ns_per_day)


def run_replica(
    config: MdConfig,
    molecule: PreparedMolecule,
    target: Path,
    blocks: Sequence[Block],
    report: Report,
) -> None:
    """The blocks of one replica that are not finished yet."""
    Baseline(config, molecule, target, report).run(blocks)


def simulate(config: MdConfig, molecule: PreparedMolecule, target: Path, report: Report) -> Path:
    """All of one molecule that is not finished yet: its trajectory, then its motion."""
    baseline = Baseline(config, molecule, target, report)
    if _trajectory_is_finished(target, config, molecule):
        report(_sampled_picoseconds(config))
    else:
        baseline.run_all()
    if not _motion_is_finished(target, config, molecule):
        baseline.record_motion()
    baseline.clear()
    return target


def _sampled_picoseconds(config: MdConfig) -> float:
    return sum(picoseconds(block, config) for block in plan(config))


def _is_finished(target: Path, config: MdConfig, molecule: PreparedMolecule) -> bool:
    trajectory = _trajectory_is_finished(target, config, molecule)
    return _motion_is_finished(target, config, molecule) and trajectory


def _trajectory_is_finished(target: Path, config: MdConfig, molecule: PreparedMolecule) -> bool:
    if not target.exists():
        return False
    _check_origin(target, load_trajectory(target).record, sampling_hash(config), molecule)
    return True


def _motion_is_finished(target: Path, config: MdConfig, molecule: PreparedMolecule) -> bool:
    path = motion_of(target)
    if not path.exists():
        return config.motion.windows == 0
    _check_origin(path, load_motion(path).record, motion_hash(config), molecule)
    return True


def _check_origin(path: Path, record: Record, config_hash: str, molecule: PreparedMolecule) -> None:
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

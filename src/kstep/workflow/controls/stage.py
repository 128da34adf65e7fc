"""The controls stage: every control of every molecule, in parallel, resumable."""

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import openmm
from tqdm import tqdm

from kstep import __version__
from kstep.artifacts import Record, exclusive, hash_config, read_json, write_json
from kstep.config import Config, MdConfig
from kstep.errors import ArtifactError, SimulationError
from kstep.integrators.platforms import settled, time_integrator
from kstep.integrators.reference.variants import Variant, variant
from kstep.parallel import Report, ns_per_day, processes, run_parallel
from kstep.potentials import programs
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import Trajectory, load_trajectory
from kstep.workflow.controls.assembly import (
    BLOCK_SCHEMA,
    assemble,
    block_is_finished,
    read_block,
    write_block,
)
from kstep.workflow.controls.extension import continues, finished_replicas
from kstep.workflow.controls.plan import Plan, plan_of
from kstep.workflow.controls.sampling import Runner, Stretch
from kstep.workflow.controls.timing import Cost


@dataclass(frozen=True)
class Task:
    """One control of one molecule.

    Attributes:
        molecule: whose it is.
        name: of the control.
        plan: what there is to run.
        target: the file to write.
    """

    molecule: PreparedMolecule
    name: str
    plan: Plan
    target: Path

    @property
    def words(self) -> str:
        """What it is called among others."""
        return f"{self.molecule.name}/{self.name}"

    @property
    def partial_folder(self) -> Path:
        """Where finished replicas wait for the others."""
        return self.target.parent.parent / ".partial" / self.molecule.name / self.name


def run(config: Config, molecules: Sequence[PreparedMolecule]) -> list[Path]:
    """Run every control of every molecule; returns `<paths.data>/controls/<molecule>/<name>.npz`.

    Each is a trajectory, with a `<name>.timing.json` beside it. What is finished is not
    run again; what is not goes on after its last finished replica. Where more replicas are asked
    for than a finished control has, those it has are kept.

    Raises ConfigError when the frames of the baseline do not fall on a control's steps,
    ArtifactError when a finished file was made with another configuration or System,
    SimulationError when a control leaves the range of finite numbers.
    """
    folder = config.paths.data / "controls"
    with exclusive(folder):
        tasks = [
            Task(
                molecule=molecule,
                name=name,
                plan=plan_of(config, variant(name, config.md)),
                target=folder / molecule.name / f"{name}.npz",
            )
            for molecule in molecules
            for name in _possible(config, molecule)
        ]
        waiting = [task for task in tasks if not _is_finished(task)]
        if waiting:
            if processes(config.controls.workers) > len(waiting):
                _run_replicas_apart(config, waiting)
            run_parallel(
                {task.words: partial(simulate, config.md, task) for task in waiting},
                config.controls.workers,
                f"controls ({len(waiting)} runs)",
                [_picoseconds(task.plan) for task in waiting],
                "ps",
                ns_per_day,
            )
        return [task.target for task in tasks]


def _possible(config: Config, molecule: PreparedMolecule) -> list[str]:
    """The controls that a molecule's potential allows."""
    if not molecule.potential.is_python or "respa" not in config.controls.integrators:
        return list(config.controls.integrators)
    sentence = (
        f"{molecule.name}: the control respa is left out, since {molecule.potential.name} gives "
        "all its forces at once and has none that could be had more often."
    )
    tqdm.write(sentence, file=sys.stderr)
    return [name for name in config.controls.integrators if name != "respa"]


def _run_replicas_apart(config: Config, tasks: Sequence[Task]) -> None:
    """Run every replica as a task of its own, since there are more processes than controls."""
    replicas: dict[str, Callable[[Report], None]] = {}
    amounts: list[float] = []
    for task in tasks:
        Unfinished(config.md, task, lambda _: None)  # settles the platform for all
        for index in range(task.plan.replicas):
            replicas[f"{task.words}, {index}"] = partial(run_replica, config.md, task, index)
            amounts.append(task.plan.picoseconds(index))
    # What fails here fails again, and is said, when its control has its turn.
    with suppress(SimulationError):
        label = f"controls ({len(replicas)} replicas)"
        run_parallel(replicas, config.controls.workers, label, amounts, "ps", ns_per_day)


def run_replica(md: MdConfig, task: Task, index: int, report: Report) -> None:
    """One replica of a control, if it is not finished yet."""
    Unfinished(md, task, report).run(index)


def simulate(md: MdConfig, task: Task, report: Report) -> Path:
    """All replicas of one control that are not finished yet, then the final files."""
    control = Unfinished(md, task, report)
    for index in range(task.plan.replicas):
        control.run(index)
    return control.save()


class Unfinished:
    """A control under way: its replicas, each of which waits in a file for the others.

    Several processes may share one.
    """

    def __init__(self, md: MdConfig, task: Task, report: Report) -> None:
        """`report` is told of the time simulated."""
        self._task = task
        self._report = report
        molecule, plan, control = task.molecule, task.plan, variant(task.name, md)
        system = control.system(molecule, md)

        finished = _finished_part(task)

        def timing() -> Record:
            if finished is not None:
                return read_json(_timing_file(task.target))
            cost = Cost(
                time_integrator(
                    system,
                    lambda: control.langevin(
                        plan.dt_ps, plan.temperature_K, plan.friction_per_ps, 1
                    ),
                    molecule.positions,
                )
            )
            return cost.as_json(cost.platform(plan.platform), plan.dt_ps)

        origin = {"fingerprint": molecule.fingerprint, "config_hash": hash_config(plan)}
        self._timing = settled(task.partial_folder, origin, timing)
        platform = self._timing["platform"]
        self._runner = Runner(molecule, control, plan, system, platform)
        self._record = _record(task, control, system, platform)
        for index, replica in enumerate(finished_replicas(finished, plan) if finished else ()):
            if not block_is_finished(self._path(index), self._record):
                write_block(self._path(index), *replica, self._record)

    def run(self, index: int) -> None:
        """Run one replica, if it is not finished."""
        path = self._path(index)
        if block_is_finished(path, self._record):
            self._report(self._task.plan.picoseconds(index))
        else:
            write_block(path, *self._runner.replica(index, self._report), self._record)

    def save(self) -> Path:
        """Put finished replicas together, and write what they are and what they cost."""
        task, plan = self._task, self._task.plan
        replicas: list[Stretch] = []
        windows: list[Stretch] = []
        for index in range(plan.replicas):
            sampled, own = read_block(self._path(index))
            replicas.append(sampled)
            windows.extend(own)
        write_json(_timing_file(task.target), self._timing)
        masses = self._runner.masses
        assemble(task.molecule, plan, masses, replicas, windows, self._record).save(task.target)
        shutil.rmtree(task.partial_folder)
        return task.target

    def _path(self, index: int) -> Path:
        return self._task.partial_folder / f"replica_{index:04d}.npz"


def _picoseconds(plan: Plan) -> float:
    return sum(plan.picoseconds(index) for index in range(plan.replicas))


def _record(task: Task, control: Variant, system: openmm.System, platform: str) -> Record:
    plan = task.plan
    return {
        "schema": BLOCK_SCHEMA,
        "schema_version": 1,
        "molecule": task.molecule.name,
        "fingerprint": task.molecule.fingerprint,
        "potential": task.molecule.potential.identity,
        "control": control.name,
        "candidate": control.label,
        "config_hash": hash_config(plan),
        "config": plan.model_dump(mode="json"),
        "dt_ps": plan.dt_ps,
        "temperatures_K": [plan.temperature_K],
        "friction_per_ps": plan.friction_per_ps,
        "save_interval_steps": plan.interval_steps,
        "constraints": plan.constraints,
        "n_constraints": system.getNumConstraints(),
        "nonbonded_cutoff_nm": plan.nonbonded_cutoff_nm,
        "integrator": control.label,
        "velocities_nvt": control.velocities,
        "hydrogen_mass_Da": control.hydrogen_mass,
        "force_calls": "full evaluations of the slow forces"
        if control.inner_calls
        else "full evaluations of all forces",
        "inner_calls": control.inner_calls,
        "replicas": plan.replicas,
        "seed": plan.seed,
        "platform": platform,
        "versions": _versions(task),
    }


def _versions(task: Task) -> dict[str, str]:
    own = {"kstep": __version__, "openmm": openmm.__version__}
    return own | programs(task.molecule.potential)


def _timing_file(target: Path) -> Path:
    return target.with_suffix(".timing.json")


def _finished_part(task: Task) -> Trajectory | None:
    """A finished control of fewer replicas, which an unfinished one begins with."""
    return load_trajectory(task.target) if task.target.exists() else None


def _is_finished(task: Task) -> bool:
    if not task.target.exists():
        return False
    record = load_trajectory(task.target).record
    if record.get("fingerprint") != task.molecule.fingerprint:
        raise ArtifactError(
            f"{task.target} belongs to another preparation of {task.molecule.name}: "
            "delete it to simulate again, or choose another paths.data."
        )
    if continues(task.plan, record, _versions(task)):
        return False
    if record.get("config_hash") != hash_config(task.plan):
        raise ArtifactError(
            f"{task.target} was made with another configuration of md or controls: "
            "delete it to simulate again, or choose another paths.data."
        )
    return True

"""One molecule's baseline under way: its replicas, block by block, and the files made of them."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import openmm

from kstep import __version__
from kstep.artifacts import Record, hash_config, read_finished, read_npz, write_json, write_npz
from kstep.config import MdConfig
from kstep.errors import SimulationError
from kstep.integrators.plain import Sampler
from kstep.integrators.platforms import Timing, resolve_platform, settled
from kstep.parallel import Report
from kstep.potentials import programs
from kstep.potentials.systems import load_system
from kstep.protocols import Replicas
from kstep.system.mechanics import kinetic_temperature
from kstep.system.prepared import PreparedMolecule
from kstep.units import PS_PER_NS, SECONDS_PER_DAY
from kstep.workflow.md.assembly import BLOCK_KEYS, block_arrays, save_baseline
from kstep.workflow.md.motion import record_motion
from kstep.workflow.md.plan import Block, picoseconds, plan, replicas

BLOCK_SCHEMA = "kstep.md_block"
FAR = 0.2
"""Of the temperature: what a baseline may be off by, and no sound one is."""

_NOT_SAMPLING = frozenset({"workers", "motion"})
"""Settings that change nothing in a trajectory."""


class Baseline:
    """What of a molecule's baseline is not finished yet; several processes may share one.

    Finished blocks lie in a folder of their own, and wait there for the others.
    """

    def __init__(
        self, config: MdConfig, molecule: PreparedMolecule, target: Path, report: Report
    ) -> None:
        """`target` is the trajectory's file; `report` is told of the time simulated."""
        self._config = config
        self._molecule = molecule
        self._target = target
        self._report = report
        self._folder = target.parent / ".partial" / molecule.name
        system = load_system(
            molecule, config.nonbonded_cutoff_nm, config.constraints, config.implicit_solvent
        )
        self._timing = settled(
            self._folder,
            {"fingerprint": molecule.fingerprint, "config_hash": sampling_hash(config)},
            lambda: _timing(
                *resolve_platform(config.platform, system, molecule.positions, config.dt_ps),
                config.dt_ps,
            ),
        )
        platform = self._timing["platform"]
        self._record = _record(config, molecule, system, platform)
        self._sampler = Sampler(system, platform, config, molecule.name, report)

    def run_all(self) -> None:
        """Run the replicas that are not finished, and write the trajectory and its timing."""
        for blocks in replicas(self._config):
            self.run(blocks)
        write_json(self._target.with_suffix(".timing.json"), self._timing)
        blocks = plan(self._config)
        save_baseline(
            self._target, self._molecule, self._config, blocks, self._read(blocks), self._record
        )

    def run(self, blocks: Sequence[Block]) -> None:
        """Run the blocks of one replica, from the first that is not finished."""
        for before, block in zip([None, *blocks], blocks, strict=False):
            if read_finished(self._path(block), self._record, BLOCK_KEYS) is not None:
                self._report(picoseconds(block, self._config))
            else:
                self._run(block, before)

    def record_motion(self) -> None:
        """Run the windows of motion that are not finished, and write their file."""
        config = self._config
        own = {"config_hash": motion_hash(config), "motion": config.motion.model_dump(mode="json")}
        record = {**self._record, **own}
        record_motion(self._sampler, config, self._target, self._folder, record, self._report)

    def clear(self) -> None:
        """Remove the blocks, which the finished files hold."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, block: Block, before: Block | None) -> None:
        config, molecule, sampler = self._config, self._molecule, self._sampler
        # Names are part of the seed: molecules simulated side by side must not share noise.
        entropy = [config.seed, block.index, *molecule.name.encode()]
        seeds = np.random.SeedSequence(entropy).generate_state(3) % (2**31 - 1) + 1
        sampler.forget()
        counts = sampler.counts
        if before is None:
            x, v = sampler.equilibrate(molecule.positions, block.temperature, int(seeds[0]))
        else:
            previous, _ = read_npz(self._path(before), BLOCK_SCHEMA, 1, BLOCK_KEYS)
            x, v = previous["last_pos"], previous["last_vel"]
        interval = config.save_interval_steps
        frames = sampler.sample(x, v, block.temperature, int(seeds[1]), block.steps, interval)
        require_temperature(
            frames.vel, molecule, block.temperature, block.steps * config.dt_ps, config
        )
        rng = np.random.default_rng(int(seeds[2]))
        bursts = sampler.bursts(frames, block.bursts, block.temperature, rng)
        window = sampler.window(frames.pos[-1], frames.vel[-1], block.window_steps, interval)
        arrays = block_arrays(frames, window, bursts, sampler.counts - counts)
        write_npz(self._path(block), arrays, self._record)

    def _path(self, block: Block) -> Path:
        return self._folder / f"block_{block.index:04d}.npz"

    def _read(self, blocks: Sequence[Block]) -> Iterator[dict[str, np.ndarray]]:
        for block in blocks:
            yield read_npz(self._path(block), BLOCK_SCHEMA, 1, BLOCK_KEYS)[0]


def require_temperature(
    v: Replicas, molecule: PreparedMolecule, temperature: float, length_ps: float, config: MdConfig
) -> None:
    """Refuse sampling that is far from its temperature: its forces are none.

    Far is a fifth, and six standard errors of a mean over what friction leaves independent.

    Args:
        v: nm/ps, of all frames [F, N, 3].
        molecule: whose they are.
        temperature: of the thermostat, K.
        length_ps: of the stretch they are from.
        config: friction and time step.
    """
    freedom = 3 * molecule.n_atoms - len(molecule.constraints)
    found = float(kinetic_temperature(v, molecule.masses, freedom).mean())
    independent = max(1.0, 0.5 * length_ps * config.friction_per_ps)
    allowed = FAR + 6.0 * np.sqrt(2.0 / (freedom * independent))
    if not abs(found / temperature - 1.0) <= allowed:
        raise SimulationError(
            f"{molecule.name}: its baseline is at {found:.4g} K and not {temperature:g} K, so "
            f"{molecule.potential_title} gives forces that are no slope of an energy, or md.dt_fs="
            f"{config.dt_fs:g} is too long for it: correct the calculator, or shorten the step."
        )


def sampling_hash(config: MdConfig) -> str:
    """Hash of the settings that shape a trajectory: not the motion, nor how many processes."""
    return hash_config(config, exclude=_NOT_SAMPLING)


def motion_hash(config: MdConfig) -> str:
    """Hash of the settings that shape a motion file: the trajectory's and its own."""
    return hash_config(config, exclude=_NOT_SAMPLING - {"motion"})


def _timing(platform: str, timing: Timing, dt_ps: float) -> Record:
    seconds_per_ps = timing.fastest_step / dt_ps
    return {
        "platform": platform,
        "us_per_step": timing.as_json(),
        "s_per_ps": seconds_per_ps,
        "ns_per_day": SECONDS_PER_DAY / seconds_per_ps / PS_PER_NS,
    }


def _record(
    config: MdConfig, molecule: PreparedMolecule, system: openmm.System, platform: str
) -> Record:
    return {
        "schema": BLOCK_SCHEMA,
        "schema_version": 1,
        "molecule": molecule.name,
        "fingerprint": molecule.fingerprint,
        "config_hash": sampling_hash(config),
        "config": config.model_dump(mode="json", exclude=set(_NOT_SAMPLING)),
        "potential": molecule.potential.identity,
        "potential_title": molecule.potential_title,
        "nonbonded_cutoff_nm": config.nonbonded_cutoff_nm,
        "platform": platform,
        "n_constraints": system.getNumConstraints(),
        "versions": {"kstep": __version__, "openmm": openmm.__version__}
        | programs(molecule.potential),
    }

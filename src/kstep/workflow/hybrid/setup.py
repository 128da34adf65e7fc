"""What a hybrid run of one molecule needs before its first step."""

from dataclasses import dataclass

import numpy as np
import openmm
import torch

from kstep import __version__
from kstep.artifacts import Record, hash_bytes, hash_config, hash_file
from kstep.config import Config
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.correctors import CORRECTORS
from kstep.integrators.ghmc import GhmcStep
from kstep.integrators.outer_step import MacroStep
from kstep.integrators.plain import Sampler
from kstep.integrators.platforms import Timing, resolve_platform, settled
from kstep.integrators.state import Jump
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.parallel import Report
from kstep.potentials import programs
from kstep.potentials.systems import load_system
from kstep.regressed.learned import Network, load_learned_jump
from kstep.system.prepared import PreparedMolecule
from kstep.workflow.hybrid.blocks import BLOCK_SCHEMA
from kstep.workflow.md.baseline import sampling_hash


@dataclass(frozen=True, eq=False)
class HybridRun:
    """Everything one molecule's run needs, made once per process.

    Attributes:
        config: all settings.
        molecule: whose run it is.
        dynamics: true forces and constraints.
        sampler: true Langevin dynamics, for starting states and the basin baseline.
        jump: the learned (or oracle) map.
        network: what the jump was loaded from.
        seconds_per_ps: of the fastest baseline, timed when the run began.
        record: provenance, equal for equal runs.
        report: told of the picoseconds simulated.
    """

    config: Config
    molecule: PreparedMolecule
    dynamics: TrueDynamics
    sampler: Sampler
    jump: Jump
    network: Network
    seconds_per_ps: float
    record: Record
    report: Report

    def seed(self, *label: int) -> int:
        """A seed that depends on the configuration's, the molecule and the label."""
        entropy = [self.config.hybrid.seed, *label, *self.molecule.name.encode()]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0] % (2**31 - 1)) + 1


def run_hash(config: Config, *beside: str) -> str:
    """Hash of all settings that shape a hybrid trajectory (its number of processes does not).

    All but the stride and the network, which a record names itself.

    `beside` names settings of a file that lies beside the trajectory (`motion`, `map_samples`),
    to be counted in.
    """
    own = hash_config(config.hybrid, exclude=_NOT_SAMPLING - set(beside))
    return hash_bytes(f"{own} {sampling_hash(config.md)}".encode())


_NOT_SAMPLING = frozenset({"workers", "molecules", "motion", "map_samples", "network", "k_steps"})
"""Settings that change nothing in a trajectory, or that its record has in another form: the hash of
the network's checkpoint, and the stride that `hybrid.k_steps: null` leaves to the network."""


def prepare(
    config: Config, molecule: PreparedMolecule, network: Network, report: Report
) -> HybridRun:
    """Load the System and the trained jump of one molecule and time the baseline.

    The platform is chosen, and the baseline timed, when a run begins, and not where it goes on:
    blocks of another platform would not be its own.
    """
    md = config.md
    system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    found = settled(
        config.paths.run / "hybrid" / ".partial" / molecule.name,
        {"fingerprint": molecule.fingerprint, "config_hash": run_hash(config)},
        lambda: _timed(
            *resolve_platform(config.hybrid.platform, system, molecule.positions, md.dt_ps),
            md.dt_ps,
        ),
    )
    platform = found["platform"]
    corrector = CORRECTORS[config.hybrid.corrector]
    jump = load_learned_jump(
        network.checkpoint,
        molecule,
        config.stride,
        md.dt_ps,
        corrector.landing,
        config.hybrid.drifts_per_step,
        config.hybrid.impulse,
    )
    record = {
        "schema": BLOCK_SCHEMA,
        "schema_version": 1,
        "molecule": molecule.name,
        "fingerprint": molecule.fingerprint,
        "potential": molecule.potential.identity,
        "config_hash": run_hash(config),
        "config": config.hybrid.model_dump(mode="json", exclude=set(_NOT_SAMPLING)),
        "checkpoint_hash": hash_file(network.checkpoint),
        "training_calls": network.training_calls,
        "training_rounds": list(network.training_rounds),
        "k_steps": jump.k_steps,
        "landing": jump.landing,
        "corrector": config.hybrid.corrector,
        "ensemble": config.hybrid.ensemble,
        "dt_ps": md.dt_ps,
        "nonbonded_cutoff_nm": md.nonbonded_cutoff_nm,
        "platform": platform,
        "n_constraints": system.getNumConstraints(),
        "candidate": "hybrid",
        "temperatures_K": list(config.hybrid.temperatures),
        "replicas": config.hybrid.replicas,
        "seed": config.hybrid.seed,
        "versions": {
            "kstep": __version__,
            "openmm": openmm.__version__,
            "torch": torch.__version__,
            **programs(molecule.potential),
        },
    }
    return HybridRun(
        config=config,
        molecule=molecule,
        dynamics=make_dynamics(system, md.dt_ps, platform, molecule.name),
        sampler=Sampler(system, platform, md, molecule.name, lambda _: None),
        jump=jump,
        network=network,
        seconds_per_ps=found["s_per_ps"],
        record=record,
        report=report,
    )


def _timed(platform: str, timing: Timing, dt_ps: float) -> Record:
    return {"platform": platform, "s_per_ps": timing.fastest_step / dt_ps}


def sampler_of(
    run: HybridRun, members: int, temperature: float, *label: int
) -> tuple[MacroStep, OrnsteinUhlenbeck]:
    """The steps that sample in the run's ensemble at `temperature` (K), in turns.

    Their random numbers are one stream, of its own for a label.
    """
    hybrid, dynamics = run.config.hybrid, run.dynamics
    rng = np.random.default_rng(run.seed(*label))
    macro_step = (
        GhmcStep(run.jump, dynamics, hybrid, members, temperature, rng)
        if hybrid.ensemble == "ghmc"
        else MacroStep(run.jump, dynamics, hybrid, members, "nvt")
    )
    thermostat = OrnsteinUhlenbeck(
        dynamics, temperature, hybrid.friction_per_ps, macro_step.duration, rng
    )
    return macro_step, thermostat

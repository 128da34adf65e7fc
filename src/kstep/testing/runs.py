"""Whole runs by true dynamics in the form of a hybrid run, for tests of the referee."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import openmm
from jaxtyping import Float

from kstep import __version__
from kstep.artifacts import Record
from kstep.config import HybridConfig, MdConfig
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.integrators.outer_step import Ensemble, MacroStep
from kstep.integrators.plain import Frames, Sampler
from kstep.integrators.platforms import make_context
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials.systems import load_system
from kstep.system.mechanics import kinetic_energy
from kstep.system.motion import Motion, motion_record
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVE, NVT, Trajectory, trajectory_record
from kstep.testing.oracles import ExactJump
from kstep.workflow.hybrid.blocks import propagate, segments
from kstep.workflow.hybrid.simulation import COUNTS_COVER
from kstep.workflow.hybrid.starts import Start, equilibrium_states
from kstep.workflow.md.assembly import join_segments

PLATFORM = "Reference"
"""The fastest for one small molecule, and reproducible."""

Segment = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Setup:
    """What runs that are to be compared have in common.

    Attributes:
        molecule: prepared.
        config: System, base step, friction, equilibration and interval between frames.
        seed: of all noise; another gives an independent run.
        temperature: that a run claims to be at, K.
        replicas: independent NVT runs.
        length_ps: of each, ps.
        nve_windows: NVE windows.
        nve_window_ps: length of each, ps.
        motion_windows: densely saved NVE windows.
        motion_window_ps: length of each, ps.
        base_steps: of one macro-step; frames are whole macro-steps apart.
    """

    molecule: PreparedMolecule
    config: MdConfig
    seed: int
    temperature: float = 300.0
    replicas: int = 8
    length_ps: float = 1000.0
    nve_windows: int = 16
    nve_window_ps: float = 100.0
    motion_windows: int = 16
    motion_window_ps: float = 20.0
    base_steps: int = 9

    @property
    def interval(self) -> int:
        """Base steps between frames."""
        return math.ceil(self.config.save_interval_steps / self.base_steps) * self.base_steps

    def system(self) -> openmm.System:
        """The molecule's true System."""
        config = self.config
        return load_system(
            self.molecule, config.nonbonded_cutoff_nm, config.constraints, config.implicit_solvent
        )

    def dynamics(self) -> TrueDynamics:
        """True forces of the molecule, with a Context of their own."""
        integrator = recording_velocity_verlet(self.config.dt_ps)
        context = make_context(self.system(), integrator, PLATFORM)
        return TrueDynamics(context, self.config.dt_ps, self.molecule.name)

    def frames_in(self, length_ps: float, interval: int) -> int:
        """Frames, an interval of base steps apart, in a length of time; at least one."""
        return max(1, round(length_ps / (interval * self.config.dt_ps)))

    def seed_of(self, *label: int) -> int:
        """A seed that depends on this one, the molecule and the label."""
        entropy = [self.seed, *label, *self.molecule.name.encode()]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0] % (2**31 - 1)) + 1


@dataclass(frozen=True, eq=False)
class Run:
    """What an integrator leaves of one molecule.

    Attributes:
        trajectory: NVT segments, then NVE windows.
        motion: densely saved NVE windows.
        motion_pos: their positions, which no motion file holds, nm [W, F, N, 3].
    """

    trajectory: Trajectory
    motion: Motion
    motion_pos: Float[np.ndarray, "W F N 3"]


def run_dynamics(setup: Setup, system: openmm.System, temperature: float, label: str) -> Run:
    """Dynamics under `system` at `temperature` (K), with energies of the molecule's own System."""
    sampler = Sampler(system, PLATFORM, setup.config, setup.molecule.name, lambda _: None)
    starts = _starts(setup, sampler, temperature)
    length = setup.frames_in(setup.length_ps, setup.interval) * setup.interval
    nvt = [
        sampler.sample(*start, temperature, setup.seed_of(2, replica), length, setup.interval)
        for replica, start in enumerate(starts[: setup.replicas])
    ]

    def window(start: Start, length_ps: float, interval: int) -> Frames:
        return sampler.window(*start, setup.frames_in(length_ps, interval) * interval, interval)

    windows = starts[setup.replicas :]
    nve = [
        window(start, setup.nve_window_ps, setup.interval) for start in windows[: setup.nve_windows]
    ]
    motion = [
        window(start, setup.motion_window_ps, setup.base_steps)
        for start in windows[setup.nve_windows :]
    ]
    parts = [[_segment(setup, frames) for frames in some] for some in (nvt, nve, motion)]
    return with_true_energies(setup, _assemble(setup, parts, label))


def run_exact_hybrid(setup: Setup, label: str) -> Run:
    """The hybrid's own macro-steps with the exact jump; velocities are nowhere rescaled."""
    sampler = Sampler(setup.system(), PLATFORM, setup.config, setup.molecule.name, lambda _: None)
    starts = _starts(setup, sampler, setup.temperature)
    cuts = np.cumsum([setup.replicas, setup.nve_windows])
    lengths = (setup.length_ps, setup.nve_window_ps, setup.motion_window_ps)
    intervals = (setup.interval, setup.interval, setup.base_steps)
    ensembles: tuple[Ensemble, ...] = ("nvt", "nve", "nve")
    groups = (starts[: cuts[0]], starts[cuts[0] : cuts[1]], starts[cuts[1] :])
    parts = [
        _macro_steps(setup, *arguments)
        for arguments in zip(groups, lengths, intervals, ensembles, strict=True)
    ]
    return _assemble(setup, parts, label)


def with_true_energies(setup: Setup, run: Run) -> Run:
    """The same with potential energies evaluated at its positions, and totals to match."""
    dynamics = setup.dynamics()
    epot = np.array([dynamics.evaluate(x)[1] for x in run.trajectory.pos])
    shape = run.motion.epot.shape
    places = run.motion_pos.reshape(-1, *run.motion_pos.shape[2:])
    motion_epot = np.array([dynamics.evaluate(x)[1] for x in places]).reshape(shape)
    return replace(
        run,
        trajectory=replace(run.trajectory, epot=epot, etot=epot + run.trajectory.ekin),
        motion=replace(run.motion, epot=motion_epot),
    )


def _starts(setup: Setup, sampler: Sampler, temperature: float) -> list[Start]:
    windows = setup.nve_windows + setup.motion_windows
    return equilibrium_states(
        sampler, setup.molecule, temperature, setup.replicas, windows, setup.seed_of
    )


def _segment(setup: Setup, frames: Frames) -> Segment:
    return {
        "pos": frames.pos, "vel": frames.vel, "epot": frames.epot, "steps": frames.steps,
        "force_calls": frames.steps // setup.base_steps,
    }  # fmt: skip


def _macro_steps(
    setup: Setup, starts: list[Start], length_ps: float, interval: int, ensemble: Ensemble
) -> list[Segment]:
    if not starts:
        return []
    settings = {
        "corrector": "drift_kick_drift",
        "friction_per_ps": setup.config.friction_per_ps,
        "energy_rescale": False,
    }
    config = HybridConfig().model_copy(update=settings)
    dynamics = setup.dynamics()
    jump = ExactJump(setup.dynamics(), setup.base_steps - 1, "half_step")
    macro_step = MacroStep(jump, dynamics, config, len(starts), ensemble)
    thermostat = None
    if ensemble == "nvt":
        rng = np.random.default_rng(setup.seed_of(3))
        thermostat = OrnsteinUhlenbeck(
            dynamics, setup.temperature, config.friction_per_ps, macro_step.duration, rng
        )
    state = macro_step.start(np.stack([x for x, _ in starts]), np.stack([v for _, v in starts]))
    save_every = interval // setup.base_steps
    n_macro_steps = setup.frames_in(length_ps, interval) * save_every
    block = propagate(macro_step, state, thermostat, n_macro_steps, save_every, lambda _: None)
    return segments([block])


def _assemble(setup: Setup, parts: Sequence[Sequence[Segment]], label: str) -> Run:
    """A run from the segments of NVT replicas, NVE windows and motion windows."""
    nvt, nve, motion = parts
    record = _record(setup, [*nvt, *nve], label)
    trajectory = join_segments(
        [*nvt, *nve],
        [NVT] * len(nvt) + [NVE] * len(nve),
        [setup.temperature] * (len(nvt) + len(nve)),
        setup.molecule,
        setup.config.dt_ps,
        trajectory_record(**record),
    )
    n_frames = setup.frames_in(setup.motion_window_ps, setup.base_steps)
    shape = (len(motion), n_frames, setup.molecule.n_atoms, 3)
    pos, vel = (
        np.array([window[key] for window in motion]).reshape(shape) for key in ("pos", "vel")
    )
    dense = Motion(
        vel.astype(np.float32),
        np.array([window["epot"] for window in motion]).reshape(shape[:2]),
        kinetic_energy(vel, setup.molecule.masses),
        setup.base_steps * setup.config.dt_ps,
        motion_record(**record, temperature_K=setup.temperature),
    )
    return Run(trajectory, dense, pos)


def _record(setup: Setup, parts: Sequence[Segment], label: str) -> Record:
    """What a hybrid run says of itself; the calls are those of a network in the jump's place."""
    config, molecule = setup.config, setup.molecule
    macro_steps = sum(int(part["steps"][-1]) for part in parts) // setup.base_steps
    calls = sum(int(part["force_calls"][-1]) for part in parts) + len(parts)
    return {
        "molecule": molecule.name,
        "fingerprint": molecule.fingerprint,
        "candidate": label,
        "k_steps": setup.base_steps - 1,
        "landing": "half_step",
        "corrector": "drift_kick_drift",
        "dt_ps": config.dt_ps,
        "nonbonded_cutoff_nm": config.nonbonded_cutoff_nm,
        "platform": PLATFORM,
        "n_constraints": len(molecule.constraints),
        "temperatures_K": [setup.temperature],
        "replicas": setup.replicas,
        "seed": setup.seed,
        "macro_steps": macro_steps,
        "base_steps_per_macro_step": setup.base_steps,
        "force_calls": calls,
        "rejected_jumps": 0,
        "fallback_calls": 0,
        "nominal_saving": float(setup.base_steps),
        "counted_saving": macro_steps * setup.base_steps / calls,
        "counts_cover": COUNTS_COVER,
        "versions": {"kstep": __version__, "openmm": openmm.__version__},
    }

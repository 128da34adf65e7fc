"""What the structure of a jump is worth: plain MD, regressed jumps, splittings and GHMC.

    python benchmarks/structure.py --molecule aspirin --write docs/structure_results.md \
        paths.data=... train.k_steps=8

Every method runs the same molecule from the same equilibrium states in one process on one thread:
NVE for `--nve-ps` a replica (nothing rescales; where a guard is on its firings are counted), and
sampling at 300 K for `--nvt-ps` a replica. Counted are, per true-force call and per second,
effective samples of the slowest torsion (one per central bond, its cosine and sine) and of the
end-to-end distance, all replicas together. Networks are the shipped ones unless others are named.
`--write FILE` puts the table there, in a section for the molecule and k.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from kstep.artifacts import write_text
from kstep.config import Config, HybridConfig, load_config
from kstep.controls.variants import variant
from kstep.evaluate.coordinates import CoordinateClass, Kind, as_mdtraj, values
from kstep.evaluate.memory import end_to_end
from kstep.evaluate.modes import mode_energies
from kstep.evaluate.statistics import inefficiency
from kstep.hybrid import Jump, load_learned_jump
from kstep.hybrid.ghmc import GhmcStep
from kstep.hybrid.macrostep import MacroStep
from kstep.hybrid.map_quality import tangent_basis
from kstep.hybrid.thermostat import OrnsteinUhlenbeck
from kstep.md.dynamics import TrueDynamics
from kstep.md.integrators import recording_velocity_verlet
from kstep.md.platforms import make_context
from kstep.md.sampling import Sampler
from kstep.md.systems import load_system
from kstep.mechanics import kinetic_energy, remove_centre_of_mass
from kstep.molecule import Molecule, load_molecules, symbol
from kstep.networks.shipped import weights_file
from kstep.progress import progress
from kstep.testing.oracles import ExactJump
from kstep.units import BOLTZMANN, MEV_PER_KJ_PER_MOL

TEMPERATURE = 300.0
FRAME_PS = 0.1
"""Time between frames, at least."""


@dataclass(frozen=True, eq=False)
class Run:
    """Frames of all replicas and what they cost; `seconds` without setting up.

    Attributes:
        pos, vel: nm, nm/ps [F, R, N, 3].
        etot: kJ/mol [F, R].
        frame_ps: time between frames, ps.
        calls: true-force calls.
        accepted: share of proposals accepted, or of jumps that the guard let pass.
        masses: Da [N].
    """

    pos: np.ndarray
    vel: np.ndarray
    etot: np.ndarray
    frame_ps: float
    calls: int
    seconds: float
    accepted: float
    masses: np.ndarray


@dataclass(frozen=True)
class Setting:
    """One molecule, and the states that all methods start from."""

    config: Config
    molecule: Molecule
    starts: list[tuple[np.ndarray, np.ndarray]]
    nve_ps: float
    nvt_ps: float


def main() -> None:
    options = _arguments()
    config = load_config(options.config, options.overrides)
    (molecule,) = (
        m for m in load_molecules(config.paths.data / "raw") if m.name == options.molecule
    )
    torch.set_num_threads(1)
    md = config.md
    system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    sampler = Sampler(system, "Reference", md, molecule.name, lambda _: None)
    starts = [
        sampler.equilibrate(molecule.positions, TEMPERATURE, md.seed + replica)
        for replica in range(options.replicas)
    ]
    setting = Setting(config, molecule, starts, options.nve_ps, options.nvt_ps)
    k_steps = config.train.k_steps
    methods = _methods(
        setting,
        options.splitting or weights_file("splitting", k_steps),
        options.propagator or weights_file("propagator", k_steps),
    )
    chosen = options.only or list(methods)
    rows = []
    with progress(f"structure {molecule.name}", len(chosen), "methods") as bar:
        for name in chosen:
            rows += [_row(setting, name, ensemble, run) for ensemble, run in methods[name]()]
            bar.update(1)
            bar.write(rows[-1])
    table = "\n".join([*_header(molecule), *rows, ""])
    print(table)
    if options.write:
        title = f"{molecule.name}, k = {config.train.k_steps}"
        what = (
            f"{options.replicas} replicas, {options.nve_ps:g} ps each in NVE and "
            f"{options.nvt_ps:g} ps each at {TEMPERATURE:g} K."
        )
        _put_section(options.write, title, f"{what}\n\n{table}")


def _put_section(document: Path, title: str, text: str) -> None:
    """Add a section to a Markdown file, in place of one of the same title."""
    before = document.read_text() if document.exists() else "# Structure, measured\n"
    head, *sections = before.split("\n## ")
    kept = [section for section in sections if section.splitlines()[0] != title]
    write_text(document, "\n## ".join([head, *sorted([*kept, f"{title}\n\n{text}"])]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, action="append", default=[])
    parser.add_argument("--molecule", required=True)
    parser.add_argument("--splitting", type=Path)
    parser.add_argument("--propagator", type=Path)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--nve-ps", type=float, default=1000.0)
    parser.add_argument("--nvt-ps", type=float, default=1000.0)
    parser.add_argument("--only", action="append", help="a method; may be repeated")
    parser.add_argument("--write", type=Path)
    parser.add_argument("overrides", nargs="*")
    return parser.parse_args()


Results = list[tuple[str, Run]]


def _methods(
    setting: Setting, splitting: Path, propagator: Path
) -> dict[str, Callable[[], Results]]:
    """Methods by name, in the order of the table."""
    k = setting.config.train.k_steps
    methods: dict[str, Callable[[], Results]] = {
        "MD 2 fs": lambda: _plain(setting, "langevin_middle"),
        "MD 4 fs, H 3 Da": lambda: _plain(setting, "hmr_3"),
    }
    if propagator.exists():
        regressed = setting.config.hybrid.model_copy(update={"corrector": "drift_kick_drift"})
        methods[f"propagator k={k}"] = lambda: _hybrid(
            setting, _learned(setting, propagator, regressed), regressed, ("NVE", "NVT")
        )
    closing = setting.config.hybrid
    for drifts, name in ((1, "splitting"), (2, "splitting, drifts of half a step")):
        hybrid = closing.model_copy(update={"drifts_per_step": drifts})
        ensembles = ("NVE", "NVT", "GHMC") if drifts == 1 else ("GHMC",)
        methods[f"{name} k={k}"] = lambda hybrid=hybrid, ensembles=ensembles: _hybrid(
            setting, _learned(setting, splitting, hybrid), hybrid, ensembles
        )
    methods[f"leapfrog GHMC, {k} steps"] = lambda: _leapfrog(setting, closing)
    return methods


def _learned(setting: Setting, checkpoint: Path, hybrid: HybridConfig) -> Jump:
    landing = {"closing_kick": "closing_kick", "drift_kick_drift": "half_step"}[hybrid.corrector]
    config = setting.config
    return load_learned_jump(
        checkpoint,
        setting.molecule,
        config.train.k_steps,
        config.md.dt_ps,
        landing,
        hybrid.drifts_per_step,
        hybrid.impulse,
    )


def _plain(setting: Setting, name: str) -> Results:
    """Velocity Verlet, and its Langevin dynamics, with the step and masses of a control."""
    control = variant(name, setting.config.md)
    system = control.system(setting.molecule, setting.config.md)
    md = setting.config.md.model_copy(update={"dt_fs": 1e3 * control.dt_ps})
    sampler = Sampler(system, "Reference", md, setting.molecule.name, lambda _: None)
    masses = _masses(system)
    interval = round(FRAME_PS / md.dt_ps)
    results = []
    for ensemble, length in (("NVE", setting.nve_ps), ("NVT", setting.nvt_ps)):
        steps = round(length / md.dt_ps)
        began = time.perf_counter()
        frames = []
        for replica, (x, v) in enumerate(setting.starts):
            if ensemble == "NVE":
                frames.append(sampler.window(x, v, steps, interval))
            else:
                seed = setting.config.md.seed + replica
                frames.append(sampler.sample(x, v, TEMPERATURE, seed, steps, interval))
        pos, vel = (np.stack([getattr(f, a) for f in frames], axis=1) for a in ("pos", "vel"))
        etot = np.stack([f.epot for f in frames], axis=1) + kinetic_energy(vel, masses)
        seconds = time.perf_counter() - began
        calls = steps * len(frames)
        results.append((ensemble, Run(pos, vel, etot, FRAME_PS, calls, seconds, 1.0, masses)))
    return results


def _hybrid(
    setting: Setting, jump: Jump, hybrid: HybridConfig, ensembles: Sequence[str]
) -> Results:
    return [(ensemble, _propagate(setting, jump, hybrid, ensemble)) for ensemble in ensembles]


def _leapfrog(setting: Setting, hybrid: HybridConfig) -> Results:
    """GHMC whose proposal is k true steps: what plain leapfrog makes of the same test."""
    config = setting.config
    oracle = _dynamics(setting)
    jump = ExactJump(oracle, config.train.k_steps, "closing_kick")
    run = _propagate(setting, jump, hybrid, "GHMC")
    # The proposal's own forces count here; its first and last are the test's and the next one's.
    calls = run.calls * config.train.k_steps
    return [("GHMC", Run(**{**vars(run), "calls": calls}))]


def _propagate(setting: Setting, jump: Jump, hybrid: HybridConfig, ensemble: str) -> Run:
    dynamics, size = _dynamics(setting), len(setting.starts)
    rng = np.random.default_rng(setting.config.hybrid.seed)
    if ensemble == "GHMC":
        step: MacroStep = GhmcStep(jump, dynamics, hybrid, size, TEMPERATURE, rng)
    else:
        step = MacroStep(jump, dynamics, hybrid, size, "nvt" if ensemble == "NVT" else "nve")
    friction = hybrid.friction_per_ps
    refresh = OrnsteinUhlenbeck(dynamics, TEMPERATURE, friction, step.duration, rng)
    every = max(1, round(FRAME_PS / step.duration))
    length = setting.nve_ps if ensemble == "NVE" else setting.nvt_ps
    n_frames = round(length / (every * step.duration))
    state = step.start(*(np.stack(part) for part in zip(*setting.starts, strict=True)))
    frames = []
    began = time.perf_counter()
    for _ in range(n_frames):
        for _ in range(every):
            state = step(state)
            if ensemble != "NVE":
                state = refresh(state)
        frames.append((state.x, state.v, state.etot(dynamics.masses)))
    seconds = time.perf_counter() - began
    accounts = step.accounts
    passed = 1.0 - accounts.rejected_jumps / accounts.macro_steps
    share = accounts.acceptances / accounts.proposals if accounts.proposals else passed
    pos, vel, etot = (np.array(part) for part in zip(*frames, strict=True))
    calls = int(accounts.calls.sum())
    return Run(pos, vel, etot, every * step.duration, calls, seconds, share, dynamics.masses)


def _dynamics(setting: Setting) -> TrueDynamics:
    md = setting.config.md
    system = load_system(
        setting.molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent
    )
    context = make_context(system, recording_velocity_verlet(md.dt_ps), "Reference")
    return TrueDynamics(context, md.dt_ps, setting.molecule.name)


def _masses(system: object) -> np.ndarray:
    count = system.getNumParticles()  # type: ignore[attr-defined]
    return np.array([system.getParticleMass(i)._value for i in range(count)])  # type: ignore[attr-defined]


def _header(molecule: Molecule) -> list[str]:
    elements = " | ".join(f"T {symbol(z)}" for z in _elements(molecule))
    kinds = "T stretch | T bend | T torsion"
    columns = (
        f"| method | ensemble | steps a call | drift, meV/atom/ps | {elements} | {kinds} | "
        "passed | torsion, a 1000 calls | a second | end to end, a 1000 calls | a second |"
    )
    return [columns, "|---" * (columns.count("|") - 1) + "|"]


def _elements(molecule: Molecule) -> list[int]:
    return sorted(set(molecule.numbers.tolist()))


def _row(setting: Setting, name: str, ensemble: str, run: Run) -> str:
    molecule, dt = setting.molecule, setting.config.md.dt_ps
    steps = run.frame_ps * run.pos.shape[0] * run.pos.shape[1] / dt / run.calls
    cells = [name, ensemble, f"{steps:.1f}", _drift(molecule, run) if ensemble == "NVE" else ""]
    cells += [f"{value:.0f}" for value in _temperatures(molecule, run)]
    cells.append(f"{run.accepted:.1%}")
    for series in (_torsions(molecule, run), _ends(molecule, run)):
        if ensemble == "NVE" or not series:
            cells += ["", ""]
            continue
        samples = run.pos.shape[0] * run.pos.shape[1] / max(inefficiency(one) for one in series)
        cells += [f"{1e3 * samples / run.calls:.3f}", f"{samples / run.seconds:.2f}"]
    return f"| {' | '.join(cells)} |"


def _drift(molecule: Molecule, run: Run) -> str:
    """Mean slope of the total energy over the replicas, with its standard error."""
    times = run.frame_ps * np.arange(len(run.etot))
    slopes = np.array([np.polyfit(times, energy, 1)[0] for energy in run.etot.T])
    slopes *= MEV_PER_KJ_PER_MOL / molecule.n_atoms
    return f"{slopes.mean():+.1e} ± {slopes.std(ddof=1) / np.sqrt(len(slopes)):.0e}"


def _temperatures(molecule: Molecule, run: Run) -> list[float]:
    """Of the elements, each with its share of the degrees of freedom, and of three modes, K."""
    masses = run.masses
    moving = remove_centre_of_mass(run.vel, masses)
    energies = 0.5 * np.einsum("frni,n->n", moving**2, masses) / np.prod(run.vel.shape[:2])
    freedom = _atomic_freedom(molecule, masses)
    values = []
    for number in _elements(molecule):
        own = molecule.numbers == number
        values.append(2.0 * energies[own].sum() / (freedom[own].sum() * BOLTZMANN))
    pos, vel = (a.reshape(-1, *a.shape[2:])[::5] for a in (run.pos, run.vel))
    kinds, sizes, labels = mode_energies(molecule, pos, vel, masses)
    means = 2.0 * kinds.mean(0) / (np.maximum(sizes, 1) * BOLTZMANN)
    by_label = dict(zip(labels, means.tolist(), strict=True))
    return [*values, *(by_label[label] for label in ("stretch", "bend", "torsion"))]


def _atomic_freedom(molecule: Molecule, masses: np.ndarray) -> np.ndarray:
    """Degrees of freedom of every atom: 2 ⟨K⟩ / k_B T for canonical velocities [N].

    The diagonal of the projection on what constraints and the centre of mass leave free, at the
    molecule's own conformer.
    """
    within = (tangent_basis(molecule.positions, masses, molecule.constraints) ** 2).sum((0, 2))
    return within - 3.0 * masses / masses.sum()


def _torsions(molecule: Molecule, run: Run) -> list[list[np.ndarray]]:
    """Cosine and sine of one torsion for each central bond, by replica."""
    proper = molecule.terms.torsion_constants[:, -1] == 0
    one_each = {tuple(sorted(t[1:3])): t for t in molecule.terms.torsions[proper].tolist()}
    radians = np.radians(_values(molecule, run, "dihedral", list(one_each.values())))
    return [list(wave(angle).T) for angle in radians for wave in (np.cos, np.sin)]


def _ends(molecule: Molecule, run: Run) -> list[list[np.ndarray]]:
    """The end-to-end distance, by replica."""
    (distance,) = _values(molecule, run, "distance", end_to_end(molecule)[0].members[:1].tolist())
    return [list(distance.T)]


def _values(
    molecule: Molecule, run: Run, kind: Kind, members: list[list[int]]
) -> Float[np.ndarray, "K F R"]:
    """Internal coordinates in all frames of all replicas."""
    if not members:
        return np.empty((0, *run.pos.shape[:2]))
    frames = as_mdtraj(molecule, run.pos.reshape(-1, molecule.n_atoms, 3))
    found = values(frames, CoordinateClass(kind, "", np.array(members)))
    return found.T.reshape(len(members), *run.pos.shape[:2])


if __name__ == "__main__":
    main()

r"""On the clock: plain MD against the hybrid, in turns, on one thread.

Where forces are cheap, with the network that comes with kstep and eight replicas in lockstep:

    kstep prep paths.data=clock prep.molecules=data/clock.smi
    python benchmarks/clock.py --replicas 8 --write docs/clock_results.md \
        --plot docs/images/clock.png paths.data=clock hybrid.network=shipped
    kstep prep --config configs/hmr paths.data=clock4 prep.molecules=data/clock.smi
    python benchmarks/clock.py --config configs/hmr --replicas 8 --write docs/clock_results.md \
        --plot docs/images/clock_hmr.png paths.data=clock4 hybrid.network=shipped

Where they are expensive, with networks adapted to them:

    kstep prep  paths.data=expensive prep.molecules=data/expensive.smi potential.name=gfn2-xtb
    kstep adapt paths.data=expensive paths.run=runs/expensive potential.name=gfn2-xtb \
        model.strains=true adapt.max_minutes=3 hybrid.temperature_K=300
    python benchmarks/clock.py --replicas 4 --write docs/expensive_results.md \
        --plot docs/images/expensive.png paths.data=expensive paths.run=runs/expensive \
        potential.name=gfn2-xtb hybrid.network=adapted hybrid.drifts_per_step=2

Plain MD is OpenMM's Langevin-middle integrator on the platform that is fastest for the molecule, at
2 fs with rigid bonds to hydrogen, and at 4 fs with hydrogens of 3 Da; the hybrid samples by GHMC
(exact) and with a thermostat (NVT) at each k. They take turns, `--rounds` times, for `--seconds`
each, so that a load on the machine meets all alike; ratios are medians over the rounds, with the
range in brackets. Time is for a ns of one replica; plain MD takes as long for each of many.
Framework is what a macro-step takes beside the jump and the true force, where Python computes that.
The bill of an adaptation is its true-force calls and its minutes; it is paid back after the
simulated time at which plain MD has taken as long as adaptation and hybrid together.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import openmm
import torch
from command import command
from document import put_section

from kstep.adaptation.exploring import explore, thermal_velocities
from kstep.config import Config, load_config
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.ghmc import GhmcStep
from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE
from kstep.integrators.outer_step import Accounts, MacroStep
from kstep.integrators.platforms import make_context, resolve_platform
from kstep.integrators.state import Jump
from kstep.integrators.thermostat import OrnsteinUhlenbeck
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials import CachedPotential, PythonSystem
from kstep.potentials.systems import load_system
from kstep.progress import progress
from kstep.regressed.learned import load_learned_jump
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.splitting import SplittingJump
from kstep.system.hydrogens import repartition
from kstep.system.molecule import Molecule
from kstep.system.prepared import prepared_molecules
from kstep.workflow.networks import networks_for

TEMPERATURE, FRICTION = 300.0, 1.0
STRIDES = (4, 8, 16, 32)
SETTLING_PS = 0.5


@dataclass
class Runner:
    """A way to run, and what it has done so far.

    Attributes:
        name: of the way.
        advance: runs on for a while; simulated ps and true-force calls.
        rates: wall-clock seconds per simulated ps, round by round.
        calls_per_ps: true-force calls per simulated ps, likewise.
        step: of a hybrid, for its books.
        potential: where Python computes it, for its seconds.
        wall: seconds in all rounds.
    """

    name: str
    advance: Callable[[], tuple[float, int]]
    rates: list[float] = field(default_factory=list)
    calls_per_ps: list[float] = field(default_factory=list)
    step: MacroStep | None = None
    potential: CachedPotential | None = None
    wall: float = 0.0

    def run(self, seconds: float) -> None:
        """One round."""
        start, length, calls = time.perf_counter(), 0.0, 0
        while time.perf_counter() - start < seconds:
            more_ps, more_calls = self.advance()
            length, calls = length + more_ps, calls + more_calls
        elapsed = time.perf_counter() - start
        self.wall += elapsed
        self.rates.append(elapsed / length)
        self.calls_per_ps.append(calls / length)


def main() -> None:
    options = _arguments()
    config = load_config(options.config, options.overrides)
    torch.set_num_threads(1)
    tables, bars = [], {}
    for molecule in prepared_molecules(config):
        runners = [*_plain(config, molecule), *_hybrids(config, molecule, options.replicas)]
        with progress(f"clock {molecule.name}", options.rounds, "rounds") as bar:
            for _ in range(options.rounds):
                for runner in runners:
                    runner.run(options.seconds)
                bar.update(1)
        tables.append(_table(config, molecule, runners))
        bars[molecule.name] = {r.name: _speedups(runners[0], r) for r in runners}
        print(tables[-1])
    if options.write:
        title = f"On the clock, base steps of {config.md.dt_fs:g} fs"
        put_section(options.write, title, "\n\n".join([_what(config, options), *tables]))
    if options.plot:
        _plot(bars, options.plot)


def _what(config: Config, options: argparse.Namespace) -> str:
    together = f"{options.replicas} replicas together" if options.replicas > 1 else "one replica"
    prep = config.prep
    title = config.potential.title(prep.force_field, prep.implicit_solvent)
    parts = [f"Potential {title}", "one thread", together]
    if config.hybrid.drifts_per_step > 1:
        parts.append(f"{config.hybrid.drifts_per_step} drifts a base step")
    return f"{', '.join(parts)} (`benchmarks/clock.py`)."


def _plain(config: Config, molecule: Molecule) -> Iterator[Runner]:
    md = config.md
    for name, dt_ps, hydrogen in (("MD, 2 fs", 0.002, None), ("MD, 4 fs, H of 3 Da", 0.004, 3.0)):
        system = _system(config, molecule)
        if hydrogen is not None:
            numbers, bonds = molecule.numbers.tolist(), molecule.bonds.tolist()
            repartition(system, molecule.name, numbers, bonds, hydrogen)
        integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, dt_ps)
        integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
        integrator.setRandomNumberSeed(md.seed)
        context = make_context(system, integrator, _fastest(system, config, molecule))
        context.setPositions(molecule.positions)
        context.setVelocitiesToTemperature(TEMPERATURE, md.seed)
        integrator.step(round(SETTLING_PS / dt_ps))

        def advance(context: openmm.Context = context, dt_ps: float = dt_ps) -> tuple[float, int]:
            context.getIntegrator().step(8)
            return 8 * dt_ps, 8

        yield Runner(name, advance)


def _system(config: Config, molecule: Molecule) -> openmm.System:
    md = config.md
    return load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)


def _fastest(system: openmm.System, config: Config, molecule: Molecule) -> str:
    platform, _ = resolve_platform("auto", system, molecule.positions, config.md.dt_ps)
    return platform


def _hybrids(config: Config, molecule: Molecule, replicas: int) -> Iterator[Runner]:
    checkpoint = networks_for(config, [molecule])[molecule.name].checkpoint
    md = config.md
    platform = _fastest(_system(config, molecule), config, molecule)
    for ensemble in ("ghmc", "nvt"):
        for k_steps in STRIDES:
            system = _system(config, molecule)
            dynamics = make_dynamics(system, md.dt_ps, platform, molecule.name)
            jump = load_learned_jump(
                checkpoint, molecule, k_steps, md.dt_ps, "closing_kick",
                config.hybrid.drifts_per_step, config.hybrid.impulse,
            )  # fmt: skip
            rng = np.random.default_rng(md.seed)
            step = _step(ensemble, jump, dynamics, config, replicas, rng)
            model = load_jump(checkpoint).model
            assert isinstance(model, SplittingJump)
            x = explore(model, molecule, dynamics, TEMPERATURE, replicas, replicas, rng)
            v = thermal_velocities(x, dynamics, TEMPERATURE, rng)
            name = f"{ensemble.upper()}, k = {k_steps}"
            advance = _advancing(step, dynamics, x, v, rng)
            potential = system.potential if isinstance(system, PythonSystem) else None
            if potential is not None:
                potential.seconds = 0.0
            yield Runner(name, advance, step=step, potential=potential)


def _step(
    ensemble: str,
    jump: Jump,
    dynamics: TrueDynamics,
    config: Config,
    replicas: int,
    rng: np.random.Generator,
) -> MacroStep:
    if ensemble == "ghmc":
        return GhmcStep(jump, dynamics, config.hybrid, replicas, TEMPERATURE, rng)
    return MacroStep(jump, dynamics, config.hybrid, replicas, "nvt")


def _advancing(
    step: MacroStep, dynamics: TrueDynamics, x: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> Callable[[], tuple[float, int]]:
    thermostat = OrnsteinUhlenbeck(dynamics, TEMPERATURE, FRICTION, step.duration, rng)
    state, replicas = step.start(x, v), len(x)

    def advance() -> tuple[float, int]:
        nonlocal state
        before = dynamics.calls
        state = step(thermostat(state))
        return replicas * step.duration, dynamics.calls - before

    for _ in range(round(SETTLING_PS / step.duration)):
        advance()
    step.accounts = Accounts(calls=np.zeros(replicas, dtype=np.int64))
    return advance


def _speedups(baseline: Runner, runner: Runner) -> np.ndarray:
    return np.array(baseline.rates) / np.array(runner.rates)


def _table(config: Config, molecule: Molecule, runners: list[Runner]) -> str:
    network, baseline = networks_for(config, [molecule])[molecule.name], runners[0]
    lines = [f"### {molecule.name}, {molecule.n_atoms} atoms", ""]
    if network.training_minutes is not None:
        lines += [
            f"Adaptation: {network.training_calls:,} true-force calls, "
            f"{network.training_minutes:.1f} minutes, "
            f"force error {network.training_rounds[-1]['force_error']:.1%}.",
            "",
        ]
    lines += [
        "| way | hours per ns | force calls per ps | against MD, 2 fs | kept | jump | framework "
        "| paid back after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for runner in runners:
        gain = _speedups(baseline, runner)
        median = float(np.median(gain))
        rate = float(np.median(runner.rates))
        lines.append(
            f"| {runner.name} | {rate * 1000 / 3600:.3g} | {np.mean(runner.calls_per_ps):.4g} "
            f"| {median:.2f} ({gain.min():.2f}–{gain.max():.2f}) "
            + _of_hybrid(runner, float(np.median(baseline.rates)) - rate, network.training_minutes)
        )
    return "\n".join([*lines, ""])


def _of_hybrid(runner: Runner, saved_per_ps: float, minutes: float | None) -> str:
    """Share of jumps kept, where the time goes, and when the adaptation is paid back."""
    if runner.step is None:
        return "| | | | |"
    books = runner.step.accounts
    kept = books.acceptance
    if kept is None:
        kept = 1.0 - books.rejected_jumps / books.macro_steps
    jump, rest, paid = books.seconds["jump"] / runner.wall, "", ""
    if runner.potential is not None:
        rest = f"{1.0 - jump - runner.potential.seconds / runner.wall:.1%}"
    if minutes is not None:
        paid = f"{60 * minutes / saved_per_ps:.0f} ps" if saved_per_ps > 0 else "never"
    return f"| {kept:.1%} | {jump:.1%} | {rest} | {paid} |"


def _plot(bars: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    width = 0.8 / len(bars)
    for place, (molecule, gains) in enumerate(bars.items()):
        at = np.arange(len(gains)) + place * width
        middle = [float(np.median(gain)) for gain in gains.values()]
        spread = [[m - g.min(), g.max() - m] for m, g in zip(middle, gains.values(), strict=True)]
        axis.bar(at, middle, width, yerr=np.array(spread).T, label=molecule, capsize=2)
    axis.set_xticks(np.arange(len(gains)) + 0.4 - width / 2, list(gains), rotation=30, ha="right")
    axis.axhline(1.0, color="black", linewidth=0.8)
    axis.set_ylabel("simulated time per wall-clock time,\nagainst MD at 2 fs")
    axis.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _arguments() -> argparse.Namespace:
    parser = command(__doc__)
    parser.add_argument("--replicas", type=int, default=1, help="that the hybrid runs together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of every way in a round")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()

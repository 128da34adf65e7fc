r"""Where it pays: an expensive potential, plain MD against the hybrid on the clock.

    kstep prep  paths.data=expensive prep.molecules=data/expensive.smi potential.name=gfn2-xtb
    kstep adapt paths.data=expensive paths.run=runs/expensive potential.name=gfn2-xtb \
        model.strains=true adapt.max_minutes=3 hybrid.temperature_K=300
    python benchmarks/expensive.py --write docs/expensive_results.md \
        --plot docs/images/expensive.png \
        paths.data=expensive paths.run=runs/expensive potential.name=gfn2-xtb

Every molecule of `paths.data` runs on one thread, in one process, with the network that `kstep
adapt` made for it. Plain MD is OpenMM's Langevin-middle integrator at 2 fs with rigid bonds to
hydrogen, and at 4 fs with hydrogens of 3 Da; the hybrid samples by GHMC (exact) and with a
thermostat (NVT) at each k. They take turns, `--rounds` times, for `--seconds` each, so that a load
on the machine meets all alike; ratios are medians over the rounds, with the range in brackets.
Framework is what a macro-step takes beside the jump and the true force. The bill of the adaptation
is its true-force calls and its minutes; it is paid back after the simulated time at which plain MD
has taken as long as adaptation and hybrid together.
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
from document import put_section

from kstep.adapt.exploring import explore
from kstep.artifacts import read_json
from kstep.config import Config, load_config
from kstep.controls.hydrogens import repartition
from kstep.hybrid import Jump, make_dynamics
from kstep.hybrid.ghmc import GhmcStep
from kstep.hybrid.learned import load_learned_jump
from kstep.hybrid.macrostep import MacroStep
from kstep.hybrid.thermostat import OrnsteinUhlenbeck
from kstep.md.dynamics import TrueDynamics
from kstep.md.integrators import CONSTRAINT_TOLERANCE
from kstep.md.platforms import make_context
from kstep.md.systems import load_system
from kstep.mechanics import maxwell_boltzmann
from kstep.model import SplittingJump, load_jump
from kstep.molecule import Molecule, prepared_molecules
from kstep.networks import adaptation_folder
from kstep.potentials import Potential, PythonSystem
from kstep.progress import progress

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
    potential: likewise.
    wall: seconds in all rounds.
    """

    name: str
    advance: Callable[[], tuple[float, int]]
    rates: list[float] = field(default_factory=list)
    calls_per_ps: list[float] = field(default_factory=list)
    step: MacroStep | None = None
    potential: Potential | None = None
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
        runners = list(_plain(config, molecule)) + list(_hybrids(config, molecule))
        with progress(f"expensive {molecule.name}", options.rounds, "rounds") as bar:
            for _ in range(options.rounds):
                for runner in runners:
                    runner.run(options.seconds)
                bar.update(1)
        tables.append(_table(config, molecule, runners))
        bars[molecule.name] = {r.name: _speedups(runners[0], r) for r in runners}
        print(tables[-1])
    if options.write:
        what = f"Potential {config.potential.title}, one thread (`benchmarks/expensive.py`)."
        put_section(options.write, "On the clock", "\n\n".join([what, *tables]))
    if options.plot:
        _plot(bars, options.plot)


def _plain(config: Config, molecule: Molecule) -> Iterator[Runner]:
    md = config.md
    for name, dt_ps, hydrogen in (("MD, 2 fs", 0.002, None), ("MD, 4 fs, H of 3 Da", 0.004, 3.0)):
        system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
        if hydrogen is not None:
            repartition(system, molecule, hydrogen)
        integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, dt_ps)
        integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
        integrator.setRandomNumberSeed(md.seed)
        context = make_context(system, integrator, "Reference")
        context.setPositions(molecule.positions)
        context.setVelocitiesToTemperature(TEMPERATURE, md.seed)
        integrator.step(round(SETTLING_PS / dt_ps))

        def advance(context: openmm.Context = context, dt_ps: float = dt_ps) -> tuple[float, int]:
            context.getIntegrator().step(8)
            return 8 * dt_ps, 8

        yield Runner(name, advance)


def _hybrids(config: Config, molecule: Molecule) -> Iterator[Runner]:
    checkpoint = adaptation_folder(config, molecule) / "train" / "best.ckpt"
    md = config.md
    for ensemble in ("ghmc", "nvt"):
        for k_steps in STRIDES:
            system = load_system(
                molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent
            )
            dynamics = make_dynamics(system, md.dt_ps, "Reference", molecule.name)
            jump = load_learned_jump(checkpoint, molecule, k_steps, md.dt_ps, "closing_kick")
            rng = np.random.default_rng(md.seed)
            step = _step(ensemble, jump, dynamics, config, rng)
            model = load_jump(checkpoint).model
            assert isinstance(model, SplittingJump)
            (x,) = explore(model, molecule, dynamics, TEMPERATURE, 1, 1, rng)
            v = dynamics.constrain_velocities(
                x, maxwell_boltzmann(rng, molecule.masses, TEMPERATURE)
            )
            name = f"{ensemble.upper()}, k = {k_steps}"
            advance = _advancing(step, dynamics, x, v, rng)
            assert isinstance(system, PythonSystem)
            system.potential.seconds = 0.0
            yield Runner(name, advance, step=step, potential=system.potential)


def _step(
    ensemble: str, jump: Jump, dynamics: TrueDynamics, config: Config, rng: np.random.Generator
) -> MacroStep:
    if ensemble == "ghmc":
        return GhmcStep(jump, dynamics, config.hybrid, 1, TEMPERATURE, rng)
    return MacroStep(jump, dynamics, config.hybrid, 1, "nvt")


def _advancing(
    step: MacroStep, dynamics: TrueDynamics, x: np.ndarray, v: np.ndarray, rng: np.random.Generator
) -> Callable[[], tuple[float, int]]:
    thermostat = OrnsteinUhlenbeck(dynamics, TEMPERATURE, FRICTION, step.duration, rng)
    state = step.start(x[None], v[None])

    def advance() -> tuple[float, int]:
        nonlocal state
        before = dynamics.calls
        state = step(thermostat(state))
        return step.duration, dynamics.calls - before

    for _ in range(round(SETTLING_PS / step.duration)):
        advance()
    step.accounts = type(step.accounts)(calls=np.zeros(1, dtype=np.int64))
    return advance


def _speedups(baseline: Runner, runner: Runner) -> np.ndarray:
    return np.array(baseline.rates) / np.array(runner.rates)


def _table(config: Config, molecule: Molecule, runners: list[Runner]) -> str:
    folder = adaptation_folder(config, molecule)
    record, minutes = read_json(folder / "record.json"), read_json(folder / "timing.json")
    baseline = runners[0]
    lines = [
        f"### {molecule.name}, {molecule.n_atoms} atoms",
        "",
        f"Adaptation: {record['force_calls']:,} true-force calls, "
        f"{minutes['minutes']:.1f} minutes, "
        f"force error {record['rounds'][-1]['force_error']:.1%}.",
        "",
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
            + _of_hybrid(runner, float(np.median(baseline.rates)) - rate, minutes["minutes"])
        )
    return "\n".join([*lines, ""])


def _of_hybrid(runner: Runner, saved_per_ps: float, minutes: float) -> str:
    """Share of jumps kept, where the time goes, and when the adaptation is paid back."""
    if runner.step is None or runner.potential is None:
        return "| | | | |"
    books = runner.step.accounts
    kept = books.acceptance
    if kept is None:
        kept = 1.0 - books.rejected_jumps / books.macro_steps
    jump, force = books.seconds["jump"] / runner.wall, runner.potential.seconds / runner.wall
    paid = f"{60 * minutes / saved_per_ps:.0f} ps" if saved_per_ps > 0 else "never"
    return f"| {kept:.1%} | {jump:.1%} | {1.0 - jump - force:.1%} | {paid} |"


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of every way in a round")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("overrides", nargs="*")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""From a molecule, its potential and a surrogate to samples: `sample` and `reweight`."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kstep.errors import SimulationError
from kstep.integrators.verlet import Constraints, mover_of
from kstep.progress import progress
from kstep.protocols import Evaluation, Identity, Method, Potential, Replicas, Surrogate, bound
from kstep.referee.statistics.reweighting import weigh
from kstep.sampling.ladder import Ladder, Moves, Rungs, geometric
from kstep.sampling.nested import ChainState, NestedChain
from kstep.sampling.samples import Bill, Samples
from kstep.system.molecule import Molecule

PATIENCE = 100
"""Outer steps for chains that began where there is no true energy to find one."""


@dataclass(frozen=True)
class SampleSettings:
    """How samples are taken.

    Attributes:
        chains: independent chains.
        per_chain: samples of each.
        spacing_ps: time of the surrogate's jumps between two samples, ps.
        settling_ps: by the surrogate alone, before the first.
        rungs: temperatures of the ladder; 1: none but the one that is sampled.
        hottest_K: the highest of them, K.
        moves: what a sweep is made of.
        seed: of all random numbers.
    """

    chains: int = 4
    per_chain: int = 250
    spacing_ps: float = 4.0
    settling_ps: float = 20.0
    rungs: int = 8
    hottest_K: float = 700.0
    moves: Moves = field(default_factory=Moves)
    seed: int = 42

    def sweeps(self, picoseconds: float) -> int:
        """Sweeps that take about this long, at least one."""
        return max(1, round(picoseconds / self.moves.jump_ps))


def sample(
    molecule: Molecule,
    potential: Potential | Method,
    surrogate: Surrogate,
    *,
    temperature_K: float = 300.0,
    settings: SampleSettings | None = None,
    starts: Replicas | None = None,
    show_progress: bool = True,
) -> Samples:
    """Samples of exp(−U_true/kT), exact whatever the surrogate is worth (`kstep.sampling.nested`).

    Args:
        molecule: whose states are wanted.
        potential: the true one; one energy a sample and chain is asked of it.
        surrogate: that moves the molecule in between.
        temperature_K: K.
        settings: how many, how far apart, on which ladder.
        starts: geometries to begin at, nm [S, N, 3]; the molecule's conformer where none are given.
        show_progress: a bar on standard error.

    Raises SimulationError where the potential has no energy anywhere that the surrogate leads.
    """
    settings = settings or SampleSettings()
    setup = _Setup(molecule, bound(potential, molecule), surrogate, temperature_K, settings)
    total = float(settings.chains * settings.per_chain)
    with progress("sample", total, "samples", disable=not show_progress) as bar:
        rungs = setup.settled(starts)
        chain = NestedChain(setup.ladder, setup.meter, setup.sweeps, setup.rng)
        state = setup.begun(chain, rungs)
        kept: list[tuple[Any, ...]] = []
        for _ in range(settings.per_chain):
            step = chain.step(state)
            state = step.state
            difference = step.proposed_true - step.proposed_learned
            learned = state.rungs.energies[:, 0]
            kept.append((state.rungs.x[:, 0], state.true, learned, step.accepted, difference))
            bar.update(settings.chains)
    x, true, learned, accepted, difference = (np.array(part) for part in zip(*kept, strict=True))
    weights = np.full(true.shape, 1.0 / true.size)
    return setup.samples(x, true, learned, weights, accepted, difference)


def reweight(
    molecule: Molecule,
    potential: Potential | Method,
    surrogate: Surrogate,
    *,
    temperature_K: float = 300.0,
    settings: SampleSettings | None = None,
    starts: Replicas | None = None,
    show_progress: bool = True,
) -> Samples:
    """Samples of the surrogate's ensemble with weights exp(−D/kT), one true energy each.

    Where the weights' effective fraction is good this is worth as much as `sample`, and every true
    energy counts; where few samples carry all weight, `sample` it is. Arguments as of `sample`.
    """
    settings = settings or SampleSettings()
    setup = _Setup(molecule, bound(potential, molecule), surrogate, temperature_K, settings)
    total = float(settings.chains * settings.per_chain)
    with progress("reweight", total, "samples", disable=not show_progress) as bar:
        rungs = setup.settled(starts)
        kept: list[tuple[Any, ...]] = []
        for _ in range(settings.per_chain):
            rungs = setup.ladder.sweep(rungs, setup.sweeps)
            true = setup.meter.evaluate(rungs.x[:, 0]).energies
            kept.append((rungs.x[:, 0], true, rungs.energies[:, 0]))
            bar.update(settings.chains)
    x, true, learned = (np.array(part) for part in zip(*kept, strict=True))
    difference = true - learned
    found = np.isfinite(difference)
    weights = np.zeros_like(difference)
    weights[found] = weigh(difference[found][None], temperature_K).values[0]
    return setup.samples(x, true, learned, weights, found, difference)


class _Meter:
    """A potential that counts its calls and its time."""

    def __init__(self, potential: Potential) -> None:
        self._potential = potential
        self.calls, self.seconds = 0, 0.0

    @property
    def identity(self) -> Identity:
        return self._potential.identity

    def evaluate(self, x: Replicas) -> Evaluation:
        began = time.perf_counter()
        found = self._potential.evaluate(x)
        self.calls += len(x)
        self.seconds += time.perf_counter() - began
        return found


class _Setup:
    """What both ways to sample begin with, and how both end."""

    def __init__(
        self,
        molecule: Molecule,
        potential: Potential,
        surrogate: Surrogate,
        temperature_K: float,
        settings: SampleSettings,
    ) -> None:
        self._molecule, self._surrogate = molecule, surrogate
        self._temperature, self._settings = temperature_K, settings
        self._began = time.process_time(), time.perf_counter()
        self.meter, self.rng = _Meter(potential), np.random.default_rng(settings.seed)
        self.sweeps = settings.sweeps(settings.spacing_ps)
        constraints = Constraints(molecule)
        self.ladder = Ladder(
            mover_of(surrogate, molecule, constraints),
            constraints,
            molecule.masses,
            geometric(temperature_K, max(settings.hottest_K, temperature_K), settings.rungs),
            settings.moves,
            self.rng,
        )

    def settled(self, starts: Replicas | None) -> Rungs:
        """Chains that the surrogate has taken away from where they began."""
        given = self._molecule.positions[None] if starts is None else starts
        shape = (self._settings.chains, len(self.ladder.temperatures))
        places = given[np.arange(shape[0] * shape[1]) % len(given)]
        rungs = self.ladder.begin(places.reshape(*shape, *given.shape[1:]).astype(np.float64))
        return self.ladder.sweep(rungs, self._settings.sweeps(self._settings.settling_ps))

    def begun(self, chain: NestedChain, rungs: Rungs) -> ChainState:
        """Chains that all are where there is a true energy.

        Raises SimulationError where some find none.
        """
        state = chain.begin(rungs)
        for _ in range(PATIENCE):
            if np.isfinite(state.true).all():
                return state
            state = chain.step(state).state
        raise SimulationError(
            f"{self._molecule.name}: the potential has no energy where the surrogate leads: adapt "
            "the surrogate to it, or check the potential's settings."
        )

    def samples(
        self,
        x: np.ndarray,
        true: np.ndarray,
        learned: np.ndarray,
        weights: np.ndarray,
        accepted: np.ndarray,
        difference: np.ndarray,
    ) -> Samples:
        """What was kept, with the bill."""
        spacing = self.sweeps * self._settings.moves.jump_ps
        bill = Bill(
            true_calls=self.meter.calls,
            cpu_seconds=time.process_time() - self._began[0],
            wall_seconds=time.perf_counter() - self._began[1],
            true_seconds=self.meter.seconds,
            simulated_ps=spacing * true.size,
        )
        return Samples(
            molecule=self._molecule,
            temperature_K=self._temperature,
            x=x,
            energies=true,
            learned=learned,
            weights=weights,
            accepted=accepted,
            proposed_difference=difference,
            spacing_ps=spacing,
            bill=bill,
            surrogate=self._surrogate.identity,
            potential=self.meter.identity,
            settings=asdict(self._settings),
        )

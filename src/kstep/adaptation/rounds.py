"""A surrogate adapted to a molecule and its potential: explore, label, fit, and again.

Geometries come from Monte Carlo on the surrogate itself, at a ladder of temperatures, so that all
rotamers and ring shapes are labelled before populations are believed. Where little was learned a
surrogate has holes without bottom: energies far below all that labels know are out of bounds.
Energies are labels as much as forces: every true call brings both. What the surrogate errs by on
the labels of a round, before it learns from them, predicts what a Metropolis test will accept; when
that is good enough, or the budget of calls is spent, the adaptation ends, and says which.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from tqdm import tqdm

from kstep.errors import SimulationError
from kstep.integrators.verlet import Constraints, Mover, mover_of
from kstep.progress import progress
from kstep.protocols import (
    Evaluation,
    Labels,
    Method,
    PerReplica,
    Potential,
    Replicas,
    Surrogate,
    bound,
)
from kstep.referee.statistics.reweighting import weigh
from kstep.sampling.ladder import Ladder, Moves, geometric
from kstep.surrogates.class_two import ClassTwo
from kstep.system.mechanics import internal_degrees_of_freedom, remove_centre_of_mass
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

Geometries = Float[np.ndarray, "S N 3"]

ABSURD = 2.0
"""Mean thermal energies above the lowest label, beyond which a label teaches nothing."""
HOLE = 10.0
"""kT below the lowest learned energy of a label: what lies deeper is a hole of the surrogate."""


@dataclass(frozen=True)
class AdaptSettings:
    """How an adaptation goes.

    Attributes:
        labels: true calls of every round; together the budget.
        target_acceptance: predicted for independent proposals, at which it ends before.
        hottest_K: highest temperature of the exploration, K.
        rungs: temperatures explored.
        cold_share: of the labels, at the temperature that will be sampled.
        chains: independent explorations.
        settling_ps: by the surrogate before the first label of a round.
        spacing_ps: between two labels of one chain.
        moves: of the exploration.
        seed: of all random numbers.
    """

    labels: tuple[int, ...] = (200, 300, 500, 500)
    target_acceptance: float = 0.9
    hottest_K: float = 600.0
    rungs: int = 4
    cold_share: float = 0.4
    chains: int = 4
    settling_ps: float = 2.0
    spacing_ps: float = 0.5
    moves: Moves = field(default_factory=lambda: Moves(jump_steps=16))
    seed: int = 42


@dataclass(frozen=True, eq=False)
class Round:
    """One round: a surrogate judged on labels that it had not seen, and what became of it.

    Attributes:
        calls: true calls so far, this round's included.
        force_error: relative, along the constraints, of the surrogate before it learned.
        spread: standard deviation of D at the temperature that will be sampled, kT.
        acceptance: predicted by that.
        labels: all so far.
        surrogate: after it has learned from them; before, where the round ended the adaptation.
        reason: why the adaptation ended here; empty where it goes on.
    """

    calls: int
    force_error: float
    spread: float
    acceptance: float
    labels: Labels
    surrogate: Surrogate
    reason: str = ""

    def __str__(self) -> str:
        """One line for people."""
        said = (
            f"{self.calls} true calls: force error {self.force_error:.1%}, spread of the energy "
            f"{self.spread:.2f} kT, predicted acceptance {self.acceptance:.0%}"
        )
        return f"{said}; {self.reason}" if self.reason else said


def adapt(
    molecule: Molecule,
    potential: Potential | Method,
    surrogate: Surrogate | None = None,
    *,
    temperature_K: float = 300.0,
    settings: AdaptSettings | None = None,
    labels: Labels | None = None,
    starts: Replicas | None = None,
    show_progress: bool = True,
) -> Surrogate:
    """A surrogate of a molecule's potential, good enough to sample it by.

    `adapt_in_rounds` gives every round, with its labels. Arguments as there; where no surrogate is
    given, one that is fitted in closed form (`kstep.ClassTwo`).
    """
    rounds = adapt_in_rounds(
        molecule,
        potential,
        ClassTwo.of(molecule) if surrogate is None else surrogate,
        temperature_K=temperature_K,
        settings=settings,
        labels=labels,
        starts=starts,
        show_progress=show_progress,
    )
    for last in rounds:
        if show_progress:
            tqdm.write(f"adapt {molecule.name}: {last}", file=sys.stderr)
    return last.surrogate


def adapt_in_rounds(
    molecule: Molecule,
    potential: Potential | Method,
    surrogate: Surrogate,
    *,
    temperature_K: float = 300.0,
    settings: AdaptSettings | None = None,
    labels: Labels | None = None,
    starts: Replicas | None = None,
    show_progress: bool = True,
) -> Iterator[Round]:
    """Rounds of exploring, labelling and fitting, one after the other.

    Args:
        molecule: whose potential it is.
        potential: the true one: a call for each label.
        surrogate: to begin with; left as it is.
        temperature_K: that will be sampled, K.
        settings: of the adaptation.
        labels: that have been paid for already, learned from with the first round's.
        starts: geometries to explore from, nm [S, N, 3]; the conformer where none are given.
        show_progress: a bar of the true calls on standard error.

    Raises SimulationError when the potential has no energy at any geometry of a round.
    """
    settings, potential = settings or AdaptSettings(), bound(potential, molecule)
    explorer = _Explorer(molecule, temperature_K, settings)
    places = molecule.positions[None] if starts is None else starts
    first, _ = _labelled(molecule, potential, places, np.inf, lambda amount: None)
    known = first if labels is None else labels.joined(first)
    calls, total = len(places), sum(settings.labels)
    for number, count in enumerate((*settings.labels, 0)):
        count = count or max(settings.labels[-1] // 5, 20)  # the last round only judges
        geometries, cold = explorer.explore(surrogate, places, known, count)
        highest = float(known.energies.min()) + explorer.highest_rise
        label = f"adapt {molecule.name}: labels"
        with progress(label, float(count), "calls", disable=not show_progress) as bar:
            new, kept = _labelled(molecule, potential, geometries, highest, bar.update)
        cold, calls = cold[kept], calls + count
        judged = _judge(molecule, explorer.constraints, surrogate, new, cold, temperature_K)
        known = known.joined(new)
        reached = judged[2] >= settings.target_acceptance
        if reached or number == len(settings.labels):
            reason = "the acceptance aimed at is reached" if reached else "the calls are spent"
            yield Round(calls, *judged, known, surrogate, f"{reason} ({calls} of {total} planned)")
            return
        surrogate = surrogate.fit(known)
        places = known.x[-len(new) :] if len(new) else known.x
        yield Round(calls, *judged, known, surrogate)


class _Explorer:
    """Monte Carlo on a surrogate that spreads over the conformations a molecule has."""

    def __init__(self, molecule: Molecule, temperature_K: float, settings: AdaptSettings) -> None:
        self._molecule, self._settings = molecule, settings
        self.constraints = Constraints(molecule)
        self._temperatures = geometric(temperature_K, settings.hottest_K, settings.rungs)
        self._rng = np.random.default_rng(settings.seed)
        freedom = internal_degrees_of_freedom(molecule.n_atoms, len(molecule.constraints)) - 3
        self.highest_rise = ABSURD * 0.5 * max(freedom, 1) * BOLTZMANN * settings.hottest_K
        self.highest_rise += 2.0 * HOLE * BOLTZMANN * settings.hottest_K

    def explore(
        self, surrogate: Surrogate, places: Replicas, known: Labels, count: int
    ) -> tuple[Geometries, Bool[np.ndarray, " S"]]:
        """So many geometries, nm, and which of them are of the lowest temperature."""
        settings, moves = self._settings, self._settings.moves
        mover = mover_of(surrogate, self._molecule, self.constraints)
        floor = float(mover.energies(known.x).min()) - HOLE * BOLTZMANN * settings.hottest_K
        ladder = Ladder(
            _Fenced(mover, floor),
            self.constraints,
            self._molecule.masses,
            self._temperatures,
            moves,
            self._rng,
        )
        shape = (settings.chains, settings.rungs)
        chosen = self._rng.integers(len(places), size=shape)
        rungs = ladder.begin(places[chosen].astype(np.float64))
        rungs = ladder.sweep(rungs, max(1, round(settings.settling_ps / moves.jump_ps)))
        cold, hot = self._shares(count)
        frames = -(-max(cold, -(-hot // max(settings.rungs - 1, 1))) // settings.chains)
        found: list[np.ndarray] = []
        for _ in range(frames):
            rungs = ladder.sweep(rungs, max(1, round(settings.spacing_ps / moves.jump_ps)))
            found.append(rungs.x)
        x = np.array(found)  # [F, C, T, N, 3]
        parts = [x[:, :, 0].reshape(-1, *x.shape[3:]), x[:, :, 1:].reshape(-1, *x.shape[3:])]
        chosen_x = [_spread(part, n) for part, n in zip(parts, (cold, hot), strict=True)]
        return np.concatenate(chosen_x), np.arange(cold + hot) < cold

    def _shares(self, count: int) -> tuple[int, int]:
        """Labels at the lowest temperature and above."""
        if self._settings.rungs == 1:
            return count, 0
        cold = max(1, round(self._settings.cold_share * count))
        return cold, count - cold


@dataclass(frozen=True)
class _Fenced:
    """A mover whose energies below a floor, kJ/mol, are infinite: no jump may end there."""

    mover: Mover
    floor: float

    def verlet(
        self, x: Replicas, v: Replicas, n_steps: int, dt_ps: float
    ) -> tuple[Replicas, Replicas]:
        return self.mover.verlet(x, v, n_steps, dt_ps)

    def energies(self, x: Replicas) -> PerReplica:
        found = self.mover.energies(x)
        return np.where(found >= self.floor, found, np.inf)


def _spread(x: Replicas, count: int) -> Geometries:
    """So many of them, evenly spread."""
    return x[np.linspace(0, len(x) - 1, count).round().astype(np.int64)] if count else x[:0]


def _labelled(
    molecule: Molecule,
    potential: Potential,
    geometries: Geometries,
    highest: float,
    told: Callable[[float], object],
) -> tuple[Labels, Bool[np.ndarray, " S"]]:
    """True energies and forces, and which of the geometries (nm) can be learned from.

    Those without an energy, or with one above `highest`, cannot.
    """
    parts: list[Evaluation] = []
    for first in range(0, len(geometries), 8):
        parts.append(potential.evaluate(geometries[first : first + 8]))
        told(len(parts[-1].energies))
    energies = np.concatenate([part.energies for part in parts])
    forces = np.concatenate([part.forces for part in parts])
    found = Evaluation(energies, forces).found
    if not found.any():
        raise SimulationError(
            f"{molecule.name}: the potential has no energy at any of {len(geometries)} geometries: "
            "check its settings and the molecule."
        )
    kept = found & (energies <= highest)
    centred = remove_centre_of_mass(geometries, molecule.masses)
    return Labels(centred[kept], energies[kept], forces[kept]), kept


def _judge(
    molecule: Molecule,
    constraints: Constraints,
    surrogate: Surrogate,
    new: Labels,
    cold: Bool[np.ndarray, " S"],
    temperature_K: float,
) -> tuple[float, float, float]:
    """Force error, spread of D in kT and predicted acceptance of a surrogate on new labels."""
    chosen = np.flatnonzero(cold) if cold.sum() > 1 else np.arange(len(new))
    found = surrogate.evaluate(new.x[chosen])
    mobility = 1.0 / molecule.masses[:, None]
    root = np.sqrt(molecule.masses)[:, None]
    x = new.x[chosen]
    truth = root * constraints.project(x, mobility * new.forces[chosen])
    error = root * constraints.project(x, mobility * found.forces) - truth
    difference = new.energies[chosen] - found.energies
    weights = weigh(difference[np.isfinite(difference)][None], temperature_K)
    relative = math.sqrt(float((error**2).sum() / (truth**2).sum()))
    return relative, weights.spread, weights.predicted_acceptance

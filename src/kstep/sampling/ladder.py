"""Monte Carlo on a surrogate: jumps tested by learned energies, at a ladder of temperatures.

One sweep at every temperature: a jump by velocity Verlet, tested by the learned energy and turned
round where it is refused (generalised hybrid Monte Carlo; Horowitz, Phys. Lett. B 268, 247 (1991)),
then the exact Ornstein-Uhlenbeck step for the velocities; then neighbours may exchange their
temperatures (Sugita & Okamoto, Chem. Phys. Lett. 314, 141 (1999)). Each of these keeps the joint
distribution Π π_s(x_i; T_i) · Maxwell. Jumps and thermostat are reversible up to a flip of the
velocities, exchanges, whose pairs are drawn evenly, are reversible. So is any number of sweeps that
begins and ends with a jump: with velocities drawn anew before, x → x' has the symmetry that
`kstep.sampling.nested` needs.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from kstep.integrators.verlet import Constraints, Mover
from kstep.protocols import Replicas
from kstep.system.mechanics import kinetic_energy
from kstep.units import BOLTZMANN


@dataclass(frozen=True)
class Moves:
    """What a sweep is made of.

    Attributes:
        dt_ps: step of the jumps, ps.
        jump_steps: steps of a jump.
        friction_per_ps: of the thermostat between jumps, 1/ps.
    """

    dt_ps: float = 0.002
    jump_steps: int = 32
    friction_per_ps: float = 2.0

    @property
    def jump_ps(self) -> float:
        """Duration of a jump, ps."""
        return self.jump_steps * self.dt_ps


@dataclass(frozen=True, eq=False)
class Rungs:
    """Chains, each a replica at every temperature.

    Attributes:
        x: nm [C, T, N, 3].
        energies: learned, kJ/mol [C, T].
        walkers: which of its chain's first replicas a replica was [C, T].
    """

    x: Float[np.ndarray, "C T N 3"]
    energies: Float[np.ndarray, "C T"]
    walkers: Int[np.ndarray, "C T"]

    def chosen(self, accepted: Bool[np.ndarray, " C"], before: "Rungs") -> "Rungs":
        """These where accepted, those of before elsewhere."""
        return Rungs(
            np.where(accepted[:, None, None, None], self.x, before.x),
            np.where(accepted[:, None], self.energies, before.energies),
            np.where(accepted[:, None], self.walkers, before.walkers),
        )


@dataclass
class Tally:
    """What was tried and accepted.

    Attributes:
        jumps, jumps_accepted: at every temperature [T].
        exchanges, exchanges_accepted: of each temperature with the next [T − 1].
    """

    jumps: Int[np.ndarray, " T"]
    jumps_accepted: Int[np.ndarray, " T"]
    exchanges: Int[np.ndarray, " G"]
    exchanges_accepted: Int[np.ndarray, " G"]

    @classmethod
    def of(cls, n_temperatures: int) -> "Tally":
        """Nothing tried yet."""
        none = [np.zeros(max(n, 0), np.int64) for n in (n_temperatures, n_temperatures - 1)]
        return cls(none[0], none[0].copy(), none[1], none[1].copy())


class Ladder:
    """Sweeps of a surrogate's chains; temperatures in lanes."""

    def __init__(
        self,
        mover: Mover,
        constraints: Constraints,
        masses: Float[np.ndarray, " N"],
        temperatures: Float[np.ndarray, " T"],
        moves: Moves,
        rng: np.random.Generator,
    ) -> None:
        """Temperatures in K, ascending."""
        self._mover, self._constraints, self._masses = mover, constraints, masses
        self.temperatures, self._moves, self._rng = temperatures, moves, rng
        self._keep = math.exp(-moves.friction_per_ps * moves.jump_ps)
        self.tally = Tally.of(len(temperatures))

    def begin(self, x: Float[np.ndarray, "C T N 3"]) -> Rungs:
        """Chains at given positions."""
        n_chains, n_rungs = x.shape[:2]
        energies = self._mover.energies(_flat(x)).reshape(n_chains, n_rungs)
        walkers = np.tile(np.arange(n_rungs), (n_chains, 1))
        return Rungs(x, energies, walkers)

    def sweep(self, rungs: Rungs, count: int) -> Rungs:
        """So many sweeps, from velocities drawn anew."""
        n_chains = len(rungs.x)
        kelvin = np.tile(self.temperatures, n_chains)
        v = self._constraints.thermal_velocities(_flat(rungs.x), kelvin, self._rng)
        for number in range(count):
            if number > 0:
                v = self._thermostat(_flat(rungs.x), v, kelvin)
                rungs, v = self._exchange(rungs, v)
            rungs, v = self._jump(rungs, v, kelvin)
        return rungs

    def _thermostat(self, x: Replicas, v: Replicas, kelvin: Float[np.ndarray, " R"]) -> Replicas:
        noise = self._constraints.thermal_velocities(x, kelvin, self._rng)
        mixed: Replicas = self._keep * v + math.sqrt(1.0 - self._keep**2) * noise
        return mixed

    def _jump(
        self, rungs: Rungs, v: Replicas, kelvin: Float[np.ndarray, " R"]
    ) -> tuple[Rungs, Replicas]:
        x, u = _flat(rungs.x), rungs.energies.ravel()
        landed, moving = self._mover.verlet(x, v, self._moves.jump_steps, self._moves.dt_ps)
        after = self._mover.energies(landed)
        with np.errstate(invalid="ignore", over="ignore"):
            rise = after - u + kinetic_energy(moving, self._masses)
            rise = rise - kinetic_energy(v, self._masses)
        bar = -BOLTZMANN * kelvin * np.log(_uniform(self._rng, len(x)))
        accepted = rise < bar  # what is no number is refused
        self.tally.jumps += len(rungs.x)
        self.tally.jumps_accepted += accepted.reshape(rungs.energies.shape).sum(0)
        chosen = accepted[:, None, None]
        x, v = np.where(chosen, landed, x), np.where(chosen, moving, -v)
        energies = np.where(accepted, after, u).reshape(rungs.energies.shape)
        return replace(rungs, x=x.reshape(rungs.x.shape), energies=energies), v

    def _exchange(self, rungs: Rungs, v: Replicas) -> tuple[Rungs, Replicas]:
        """Neighbours swap: pairs that begin at an even or an odd rung, whichever is drawn."""
        n_chains, n_rungs = rungs.energies.shape
        lower = np.arange(int(self._rng.integers(2)), n_rungs - 1, 2)
        if n_rungs < 2:
            return rungs, v
        beta = 1.0 / (BOLTZMANN * self.temperatures)
        gap = (beta[lower] - beta[lower + 1]) * (
            rungs.energies[:, lower] - rungs.energies[:, lower + 1]
        )
        accepted = np.log(_uniform(self._rng, n_chains, len(lower))) < gap
        self.tally.exchanges[lower] += n_chains
        self.tally.exchanges_accepted[lower] += accepted.sum(0)
        order = np.tile(np.arange(n_rungs), (n_chains, 1))
        chain, pair = np.nonzero(accepted)
        first = lower[pair]
        order[chain, first], order[chain, first + 1] = first + 1, first
        rows = np.arange(n_chains)[:, None]
        scale = np.sqrt(self.temperatures[None] / self.temperatures[order])
        moving = v.reshape(rungs.x.shape)[rows, order] * scale[..., None, None]
        swapped = Rungs(
            rungs.x[rows, order], rungs.energies[rows, order], rungs.walkers[rows, order]
        )
        return swapped, _flat(moving)


def geometric(lowest: float, highest: float, count: int) -> Float[np.ndarray, " T"]:
    """Temperatures from the lowest to the highest, each the same factor above the one before."""
    return np.geomspace(lowest, highest, count) if count > 1 else np.array([lowest])


def _flat(rungs: Float[np.ndarray, "C T N 3"]) -> Replicas:
    return rungs.reshape(-1, *rungs.shape[2:])


def _uniform(rng: np.random.Generator, *shape: int) -> Float[np.ndarray, "..."]:
    """Between 0 and 1, never 0."""
    return 1.0 - rng.random(shape)

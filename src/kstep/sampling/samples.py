"""Samples of the true potential, with their energies, weights and bill."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from kstep.protocols import Identity
from kstep.referee.statistics.convergence import Convergence, judge_convergence
from kstep.referee.statistics.reweighting import Weights, weigh
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVT, Trajectory, trajectory_record
from kstep.units import ANGSTROM_PER_NM

PerSample = Float[np.ndarray, "F C"]


@dataclass(frozen=True, eq=False)
class Bill:
    """What samples cost.

    Attributes:
        true_calls: energies asked of the true potential.
        cpu_seconds, wall_seconds: all of it.
        true_seconds: wall-clock time inside the true potential.
        simulated_ps: time covered by the surrogate's jumps at the first temperature, all chains.
    """

    true_calls: int
    cpu_seconds: float
    wall_seconds: float
    true_seconds: float
    simulated_ps: float


@dataclass(frozen=True, eq=False)
class Samples:
    """Chains of states of one molecule that represent the true potential's ensemble.

    Attributes:
        molecule: whose states they are.
        temperature_K: K.
        x: nm [F, C, N, 3].
        energies: true, kJ/mol [F, C].
        learned: of the surrogate, kJ/mol, up to a constant [F, C].
        weights: of every sample; they add up to one [F, C].
        accepted: whether a sample is a new one or, after a refusal, the one before again [F, C].
        proposed_difference: D = U_true − U_learned of every proposal, kJ/mol [F, C].
        spacing_ps: time of the surrogate's jumps between two samples, ps.
        bill: what they cost.
        surrogate, potential: identities.
        settings: of the run.
    """

    molecule: Molecule
    temperature_K: float
    x: Float[np.ndarray, "F C N 3"]
    energies: PerSample
    learned: PerSample
    weights: PerSample
    accepted: Bool[np.ndarray, "F C"]
    proposed_difference: PerSample
    spacing_ps: float
    bill: Bill
    surrogate: Identity
    potential: Identity
    settings: Mapping[str, Any]

    @property
    def acceptance(self) -> float:
        """Share of the proposals that the true energy accepted."""
        return float(self.accepted.mean())

    @property
    def true_calls(self) -> int:
        """Energies asked of the true potential."""
        return self.bill.true_calls

    @property
    def effective_fraction(self) -> float:
        """(Σ w)² / (n Σ w²): one for equal weights."""
        return float(1.0 / (self.weights.size * (self.weights**2).sum()))

    @property
    def is_weighted(self) -> bool:
        """Whether the weights differ: samples of the surrogate's ensemble, reweighted."""
        return bool(np.ptp(self.weights) > 0.0)

    @cached_property
    def surrogate_quality(self) -> Weights:
        """How far the surrogate's ensemble is from the true one, by D at every proposal.

        Its effective fraction is that of proposals reweighted, its predicted acceptance that of
        independent proposals; of a nested chain with short proposals both are estimates.
        """
        found = np.isfinite(self.proposed_difference).all(axis=0)
        return weigh(self.proposed_difference[:, found].T, self.temperature_K)

    def observables(self) -> dict[str, Float[np.ndarray, "C F"]]:
        """What convergence is asked of: the energy, and every bond that something turns about.

        Of a bond: cos φ, sin φ and cos 2φ, averaged over torsions that symmetry makes equal, so
        that a flip that changes nothing counts for nothing.
        """
        from kstep.referee.structure.coordinates import as_mdtraj, coordinate_classes, values

        n_frames, n_chains = self.energies.shape
        frames = as_mdtraj(self.molecule, self.trajectory().pos)
        found = {"energy": self.energies.T}
        for group in coordinate_classes(self.molecule):
            if group.kind != "dihedral":
                continue
            angles = np.radians(values(frames, group)).reshape(n_chains, n_frames, -1)
            for name, waves in (
                ("cos", np.cos(angles)), ("sin", np.sin(angles)), ("cos 2", np.cos(2.0 * angles)),
            ):  # fmt: skip
                found[f"{name} {group.label}"] = waves.mean(-1)
        return found

    @cached_property
    def convergence(self) -> Convergence:
        """Whether independent chains agree, by rank-normalised R̂ and effective sample sizes."""
        return judge_convergence(self.observables())

    def trajectory(self) -> Trajectory:
        """A segment for each chain, as the referee reads it; there are no velocities."""
        n_frames, n_chains = self.energies.shape
        pos = np.swapaxes(self.x, 0, 1).reshape(-1, self.molecule.n_atoms, 3)
        nothing = np.full(len(pos), np.nan)
        steps = np.arange(1, n_frames + 1)
        return Trajectory(
            pos=pos,
            vel=np.full_like(pos, np.nan),
            box=np.zeros((len(pos), 3, 3)),
            epot=self.energies.T.ravel(),
            ekin=nothing,
            etot=nothing,
            times=np.tile(steps * self.spacing_ps, n_chains),
            segment=np.repeat(np.arange(n_chains), n_frames),
            segment_kind=np.full(n_chains, NVT),
            segment_temperature=np.full(n_chains, self.temperature_K),
            force_calls=np.tile(steps, n_chains),
            numbers=self.molecule.numbers,
            masses=self.molecule.masses,
            record=trajectory_record(
                velocities=False,
                ensemble="nested",
                acceptance=self.acceptance,
                candidate="kstep.sample",
                temperatures_K=[self.temperature_K],
                surrogate=dict(self.surrogate),
                potential=dict(self.potential),
                settings=dict(self.settings),
            ),
        )

    def to_mdtraj(self) -> Any:
        """An `mdtraj.Trajectory` of all chains, one after the other, times in ps."""
        # MDTraj takes a second to import, and samples may be wanted without it.
        from kstep.referee.structure.coordinates import as_mdtraj

        own = self.trajectory()
        frames = as_mdtraj(self.molecule, own.pos)
        frames.time = own.times
        return frames

    def to_ase(self) -> list[Any]:
        """`ase.Atoms` of all chains, one after the other, in Å, with the weight in `info`."""
        from ase import Atoms

        weights = self.weights.T.ravel()
        return [
            Atoms(self.molecule.numbers, positions=x * ANGSTROM_PER_NM, info={"weight": weight})
            for x, weight in zip(self.trajectory().pos, weights.tolist(), strict=True)
        ]

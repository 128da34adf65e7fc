"""Samples of the true potential, with their energies, weights and bill."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from kstep.protocols import Identity
from kstep.system.molecule import Molecule
from kstep.system.trajectory import NVT, Trajectory, trajectory_record
from kstep.units import ANGSTROM_PER_NM, BOLTZMANN

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
        import mdtraj

        topology = mdtraj.Topology()
        chain = topology.add_chain()
        residue = topology.add_residue(self.molecule.name[:3].upper() or "MOL", chain)
        for index, number in enumerate(self.molecule.numbers.tolist()):
            element = mdtraj.element.Element.getByAtomicNumber(number)
            topology.add_atom(f"{element.symbol}{index + 1}", element, residue)
        atoms = list(topology.atoms)
        for first, second in self.molecule.bonds.tolist():
            topology.add_bond(atoms[first], atoms[second])
        own = self.trajectory()
        return mdtraj.Trajectory(own.pos.astype(np.float32), topology, time=own.times)

    def to_ase(self) -> list[Any]:
        """`ase.Atoms` of all chains, one after the other, in Å, with the weight in `info`."""
        from ase import Atoms

        weights = self.weights.T.ravel()
        return [
            Atoms(self.molecule.numbers, positions=x * ANGSTROM_PER_NM, info={"weight": weight})
            for x, weight in zip(self.trajectory().pos, weights.tolist(), strict=True)
        ]


def predicted_acceptance(difference: Float[np.ndarray, "*n"], temperature_K: float) -> float:
    """Share that a Metropolis test by D between independent states would accept: erfc(s/2).

    s is the standard deviation of D in kT. Where D is normal with variance s² under the surrogate,
    its change between two independent states is normal with twice that in equilibrium under the
    true potential, mean s²; half of what is uphill and all that is downhill is accepted.
    """
    finite = difference[np.isfinite(difference)]
    if len(finite) < 2:
        return math.nan
    return math.erfc(0.5 * float(finite.std(ddof=1)) / (BOLTZMANN * temperature_K))

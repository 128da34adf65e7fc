"""What a run of `structure.py` is worth: drift, temperatures, effective samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kstep.integrators.map_quality import tangent_basis
from kstep.referee.physics.modes import mode_energies
from kstep.referee.statistics.estimates import inefficiency
from kstep.referee.structure.autocorrelation import end_to_end
from kstep.referee.structure.coordinates import CoordinateClass, Kind, as_mdtraj, values
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.molecule import Molecule, symbol
from kstep.units import BOLTZMANN, MEV_PER_KJ_PER_MOL

MODES = ("stretch", "bend", "torsion")
MODE_STRIDE = 5
"""Every so many frames are resolved into modes."""
TRACE_POINTS = 200
"""Points that are kept of a curve of the energy."""


@dataclass(frozen=True, eq=False)
class Run:
    """Frames of all replicas and what they cost.

    Attributes:
        pos, vel: nm, nm/ps [F, R, N, 3].
        etot: kJ/mol [F, R].
        frame_ps: time between frames, ps.
        calls: true-force calls of all replicas.
        seconds: without setting up.
        passed: share of macro-steps that ended where a jump led, of all.
        masses: Da [N].
    """

    pos: np.ndarray
    vel: np.ndarray
    etot: np.ndarray
    frame_ps: float
    calls: int
    seconds: float
    passed: float
    masses: np.ndarray

    @property
    def length_ps(self) -> float:
        """Simulated time of all replicas together, ps."""
        return self.frame_ps * self.pos.shape[0] * self.pos.shape[1]


def drifts(molecule: Molecule, run: Run) -> list[float]:
    """Slope of the total energy of every replica, meV/atom/ps."""
    times = run.frame_ps * np.arange(len(run.etot))
    slopes = np.array([np.polyfit(times, energy, 1)[0] for energy in run.etot.T])
    return (slopes * MEV_PER_KJ_PER_MOL / molecule.n_atoms).tolist()


def trace(molecule: Molecule, run: Run) -> dict[str, list]:
    """Total energy against time, ps and meV/atom since the first frame, by replica."""
    every = max(1, len(run.etot) // TRACE_POINTS)
    times = run.frame_ps * np.arange(len(run.etot))[::every]
    energies = (run.etot - run.etot[0])[::every] * MEV_PER_KJ_PER_MOL / molecule.n_atoms
    return {"ps": times.round(3).tolist(), "meV": energies.T.round(4).tolist()}


def temperatures(molecule: Molecule, run: Run) -> dict[str, list[float]]:
    """Of every element and of three kinds of modes, by replica, K.

    An element's is 2 ⟨K⟩ over its share of the degrees of freedom.
    """
    moving = remove_centre_of_mass(run.vel, run.masses)
    energies = 0.5 * np.einsum("frni,n->rn", moving**2, run.masses) / len(run.vel)
    freedom = _atomic_freedom(molecule, run.masses)
    found = {}
    for number in sorted(set(molecule.numbers.tolist())):
        own = molecule.numbers == number
        kelvin = 2.0 * energies[:, own].sum(1) / (freedom[own].sum() * BOLTZMANN)
        found[symbol(number)] = kelvin.tolist()
    by_replica = [
        _mode_temperatures(molecule, run.pos[:, r], run.vel[:, r], run.masses)
        for r in range(run.pos.shape[1])
    ]
    return found | {kind: [one[kind] for one in by_replica] for kind in MODES}


def _mode_temperatures(
    molecule: Molecule, pos: np.ndarray, vel: np.ndarray, masses: np.ndarray
) -> dict[str, float]:
    kinds, sizes, labels = mode_energies(molecule, pos[::MODE_STRIDE], vel[::MODE_STRIDE], masses)
    means = 2.0 * kinds.mean(0) / (np.maximum(sizes, 1) * BOLTZMANN)
    return dict(zip(labels, means.tolist(), strict=True))


def _atomic_freedom(molecule: Molecule, masses: np.ndarray) -> np.ndarray:
    """Degrees of freedom of every atom: 2 ⟨K⟩ / k_B T for canonical velocities [N].

    The diagonal of the projection on what constraints and the centre of mass leave free, at the
    molecule's own conformer.
    """
    within = (tangent_basis(molecule.positions, masses, molecule.constraints) ** 2).sum((0, 2))
    return within - 3.0 * masses / masses.sum()


def effective_samples(molecule: Molecule, run: Run) -> dict[str, dict[str, list[float]]]:
    """Of torsions (the slowest, the median) and the end-to-end distance, with their spread.

    `all`: one number, of all replicas together. `without`: the same, each replica left out in
    turn and what is left scaled to all, for the jackknife. Torsions are one for each central bond;
    of cosine and sine the slower counts.
    """
    n_replicas = run.pos.shape[1]
    everything = list(range(n_replicas))
    kept = [everything, *([r for r in everything if r != out] for out in everything)]
    torsions, ends = _torsions(molecule, run), _ends(molecule, run)
    found: dict[str, dict[str, list[float]]] = {}
    for name, groups, choose in (
        ("slowest torsion", torsions, np.min),
        ("median torsion", torsions, np.median),
        ("end to end", ends, np.min),
    ):
        if not groups:
            continue
        counts = [
            float(choose([_samples(group, replicas) for group in groups])) * n_replicas
            for replicas in kept
        ]
        found[name] = {"all": counts[:1], "without": counts[1:]}
    return found


def _samples(waves: list[np.ndarray], replicas: list[int]) -> float:
    """Effective samples a replica of the slowest of some curves [F, R]."""
    memory = max(inefficiency([wave[:, r] for r in replicas]) for wave in waves)
    return len(waves[0]) / memory


def _torsions(molecule: Molecule, run: Run) -> list[list[np.ndarray]]:
    """Cosine and sine [F, R] of one torsion for each central bond."""
    proper = molecule.terms.torsion_constants[:, -1] == 0
    one_each = {tuple(sorted(t[1:3])): t for t in molecule.terms.torsions[proper].tolist()}
    radians = np.radians(_values(molecule, run, "dihedral", list(one_each.values())))
    return [[np.cos(angle), np.sin(angle)] for angle in radians]


def _ends(molecule: Molecule, run: Run) -> list[list[np.ndarray]]:
    """The end-to-end distance [F, R]."""
    (distance,) = _values(molecule, run, "distance", end_to_end(molecule)[0].members[:1].tolist())
    return [[distance]]


def _values(
    molecule: Molecule, run: Run, kind: Kind, members: list[list[int]]
) -> Float[np.ndarray, "K F R"]:
    """Internal coordinates in all frames of all replicas."""
    if not members:
        return np.empty((0, *run.pos.shape[:2]))
    frames = as_mdtraj(molecule, run.pos.reshape(-1, molecule.n_atoms, 3))
    found = values(frames, CoordinateClass(kind, "", np.array(members)))
    return found.T.reshape(len(members), *run.pos.shape[:2])

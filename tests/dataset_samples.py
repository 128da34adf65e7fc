"""Bursts of an analytic molecule, written as the md stage writes them.

Atoms of different masses joined by harmonic springs, with velocity Verlet in numpy: every state
of a burst, stored or not, can be computed again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kstep.config import OPENFF
from kstep.system.trajectory import NVT, Trajectory, trajectory_record
from term_samples import random_terms

DT_PS = 0.002
NUMBERS = np.array([8, 6, 1, 7, 1, 6])
MASSES = np.array([16.0, 12.0, 1.0, 14.0, 1.0, 12.0])
STIFFNESS = 2.0e4  # kJ/mol/nm²


@dataclass(frozen=True)
class Springs:
    """A molecule whose atoms all pull at each other."""

    n_atoms: int

    @property
    def numbers(self) -> np.ndarray:
        return NUMBERS[: self.n_atoms]

    @property
    def masses(self) -> np.ndarray:
        return MASSES[: self.n_atoms]

    def forces(self, x: np.ndarray) -> np.ndarray:
        return STIFFNESS * (x.mean(axis=-2, keepdims=True) - x)

    def step(self, x: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One velocity-Verlet step of DT_PS."""
        half = v + 0.5 * DT_PS * self.forces(x) / self.masses[:, None]
        x = x + DT_PS * half
        return x, half + 0.5 * DT_PS * self.forces(x) / self.masses[:, None]

    def path(self, x: np.ndarray, v: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """All states from step 0 to `n_steps` [n_steps + 1, ...]."""
        states = [(x, v)]
        for _ in range(n_steps):
            states.append(self.step(*states[-1]))
        return np.stack([s[0] for s in states]), np.stack([s[1] for s in states])

    def start(self, seed: int, n_bursts: int) -> tuple[np.ndarray, np.ndarray]:
        """Random starts, away from the origin and in motion as a whole [B, N, 3]."""
        rng = np.random.default_rng(seed)
        x = rng.normal(scale=0.01, size=(n_bursts, self.n_atoms, 3)) + np.array([1.0, -2.0, 0.5])
        v = rng.normal(size=x.shape) / np.sqrt(self.masses)[:, None] + np.array([0.3, 0.1, -0.2])
        return x, v


def bursts(
    molecule: Springs, seed: int, n_bursts: int, stride: int, length: int
) -> dict[str, np.ndarray]:
    """The burst arrays, except `burst_frame`."""
    x, v = molecule.path(*molecule.start(seed, n_bursts), length + 1)
    half = np.diff(x, axis=0) / DT_PS
    stored = range(0, length + 1, stride)
    arrays = {"pos": x, "vel": v, "forces": molecule.forces(x), "vel_half": half}
    return {
        f"burst_{key}": np.stack([array[s] for s in stored], axis=1).astype(np.float32)
        for key, array in arrays.items()
    }


def write_bursts(
    folder: Path,
    name: str,
    n_atoms: int = 4,
    n_bursts: int = 20,
    stride: int = 4,
    length: int = 48,
    dt_ps: float = DT_PS,
    frames: np.ndarray | None = None,
    segment: np.ndarray | None = None,
    seed: int = 1,
    potential: str = OPENFF,
    **changes: np.ndarray,
) -> Path:
    """An NPZ of the md stage; `changes` replace arrays of it.

    `frames` are the frames that bursts started from, `segment` the segment of every frame.
    """
    molecule = Springs(n_atoms)
    frames = np.arange(n_bursts) if frames is None else frames
    segment = np.zeros(int(frames.max(initial=0)) + 1, np.int64) if segment is None else segment
    count, kinds = len(segment), np.full(int(segment.max()) + 1, NVT)
    zeros = np.zeros(count)
    trajectory = Trajectory(
        pos=np.zeros((count, n_atoms, 3)),
        vel=np.zeros((count, n_atoms, 3)),
        box=np.zeros((count, 3, 3)),
        epot=zeros,
        ekin=zeros,
        etot=zeros,
        times=zeros,
        segment=segment,
        segment_kind=kinds,
        segment_temperature=np.full(len(kinds), 300.0),
        force_calls=np.zeros(count, np.int64),
        numbers=molecule.numbers,
        masses=molecule.masses,
        record=trajectory_record(
            molecule=name,
            fingerprint=f"fingerprint of {name}",
            potential_title=potential,
            dt_ps=dt_ps,
            temperatures_K=[300.0],
            burst_stride_steps=stride,
            burst_length_steps=length,
        ),
    )
    terms = random_terms(molecule.start(seed, 1)[0][0], seed)
    extra = bursts(molecule, seed, n_bursts, stride, length) | {"burst_frame": frames}
    extra |= {f"terms_{name}": array for name, array in vars(terms).items()}
    path = folder / f"{name}.npz"
    trajectory.save(path, extra | changes)
    return path

"""A harmonic molecule with exact canonical frames, and run folders made of it, for the referee.

Everything is drawn from normal modes: positions and velocities are independent and exactly
canonical at the given temperature, NVE windows are the exact harmonic motion.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from kstep.artifacts import hash_file, write_json
from kstep.config import Config, load_config
from kstep.system.molecule import Molecule
from kstep.system.motion import Motion, motion_of, motion_record
from kstep.system.prepared import load_molecule
from kstep.system.trajectory import NVE, NVE_RESCALED, NVT, Trajectory, trajectory_record
from kstep.units import BOLTZMANN
from regressed import PROPAGATOR

NUMBERS = np.array([6, 6, 8, 6, 1])
MASSES = np.array([12.011, 12.011, 15.999, 12.011, 1.008])
BONDS = np.array([[0, 1], [1, 2], [2, 3], [0, 4]])
POSITIONS = np.array(
    [[0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.2, 0.13, 0.0], [0.33, 0.14, 0.06], [-0.04, 0.09, 0.04]]
)
DT_PS = 0.002


def make_molecule(folder: Path, name: str = "sample", system: str = "<System/>") -> Molecule:
    """The molecule, prepared as `prep` would have left it, with the text of its System."""
    directory = folder / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "system.xml").write_text(system)
    write_json(
        directory / "manifest.json",
        {
            "schema": "kstep.molecule", "schema_version": 1, "name": name, "smiles": "CCOC",
            "numbers": NUMBERS.tolist(), "masses_Da": MASSES.tolist(),
            "positions_nm": POSITIONS.tolist(), "bonds": BONDS.tolist(), "constraints": [],
            "hashes": {"system.xml": hash_file(directory / "system.xml")},
        },
    )  # fmt: skip
    return load_molecule(directory)


def hessian(stretch_scale: float = 1.0) -> np.ndarray:
    """Springs between all pairs: stiff bonds, softer angles, soft rest, kJ/mol/nm² [3N, 3N]."""
    n_atoms = len(NUMBERS)
    matrix = np.zeros((n_atoms, 3, n_atoms, 3))
    bonded = {frozenset(pair) for pair in BONDS.tolist()}
    for i in range(n_atoms):
        for j in range(i):
            arm = POSITIONS[i] - POSITIONS[j]
            constant = stretch_scale * 2e5 if frozenset((i, j)) in bonded else 2e4
            block = constant * np.outer(arm, arm) / (arm @ arm)
            for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
                matrix[a, :, b, :] += sign * block
    return matrix.reshape(3 * n_atoms, 3 * n_atoms)


def normal_modes(stretch_scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Angular frequencies, 1/ps [M], and Cartesian displacements per mode [M, N, 3]."""
    root = np.repeat(np.sqrt(MASSES), 3)
    squares, vectors = np.linalg.eigh(hessian(stretch_scale) / np.outer(root, root))
    vibrations = squares > 1.0
    modes = (vectors / root[:, None]).T.reshape(-1, len(NUMBERS), 3)
    return np.sqrt(squares[vibrations]), modes[vibrations]


def draw(
    rng: np.random.Generator, n_frames: int, temperature: float, stretch_scale: float = 1.0
) -> dict[str, np.ndarray]:
    """Independent canonical frames: positions, velocities, potential energies."""
    frequencies, modes = normal_modes(stretch_scale)
    thermal = np.sqrt(BOLTZMANN * temperature)
    amplitudes = thermal / frequencies * rng.standard_normal((n_frames, len(frequencies)))
    width = np.sqrt(BOLTZMANN * temperature / MASSES)[:, None]
    return {
        "pos": POSITIONS + np.einsum("tm,mni->tni", amplitudes, modes),
        "vel": width * rng.standard_normal((n_frames, len(NUMBERS), 3)),
        "epot": 0.5 * (frequencies**2 * amplitudes**2).sum(axis=1),
    }


def window(
    rng: np.random.Generator,
    times: np.ndarray,
    temperature: float,
    drift: float,
    stretch_scale: float = 1.0,
) -> dict[str, np.ndarray]:
    """Harmonic motion at constant energy, plus `drift` kJ/mol/ps in the potential energy."""
    frequencies, modes = normal_modes(stretch_scale)
    thermal = np.sqrt(BOLTZMANN * temperature)
    size, phase = rng.rayleigh(thermal, len(frequencies)), rng.uniform(0, 7, len(frequencies))
    angle = np.outer(times, frequencies) + phase
    amplitudes, rates = size / frequencies * np.cos(angle), -size * np.sin(angle)
    noise = 0.01 * rng.standard_normal(len(times))
    return {
        "pos": POSITIONS + np.einsum("tm,mni->tni", amplitudes, modes),
        "vel": np.einsum("tm,mni->tni", rates, modes),
        "epot": 0.5 * (frequencies**2 * amplitudes**2).sum(axis=1) + drift * times + noise,
    }


REPLICAS = 8


def make_trajectory(
    molecule: Molecule, seed: int, n_frames: int = 16000, n_windows: int = 6,
    temperatures: tuple[float, ...] = (300.0,), actual: tuple[float, ...] | None = None,
    drift: float = 0.0, stretch_scale: float = 1.0, rescaled_windows: int = 0, **record: object,
) -> Trajectory:  # fmt: skip
    """One side: constant-temperature runs at each temperature, and NVE windows of 100 ps.

    `n_frames` are shared by the replicas of a temperature; `actual` temperatures may differ from
    the ones that the record claims.
    """
    rng = np.random.default_rng(seed)
    spacing = 0.1
    each = n_frames // REPLICAS
    parts, times, kinds, claimed = [], [], [], []
    for wanted, true in zip(temperatures, actual or temperatures, strict=True):
        for _ in range(REPLICAS):
            parts.append(draw(rng, each, true, stretch_scale))
            times.append(spacing * np.arange(1, each + 1))
            kinds.append(NVT)
            claimed.append(wanted)
    first = (actual or temperatures)[0]
    for kind in [NVE] * n_windows + [NVE_RESCALED] * rescaled_windows:
        times.append(spacing * np.arange(1, 1001))
        parts.append(window(rng, times[-1], first, drift, stretch_scale))
        kinds.append(kind)
        claimed.append(temperatures[0])
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    ekin = 0.5 * np.einsum("tni,tni,n->t", joined["vel"], joined["vel"], MASSES)
    every = np.concatenate(times)
    return Trajectory(
        **joined,
        box=np.zeros((len(ekin), 3, 3)), ekin=ekin, etot=joined["epot"] + ekin, times=every,
        segment=np.repeat(np.arange(len(parts)), [len(t) for t in times]),
        segment_kind=np.array(kinds), segment_temperature=np.array(claimed),
        force_calls=np.round(every / DT_PS).astype(np.int64),
        numbers=NUMBERS, masses=MASSES,
        record=trajectory_record(
            molecule=molecule.name, fingerprint=molecule.fingerprint, dt_ps=DT_PS, seed=seed,
            temperatures_K=list(temperatures), versions={"kstep": "test"}, **record,
        ),
    )  # fmt: skip


def make_motion(
    seed: int,
    stride: int,
    n_windows: int = 8,
    stretch_scale: float = 1.0,
    velocity_scale: float = 1.0,
) -> Motion:
    """Dense windows of 20 ps of the harmonic molecule, a frame every `stride` base steps."""
    rng = np.random.default_rng(seed)
    times = DT_PS * stride * np.arange(round(20.0 / DT_PS / stride))
    parts = [window(rng, times, 300.0, 0.0, stretch_scale) for _ in range(n_windows)]
    vel = velocity_scale * np.stack([part["vel"] for part in parts])
    return Motion(
        vel.astype(np.float32),
        np.stack([part["epot"] for part in parts]),
        0.5 * np.einsum("wtni,wtni,n->wt", vel, vel, MASSES),
        DT_PS * stride,
        motion_record(),
    )


BASELINE = {"burst_calls": 1000, "integrator": "velocity Verlet"}
HYBRID = {
    "candidate": "hybrid", "k_steps": 8, "landing": "half_step", "corrector": "drift_kick_drift",
    "macro_steps": 10000, "force_calls": 12000, "rejected_jumps": 200,
    "nominal_saving": 9.0, "counted_saving": 7.5,
}  # fmt: skip


def make_baseline(molecule: Molecule, seed: int = 1, **options: object) -> Trajectory:
    """A baseline trajectory at 300 K."""
    return make_trajectory(molecule, seed, **BASELINE, **options)


def make_hybrid(molecule: Molecule, seed: int = 2, **options: object) -> Trajectory:
    """A hybrid trajectory at 300 K, faultless unless told otherwise."""
    return make_trajectory(molecule, seed, **HYBRID, **options)


def make_trajectory_of(molecule: Molecule, seed: int, n_frames: int = 64) -> Trajectory:
    """Frames of a real molecule at its minimum, tumbling: constrained bonds keep their lengths."""
    rotations = Rotation.random(n_frames, rng=np.random.default_rng(seed)).as_matrix()
    pos = np.einsum("tij,nj->tni", rotations, molecule.positions)
    still, times = np.zeros(n_frames), 0.1 * np.arange(1, n_frames + 1)
    return Trajectory(
        pos=pos, vel=np.zeros_like(pos), box=np.zeros((n_frames, 3, 3)), epot=still, ekin=still,
        etot=still, times=times, segment=np.zeros(n_frames, dtype=np.int64),
        segment_kind=np.array([NVT]), segment_temperature=np.array([300.0]),
        force_calls=np.zeros(n_frames, dtype=np.int64), numbers=molecule.numbers,
        masses=molecule.masses,
        record=trajectory_record(fingerprint=molecule.fingerprint, temperatures_K=[300.0]),
    )  # fmt: skip


TIMING = {
    "wall_s": {
        "jump": 30.0, "constraints": 4.0, "forces": 2.0, "thermostat": 1.0, "fallback": 1.0,
        "other": 2.0, "total": 40.0,
    },
    "simulated_ps": 180.0, "s_per_ps": 0.2, "baseline_s_per_ps": 0.05, "platform": "Reference",
    "replicas": 1,
}  # fmt: skip


def make_search(molecule: Molecule, seed: int, arrival: float, starts: int = 4) -> tuple:
    """A basin search: every start leaves 40 kJ/mol for 0 at about `arrival` ps."""
    rng = np.random.default_rng(seed)
    n_frames = 40
    times = np.tile(0.5 * np.arange(1, n_frames + 1), starts)
    frames = draw(rng, starts * n_frames, 300.0)
    ekin = 0.5 * np.einsum("tni,tni,n->t", frames["vel"], frames["vel"], MASSES)
    arrivals = np.repeat(arrival * (0.5 + np.arange(starts) / starts), n_frames)
    trajectory = Trajectory(
        **frames, box=np.zeros((len(times), 3, 3)), ekin=ekin, etot=frames["epot"] + ekin,
        times=times, segment=np.repeat(np.arange(starts), n_frames),
        segment_kind=np.full(starts, NVT), segment_temperature=np.full(starts, 300.0),
        force_calls=np.round(times / DT_PS).astype(np.int64),
        numbers=NUMBERS, masses=MASSES,
        record=trajectory_record(molecule=molecule.name, fingerprint=molecule.fingerprint),
    )  # fmt: skip
    away = times < arrivals
    folded = 0.3 * POSITIONS[::-1]
    extra = {
        "quenched_epot": np.where(away, 40.0, 0.0),
        "quenched_pos": np.where(away[:, None, None], folded, POSITIONS),
    }
    return trajectory, extra


def make_run(
    folder: Path, baseline: Trajectory, hybrid: Trajectory, molecule: Molecule, *options: str,
    motion: Motion | None = None,
) -> Config:  # fmt: skip
    """A folder with everything `eval` reads, and the configuration that points to it."""
    config = load_config(
        [PROPAGATOR],
        [
            f"paths.data={folder / 'data'}",
            f"paths.run={folder / 'run'}",
            "eval.bootstrap=200",
            # Normal modes conserve angular momentum to first order only.
            "eval.max_momentum_error=2.0",
            *options,
        ],
    )
    place = folder / "run" / "hybrid"
    reference = folder / "data" / "md" / f"{molecule.name}.npz"
    baseline.save(reference)
    hybrid.save(place / f"{molecule.name}.npz")
    own = motion_record(fingerprint=molecule.fingerprint, temperature_K=300.0)
    for path, found in (
        (reference, make_motion(11, 1)),
        (place / f"{molecule.name}.npz", motion or make_motion(12, 9)),
    ):
        replace(found, record=own).save(motion_of(path))
    (place / f"{molecule.name}.timing.json").write_text(json.dumps(TIMING))
    for side, arrival in (("baseline", 8.0), ("hybrid", 6.0)):
        trajectory, extra = make_search(molecule, 3, arrival)
        trajectory.save(place / f"{molecule.name}.basin_{side}.npz", extra)
    return config

"""Two ball-and-spring molecules, integrated with velocity Verlet, as a dataset with splits."""

from pathlib import Path

import numpy as np

from kstep.config import Config, load_config
from kstep.regressed.windows.splits import Split
from kstep.regressed.windows.windows import ROLLOUT_JUMPS, SCHEMA, SCHEMA_VERSION, Dataset
from kstep.system.force_field import pad_terms
from regressed import PROPAGATOR
from term_samples import random_terms

K, STRIDE, LENGTH, DT = 8, 4, 32, 0.002
SPRING = 1e5  # kJ/mol/nm²
SHAPES = {
    "bent": (np.array([6, 8, 6, 1]), [[0, 0, 0], [0.14, 0, 0], [0.2, 0.13, 0], [-0.1, 0, 0.05]]),
    "flat": (np.array([8, 6, 1]), [[0, 0, 0], [0.12, 0, 0], [0.18, 0.09, 0]]),
}
MASSES = {1: 1.008, 6: 12.011, 8: 15.999}


def forces(x: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Springs between all pairs, at rest in `rest`; x is [..., N, 3]."""
    difference = x[..., None, :] - x[..., None, :, :]
    distance = np.linalg.norm(difference, axis=-1)
    length = np.linalg.norm(rest[:, None] - rest[None], axis=-1)
    own = np.eye(len(rest))
    pull = -SPRING * (distance - length) / (distance + own)
    return (pull[..., None] * difference).sum(-2)


def bursts(name: str, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """States [B, S, N, 3] of NVE runs, with the velocity over the following step."""
    numbers, rest = SHAPES[name][0], np.array(SHAPES[name][1], dtype=np.float64)
    masses = np.array([MASSES[n] for n in numbers])[:, None]
    rng = np.random.default_rng(seed)
    x = rest + rng.normal(0.0, 0.004, (count, *rest.shape))
    v = rng.normal(size=x.shape) * np.sqrt(2.5 / masses)
    x -= (masses * x).sum(1, keepdims=True) / masses.sum()
    v -= (masses * v).sum(1, keepdims=True) / masses.sum()
    f = forces(x, rest)
    kept: dict[str, list[np.ndarray]] = {"x": [], "v": [], "f": [], "v_half": []}
    for step in range(LENGTH + 1):
        half = v + 0.5 * DT * f / masses
        if step % STRIDE == 0:
            for key, value in zip(kept, (x, v, f, half), strict=True):
                kept[key].append(value)
        x = x + DT * half
        f = forces(x, rest)
        v = half + 0.5 * DT * f / masses
    return {key: np.stack(values, axis=1) for key, values in kept.items()}


def make_dataset(count: int = 20) -> Dataset:
    """Windows of both molecules, `count` bursts each."""
    n_atoms = max(len(numbers) for numbers, _ in SHAPES.values())
    starts, jump = (LENGTH - K) // STRIDE + 1, K // STRIDE
    columns: dict[str, list[np.ndarray]] = {}
    types, masses = [], []
    for row, (name, (numbers, _)) in enumerate(SHAPES.items()):
        pad = [(0, 0), (0, 0), (0, n_atoms - len(numbers)), (0, 0)]
        states = {k: np.pad(a, pad) for k, a in bursts(name, count, seed=row).items()}
        types.append(np.pad(numbers, (0, n_atoms - len(numbers))))
        masses.append(np.array([MASSES.get(n, 0.0) for n in types[-1]]))
        parts = {
            "molecule_id": np.full(count * starts, row),
            "window_burst": np.repeat(np.arange(count), starts),
            "window_start": np.tile(np.arange(starts) * STRIDE, count),
            "rollout_window": (row * count + np.arange(count)) * starts,
        }
        for key, array in states.items():
            tag = key.removesuffix("_half")
            ends = ("_t_half", "_tk_half") if key == "v_half" else ("_t", "_tk")
            parts[tag + ends[0]] = array[:, :starts].reshape(-1, n_atoms, 3)
            parts[tag + ends[1]] = array[:, -starts:].reshape(-1, n_atoms, 3)
            later = [array[:, jump * (n + 1)] for n in range(1, ROLLOUT_JUMPS)]
            parts[f"rollout_{key}"] = np.stack(later, axis=1)
        for key, array in parts.items():
            columns.setdefault(key, []).append(array)
    arrays = {key: np.concatenate(parts) for key, parts in columns.items()}
    single = {k: a.astype(np.float32) if a.dtype == np.float64 else a for k, a in arrays.items()}
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "k_steps": K,
        "dt_ps": DT,
        "molecules": list(SHAPES),
        "temperatures_K": {name: [300.0] for name in SHAPES},
        "source_hashes": {name: name for name in SHAPES},
        "fingerprints": {name: f"fingerprint of {name}" for name in SHAPES},
    }
    terms = [
        random_terms(np.array(rest, dtype=np.float64), rigid=0.0) for _, rest in SHAPES.values()
    ]
    single |= {"atom_types": np.array(types), "masses": np.array(masses)}
    return Dataset(**single, **pad_terms(terms), record=record)


def make_files(folder: Path, count: int = 20) -> tuple[Path, Path]:
    """A dataset file and the folder of its splits; `flat` is seen only in validation."""
    dataset = make_dataset(count)
    path, splits = folder / "dataset_k8.npz", folder / "splits"
    dataset.save(path)
    record = {"seed": 1, "source_hashes": dataset.record["source_hashes"]}
    edges = {
        "train": range(count - 6),
        "val": range(count - 5, count - 3),
        "test": range(count - 2, count),
    }
    for name, own in edges.items():
        unseen = {"flat": list(range(count))} if name == "val" else {}
        Split(name, {"bent": list(own)}, unseen, record).save(splits / f"{name}.json")
    return path, splits


def make_config(folder: Path, *overrides: str) -> Config:
    """Settings of a training of seconds."""
    return load_config(
        [PROPAGATOR],
        [
            f"paths.run={folder / 'run'}",
            "model.hidden_channels=16",
            "model.vec_channels=8",
            "model.num_layers=3",
            "model.num_operators=4",
            "train.batch_size=8",
            "train.grad_accum=1",
            "train.lr=1e-2",
            "train.epochs=3",
            "train.val_every_steps=10",
            "train.checkpoint_every_steps=7",
            "train.device=cpu",
            "train.threads=1",
            *overrides,
        ],
    )

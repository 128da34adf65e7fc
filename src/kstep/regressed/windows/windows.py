"""Windows: pairs of states k base steps apart, of all molecules, padded to the largest.

A window is everything a jump of k steps can learn from: the state it starts at, the state it
ends at, and at both the velocity over the base step that follows (for the half-step landing).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from kstep.artifacts import Record, read_npz, write_npz
from kstep.errors import ArtifactError
from kstep.regressed.windows.bursts import Source, States, read_states
from kstep.system.force_field import TERM_ARRAYS, pad_terms

SCHEMA = "kstep.dataset"
SCHEMA_VERSION = 2
ROLLOUT_JUMPS = 3
"""A rollout target is kept for every jump after the first, up to this one."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """All windows at one k. Padding is zero; centres of mass are at the origin and at rest.

    Attributes:
        x_t, v_t, f_t: state at the start, nm, nm/ps, kJ/mol/nm [W, Nmax, 3].
        v_t_half: velocity over the base step that follows the start, nm/ps.
        x_tk, v_tk, f_tk, v_tk_half: the same, k base steps later.
        atom_types: atomic numbers, 0 for padding [M, Nmax].
        masses: Da, 0 for padding [M, Nmax].
        bonds, bond_constants, angles, angle_constants, torsions, torsion_constants, nonbonded:
            the molecules' force fields, as `kstep.system.force_field.pad_terms` makes them.
        molecule_id: row of `atom_types` [W].
        window_burst: burst of its molecule that the window lies in [W].
        window_start: base steps from the start of the burst to that of the window [W].
        rollout_window: windows at the start of bursts that reach 3 k steps [Q].
        rollout_x, rollout_v, rollout_f, rollout_v_half: their states 2 k and 3 k steps on
            [Q, 2, Nmax, 3].
        record: k, dt, molecules in row order, hashes of what the windows were cut from.
    """

    x_t: Float[np.ndarray, "W N 3"]
    v_t: Float[np.ndarray, "W N 3"]
    f_t: Float[np.ndarray, "W N 3"]
    v_t_half: Float[np.ndarray, "W N 3"]
    x_tk: Float[np.ndarray, "W N 3"]
    v_tk: Float[np.ndarray, "W N 3"]
    f_tk: Float[np.ndarray, "W N 3"]
    v_tk_half: Float[np.ndarray, "W N 3"]
    atom_types: Int[np.ndarray, "M N"]
    masses: Float[np.ndarray, "M N"]
    bonds: Int[np.ndarray, "M NB 2"]
    bond_constants: Float[np.ndarray, "M NB 2"]
    angles: Int[np.ndarray, "M NA 3"]
    angle_constants: Float[np.ndarray, "M NA 2"]
    torsions: Int[np.ndarray, "M NT 4"]
    torsion_constants: Float[np.ndarray, "M NT 7"]
    nonbonded: Float[np.ndarray, "M N 3"]
    molecule_id: Int[np.ndarray, " W"]
    window_burst: Int[np.ndarray, " W"]
    window_start: Int[np.ndarray, " W"]
    rollout_window: Int[np.ndarray, " Q"]
    rollout_x: Float[np.ndarray, "Q 2 N 3"]
    rollout_v: Float[np.ndarray, "Q 2 N 3"]
    rollout_f: Float[np.ndarray, "Q 2 N 3"]
    rollout_v_half: Float[np.ndarray, "Q 2 N 3"]
    record: Record

    @property
    def n_windows(self) -> int:
        """Number of windows, of all molecules."""
        return len(self.molecule_id)

    @property
    def k_steps(self) -> int:
        """Base steps from the start to the end of a window."""
        return int(self.record["k_steps"])

    @property
    def dt_ps(self) -> float:
        """Base step, ps."""
        return float(self.record["dt_ps"])

    @property
    def molecules(self) -> list[str]:
        """Names of the molecules, in the order of the rows of `atom_types`."""
        return list(self.record["molecules"])

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """The arrays of the molecules' force fields, by name."""
        return {name: getattr(self, name) for name in TERM_ARRAYS}

    def save(self, path: Path) -> None:
        """Write as NPZ."""
        write_npz(path, {name: getattr(self, name) for name in _ARRAYS}, self.record)


_ARRAYS = tuple(field.name for field in fields(Dataset) if field.name != "record")
_PER_WINDOW = ("molecule_id", "window_burst", "window_start")
_INTEGERS = (*_PER_WINDOW, "rollout_window", "atom_types")
_ENDS = {"x": ("x_t", "x_tk"), "v": ("v_t", "v_tk"), "f": ("f_t", "f_tk"),
         "v_half": ("v_t_half", "v_tk_half")}  # fmt: skip


def load_dataset(path: Path) -> Dataset:
    """Read a dataset and check that it is whole.

    Raises ArtifactError for a missing, truncated or foreign file, for arrays whose shapes
    disagree and for values that are not finite.
    """
    arrays, record = read_npz(path, SCHEMA, SCHEMA_VERSION, _ARRAYS)
    n_windows, n_rollouts = len(arrays["molecule_id"]), len(arrays["rollout_window"])
    n_atoms = arrays["atom_types"].shape[-1]
    expected = _shapes(len(record["molecules"]), n_windows, n_rollouts, n_atoms)
    if any(arrays[name].shape != shape for name, shape in expected.items()):
        raise ArtifactError(
            f"{path} has arrays of different lengths: delete it and run `kstep dataset` again."
        )
    if not all(np.isfinite(arrays[name]).all() for name in _ARRAYS):
        raise ArtifactError(
            f"{path} holds values that are not finite: delete it and run `kstep dataset` again."
        )
    return Dataset(**{name: arrays[name] for name in _ARRAYS}, record=record)


def n_starts(source: Source, k_steps: int) -> int:
    """Windows per burst: one for every stored state that has another k steps later."""
    return source.n_states - k_steps // source.stride


def reaches_rollout(source: Source, k_steps: int) -> bool:
    """Whether a burst is long enough for the rollout targets."""
    return ROLLOUT_JUMPS * k_steps <= source.length


def cut_windows(
    sources: Sequence[Source], k_steps: int, record: Record, advance: Callable[[], object]
) -> Dataset:
    """All windows of k steps; one molecule's bursts are in memory at a time.

    Args:
        sources: surveyed files; their strides divide `k_steps` and their bursts are as long.
        k_steps: base steps of a window.
        record: what the dataset is to say of itself.
        advance: called after each molecule.
    """
    n_windows = sum(len(s.frame) * n_starts(s, k_steps) for s in sources)
    n_rollouts = sum(len(s.frame) for s in sources if reaches_rollout(s, k_steps))
    n_atoms = max(len(source.numbers) for source in sources)
    shapes = _shapes(len(sources), n_windows, n_rollouts, n_atoms)
    arrays = {name: np.zeros(shape, _dtype(name)) for name, shape in shapes.items()}
    window = rollout = 0
    for row, source in enumerate(sources):
        size = len(source.numbers)
        arrays["atom_types"][row, :size] = source.numbers
        arrays["masses"][row, :size] = source.masses
        states = read_states(source)
        starts = n_starts(source, k_steps)
        own = slice(window, window + len(source.frame) * starts)
        arrays["molecule_id"][own] = row
        _fill_windows({name: arrays[name][own] for name in arrays}, states, source, k_steps)
        if reaches_rollout(source, k_steps):
            kept = slice(rollout, rollout + len(source.frame))
            arrays["rollout_window"][kept] = window + starts * np.arange(len(source.frame))
            _fill_rollouts({name: arrays[name][kept] for name in arrays}, states, source, k_steps)
            rollout = kept.stop
        window = own.stop
        advance()
    return Dataset(**arrays, **pad_terms([source.terms for source in sources]), record=record)


def _shapes(
    n_molecules: int, n_windows: int, n_rollouts: int, n_atoms: int
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_PER_WINDOW, (n_windows,))
    shapes["rollout_window"] = (n_rollouts,)
    shapes["atom_types"] = shapes["masses"] = (n_molecules, n_atoms)
    for state, (start, end) in _ENDS.items():
        shapes[start] = shapes[end] = (n_windows, n_atoms, 3)
        shapes[f"rollout_{state}"] = (n_rollouts, ROLLOUT_JUMPS - 1, n_atoms, 3)
    return shapes


def _dtype(name: str) -> type[np.generic]:
    if name == "masses":
        return np.float64
    return np.int64 if name in _INTEGERS else np.float32


def _fill_windows(
    arrays: dict[str, np.ndarray], states: States, source: Source, k_steps: int
) -> None:
    """Fill one molecule's part: windows in the order of bursts, then of starts."""
    n_bursts, starts = len(source.frame), n_starts(source, k_steps)
    arrays["window_burst"][:] = np.repeat(np.arange(n_bursts), starts)
    arrays["window_start"][:] = np.tile(np.arange(starts) * source.stride, n_bursts)
    size = len(source.numbers)
    for state, (start, end) in _ENDS.items():
        stored = getattr(states, state)  # [B, S, N, 3]
        arrays[start][:, :size] = stored[:, :starts].reshape(-1, size, 3)
        arrays[end][:, :size] = stored[:, -starts:].reshape(-1, size, 3)


def _fill_rollouts(
    arrays: dict[str, np.ndarray], states: States, source: Source, k_steps: int
) -> None:
    jump = k_steps // source.stride
    size = len(source.numbers)
    for state in _ENDS:
        for index in range(ROLLOUT_JUMPS - 1):
            later = getattr(states, state)[:, (index + 2) * jump]  # [B, N, 3]
            arrays[f"rollout_{state}"][:, index, :size] = later

"""Putting the blocks of one molecule together into its baseline NPZ."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from kstep.artifacts import Record
from kstep.config import MdConfig
from kstep.integrators.plain import Bursts, Frames
from kstep.potentials import COUNTS
from kstep.system.force_field import TERM_ARRAYS
from kstep.system.mechanics import kinetic_energy
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVE, NVT, Trajectory, trajectory_record
from kstep.workflow.md.plan import Block

_FRAMES = ("pos", "vel", "epot", "steps")
_BURSTS = ("pos", "vel", "forces", "vel_half", "frame", "calls")
BLOCK_KEYS = (
    *(f"nvt_{name}" for name in _FRAMES),
    *(f"nve_{name}" for name in _FRAMES),
    *(f"burst_{name}" for name in _BURSTS),
    "last_pos",
    "last_vel",
    "counts",
)


def block_arrays(
    nvt: Frames, nve: Frames, bursts: Bursts, counts: Int[np.ndarray, " 3"]
) -> dict[str, np.ndarray]:
    """The arrays of one block file; `counts` are those of `kstep.potentials.COUNTS`."""
    return {
        **{f"nvt_{name}": getattr(nvt, name) for name in _FRAMES},
        **{f"nve_{name}": getattr(nve, name) for name in _FRAMES},
        **{f"burst_{name}": getattr(bursts, name) for name in _BURSTS},
        "last_pos": nvt.pos[-1],
        "last_vel": nvt.vel[-1],
        "counts": counts,
    }


def save_baseline(
    target: Path,
    molecule: PreparedMolecule,
    config: MdConfig,
    plan: Sequence[Block],
    blocks: Iterable[dict[str, np.ndarray]],
    record: Record,
) -> None:
    """Write the trajectory and its bursts.

    For every temperature one NVT segment per replica, then the NVE windows. Sampling is
    continuous over the blocks of one replica; `burst_frame` counts frames of the whole
    trajectory.
    """
    stretches: dict[tuple[float, int], list[dict[str, np.ndarray]]] = {}
    windows: list[dict[str, np.ndarray]] = []
    window_temperatures: list[float] = []
    bursts: list[dict[str, np.ndarray]] = []
    counts = np.zeros(len(COUNTS), dtype=np.int64)
    frames_before = 0
    for item, block in zip(plan, blocks, strict=True):
        nvt, nve, burst = (
            {key.removeprefix(prefix): array for key, array in block.items() if prefix in key}
            for prefix in ("nvt_", "nve_", "burst_")
        )
        counts += block["counts"]
        stretch = stretches.setdefault((item.temperature, item.replica), [])
        done = stretch[-1]["steps"][-1] if stretch else 0
        stretch.append({**nvt, "steps": nvt["steps"] + done})
        if len(nve["steps"]):
            windows.append(nve)
            window_temperatures.append(item.temperature)
        burst["frame"] = burst["frame"] + frames_before
        burst["temperature"] = np.full(len(burst["frame"]), item.temperature)
        bursts.append(burst)
        frames_before += len(nvt["steps"])
    segments = [_join(stretch) for stretch in stretches.values()] + windows
    kinds = [NVT] * len(stretches) + [NVE] * len(windows)
    temperatures = [temperature for temperature, _ in stretches] + window_temperatures
    joined, calls = join_bursts(bursts)
    content = trajectory_record(**{k: v for k, v in record.items() if "schema" not in k}) | {
        "constraints": config.constraints,
        "dt_ps": config.dt_ps,
        "temperatures_K": list(config.temperatures),
        "replicas": config.replicas,
        "friction_per_ps": config.friction_per_ps,
        "save_interval_steps": config.save_interval_steps,
        "burst_stride_steps": config.burst.stride_steps,
        "burst_length_steps": config.burst.length_steps,
        "burst_calls": calls,
        "seed": config.seed,
        "integrator": "velocity Verlet (RATTLE) + Ornstein-Uhlenbeck",
    }
    if counts.any():
        content["potential_counts"] = dict(zip(COUNTS, counts.tolist(), strict=True))
    trajectory = join_segments(segments, kinds, temperatures, molecule, config.dt_ps, content)
    trajectory.save(target, joined | term_arrays(molecule))


def join_bursts(parts: Sequence[dict[str, np.ndarray]]) -> tuple[dict[str, np.ndarray], int]:
    """The burst arrays of a trajectory file, and the true-force calls that all bursts cost."""
    joined = _join(parts)
    calls = int(joined.pop("calls").sum())
    return {f"burst_{name}": array for name, array in joined.items()}, calls


def term_arrays(molecule: PreparedMolecule) -> dict[str, np.ndarray]:
    """What the forces of the bursts are made of, which goes with them."""
    return {f"terms_{name}": getattr(molecule.terms, name) for name in TERM_ARRAYS}


def join_segments(
    segments: Sequence[dict[str, np.ndarray]],
    kinds: Sequence[int],
    temperatures: Sequence[float],
    molecule: PreparedMolecule,
    dt_ps: float,
    record: Record,
) -> Trajectory:
    """One Trajectory from segments with `pos`, `vel`, `epot`, `steps`.

    A segment may carry `force_calls`; without it every base step counts as one call, and the
    evaluations made only to report a frame's energy are not held against the baseline.
    """
    joined = _join([{key: segment[key] for key in _FRAMES} for segment in segments])
    steps = joined["steps"]
    calls = [segment.get("force_calls", segment["steps"]) for segment in segments]
    ekin = kinetic_energy(joined["vel"], molecule.masses)
    return Trajectory(
        pos=joined["pos"],
        vel=joined["vel"],
        box=np.zeros((len(steps), 3, 3)),
        epot=joined["epot"],
        ekin=ekin,
        etot=joined["epot"] + ekin,
        times=steps * dt_ps,
        segment=np.repeat(np.arange(len(segments)), [len(s["steps"]) for s in segments]),
        segment_kind=np.array(kinds, dtype=np.int64),
        segment_temperature=np.array(temperatures, dtype=np.float64),
        force_calls=np.concatenate(calls).astype(np.int64),
        numbers=molecule.numbers,
        masses=molecule.masses,
        record=record,
    )


def _join(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

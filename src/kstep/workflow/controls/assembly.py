"""The files of finished replicas, and putting them together into one trajectory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kstep.artifacts import Record, read_finished, read_npz, write_npz
from kstep.system.mechanics import kinetic_energy
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVE, NVT, Trajectory, trajectory_record
from kstep.workflow.controls.plan import Plan
from kstep.workflow.controls.sampling import Stretch

BLOCK_SCHEMA = "kstep.controls_block"
_FRAMES = ("pos", "vel", "epot")
_KEYS = tuple(f"{kind}_{key}" for kind in ("nvt", "nve") for key in _FRAMES)


def write_block(path: Path, sampled: Stretch, windows: Sequence[Stretch], record: Record) -> None:
    """Write one replica with its NVE windows."""
    nve = {
        key: np.stack([window[key] for window in windows])
        if windows
        else np.empty((0, *sampled[key].shape))
        for key in _FRAMES
    }
    arrays = {f"nvt_{key}": sampled[key] for key in _FRAMES}
    write_npz(path, {**arrays, **{f"nve_{key}": nve[key] for key in _FRAMES}}, record)


def read_block(path: Path) -> tuple[Stretch, list[Stretch]]:
    """One replica and its NVE windows."""
    block, _ = read_npz(path, BLOCK_SCHEMA, 1, _KEYS)
    sampled = {key: block[f"nvt_{key}"] for key in _FRAMES}
    count = len(block["nve_epot"])
    return sampled, [{key: block[f"nve_{key}"][index] for key in _FRAMES} for index in range(count)]


def block_is_finished(path: Path, record: Record) -> bool:
    """Whether the replica is there, whole and of these settings."""
    return read_finished(path, record, _KEYS) is not None


def assemble(
    molecule: PreparedMolecule,
    plan: Plan,
    masses: Float[np.ndarray, " N"],
    replicas: Sequence[Stretch],
    windows: Sequence[Stretch],
    record: Record,
) -> Trajectory:
    """One NVT segment per replica, then the NVE windows."""
    segments = [*replicas, *windows]
    pos, vel, epot = (np.concatenate([segment[key] for segment in segments]) for key in _FRAMES)
    lengths = [len(segment["epot"]) for segment in segments]
    frames = np.concatenate([np.arange(1, length + 1) for length in lengths])
    ekin = kinetic_energy(vel, masses)
    content = {key: value for key, value in record.items() if "schema" not in key}
    return Trajectory(
        pos=pos,
        vel=vel,
        box=np.zeros((len(epot), 3, 3)),
        epot=epot,
        ekin=ekin,
        etot=epot + ekin,
        times=frames * plan.save_interval_ps,
        segment=np.repeat(np.arange(len(segments)), lengths),
        segment_kind=np.array([NVT] * len(replicas) + [NVE] * len(windows), dtype=np.int64),
        segment_temperature=np.full(len(segments), plan.temperature_K),
        force_calls=(frames * plan.interval_steps).astype(np.int64),
        numbers=molecule.numbers,
        masses=masses,
        record=trajectory_record(**content),
    )

"""The motion of one molecule: constant-energy windows with a frame every base step."""

from pathlib import Path

import numpy as np

from kstep.artifacts import Record, read_finished, write_npz
from kstep.config import MdConfig
from kstep.integrators.plain import Sampler
from kstep.parallel import Report
from kstep.system.mechanics import kinetic_energy
from kstep.system.motion import Motion, motion_of, motion_record
from kstep.system.trajectory import NVT, load_trajectory

_SCHEMA = "kstep.motion_block"
_KEYS = ("vel", "epot", "ekin")


def record_motion(
    sampler: Sampler,
    config: MdConfig,
    trajectory_path: Path,
    folder: Path,
    record: Record,
    report: Report,
) -> None:
    """Write `<name>.motion.npz` beside a finished trajectory, window by window.

    Windows start from states spread evenly over the NVT frames of all replicas at the first
    temperature. Those that lie in `folder` from an earlier attempt are read, not run.
    """
    trajectory = load_trajectory(trajectory_path)
    frames = np.concatenate(trajectory.segments(NVT, config.temperatures[0]))
    chosen = np.linspace(0, len(frames) - 1, config.motion.windows).round().astype(np.int64)
    n_steps = max(1, round(config.motion.window_ps / config.dt_ps))
    block_record = {**record, "schema": _SCHEMA, "schema_version": 1}
    windows: list[dict[str, np.ndarray]] = []
    for index, frame in enumerate(frames[chosen]):
        path = folder / f"motion_{index:04d}.npz"
        window = read_finished(path, block_record, _KEYS)
        if window is None:
            sampler.forget()
            vel, epot = sampler.motion(trajectory.pos[frame], trajectory.vel[frame], n_steps)
            ekin = kinetic_energy(vel, trajectory.masses)
            window = {"vel": vel.astype(np.float32), "epot": epot, "ekin": ekin}
            write_npz(path, window, block_record)
        else:
            report(n_steps * config.dt_ps)
        windows.append(window)
    vel, epot, ekin = (np.stack([window[key] for window in windows]) for key in _KEYS)
    content = motion_record(**record, temperature_K=config.temperatures[0])
    Motion(vel, epot, ekin, config.dt_ps, content).save(motion_of(trajectory_path))

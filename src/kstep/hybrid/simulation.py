"""The hybrid run of one molecule: NVT sampling, NVE windows, basin search."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kstep.artifacts import write_json
from kstep.config import Config, HybridConfig
from kstep.hybrid.basin import search_basins
from kstep.hybrid.blocks import (
    Block,
    load_block,
    propagate,
    save_block,
    segments,
    total_accounts,
)
from kstep.hybrid.correctors import CORRECTORS
from kstep.hybrid.export import write_dcd, write_pdb
from kstep.hybrid.macrostep import Ensemble, MacroStep
from kstep.hybrid.setup import HybridRun, prepare, thermostat_of
from kstep.hybrid.state import PhaseState
from kstep.md.assembly import join_segments
from kstep.molecule import Molecule
from kstep.parallel import Report
from kstep.trajectory import NVE, NVT, trajectory_record

DECORRELATION_PS = 5.0
"""True Langevin dynamics between the starting states of replicas and windows."""


def simulate(
    config: Config, molecule: Molecule, checkpoint: Path, target: Path, report: Report
) -> Path:
    """Run one molecule, or go on after its last finished block; returns the NPZ."""
    run = prepare(config, molecule, checkpoint, report)
    partial = target.parent / ".partial" / molecule.name
    hybrid = config.hybrid
    starts = _starting_states(run, hybrid.replicas + hybrid.nve_windows)
    nvt = _stretch(run, partial / "nvt", starts[: hybrid.replicas], hybrid.length_ps, NVT)
    nve = _stretch(run, partial / "nve", starts[hybrid.replicas :], hybrid.nve_window_ps, NVE)
    search_basins(run, target)
    _save(run, nvt, nve, target)
    shutil.rmtree(partial, ignore_errors=True)
    return target


def picoseconds(config: HybridConfig) -> float:
    """Simulated time of one molecule's run, all replicas together, as the bar counts it."""
    basins = config.basin.starts * config.basin.length_ps
    return config.length_ps * config.replicas + config.nve_window_ps * config.nve_windows + basins


def _starting_states(run: HybridRun, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(x, v) of independent equilibrium states, by true Langevin dynamics."""
    temperature = run.config.hybrid.temperature_K
    x, v = run.sampler.equilibrate(run.molecule.positions, temperature, run.seed(0))
    every = round(DECORRELATION_PS / run.config.md.dt_ps)
    frames = run.sampler.sample(x, v, temperature, run.seed(1), every * count, every)
    return list(zip(frames.pos, frames.vel, strict=True))


def _stretch(
    run: HybridRun,
    folder: Path,
    starts: Sequence[tuple[np.ndarray, np.ndarray]],
    length_ps: float,
    kind: int,
) -> list[Block]:
    """All blocks of one ensemble; those already on disk are read, not run."""
    if not starts or length_ps == 0:
        return []
    hybrid = run.config.hybrid
    ensemble: Ensemble = "nvt" if kind == NVT else "nve"
    macro_step = MacroStep(run.jump, run.dynamics, hybrid, len(starts), ensemble)
    save_every = math.ceil(hybrid.save_interval_steps / macro_step.base_steps)
    frame_ps = save_every * macro_step.duration
    n_frames = max(1, round(length_ps / frame_ps))
    per_block = max(1, round(hybrid.checkpoint_every_ps / frame_ps))
    blocks: list[Block] = []
    for index, first in enumerate(range(0, n_frames, per_block)):
        path = folder / f"block_{index:05d}.npz"
        block = load_block(path, run.record)
        frames = min(per_block, n_frames - first)
        if block is None:
            start = blocks[-1].end if blocks else _start(macro_step, starts)
            thermostat = thermostat_of(run, macro_step, 2, index) if kind == NVT else None
            block = propagate(
                macro_step, start, thermostat, frames * save_every, save_every, run.report
            )
            save_block(path, block, run.record)
        else:
            run.report(frames * frame_ps * len(starts))
        blocks.append(block)
    return blocks


def _start(macro_step: MacroStep, starts: Sequence[tuple[np.ndarray, np.ndarray]]) -> PhaseState:
    return macro_step.start(np.stack([x for x, _ in starts]), np.stack([v for _, v in starts]))


def _save(run: HybridRun, nvt: Sequence[Block], nve: Sequence[Block], target: Path) -> None:
    parts = [*(segments(nvt) if nvt else []), *(segments(nve) if nve else [])]
    kinds = [NVT] * (len(parts) - _replicas(nve)) + [NVE] * _replicas(nve)
    accounts, wall = total_accounts([*nvt, *nve])
    hybrid, dt_ps = run.config.hybrid, run.config.md.dt_ps
    corrector = CORRECTORS[hybrid.corrector]
    base_steps = MacroStep.base_steps_of(run.jump, hybrid)
    # The force at the very start of each replica is part of the bill.
    calls = int(accounts.calls[0]) + _replicas(nvt) + _replicas(nve)
    steps = accounts.macro_steps * base_steps
    record = trajectory_record(
        **{key: value for key, value in run.record.items() if "schema" not in key},
        macro_steps=accounts.macro_steps,
        base_steps_per_macro_step=base_steps,
        force_calls=calls,
        rejected_jumps=accounts.rejected_jumps,
        fallback_calls=accounts.fallback_calls,
        nominal_saving=base_steps / (corrector.calls + hybrid.projection_iterations),
        counted_saving=steps / calls,
    )
    trajectory = join_segments(parts, kinds, run.molecule, dt_ps, record)
    write_dcd(target.with_suffix(".dcd"), run.molecule, trajectory)
    write_pdb(target.with_suffix(".pdb"), run.molecule, trajectory)
    simulated = steps * dt_ps
    known = sum(accounts.seconds.values())
    write_json(
        target.with_suffix(".timing.json"),
        {
            "wall_s": {**accounts.seconds, "other": max(wall - known, 0.0), "total": wall},
            "simulated_ps": simulated,
            "s_per_ps": wall / simulated,
            "baseline_s_per_ps": run.seconds_per_ps,
            "platform": run.record["platform"],
            "replicas": hybrid.replicas,
        },
    )
    trajectory.save(target)


def _replicas(blocks: Sequence[Block]) -> int:
    return blocks[0].pos.shape[1] if blocks else 0

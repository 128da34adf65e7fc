"""The hybrid run of one molecule: its trajectory, its basin search, its motion, its map."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kstep.artifacts import Record, write_json
from kstep.config import Config, HybridConfig
from kstep.integrators.correctors import CORRECTORS
from kstep.integrators.outer_step import MacroStep
from kstep.interop.export import write_dcd, write_pdb
from kstep.parallel import Report
from kstep.potentials import COUNTS
from kstep.regressed.learned import Network
from kstep.system.mechanics import kinetic_energy
from kstep.system.motion import Motion, motion_record
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import load_trajectory, trajectory_record
from kstep.workflow.hybrid.basin import search_basins
from kstep.workflow.hybrid.batches import (
    KINDS,
    Batch,
    StartingStates,
    batches,
    motion_batch,
    propagate_batch,
)
from kstep.workflow.hybrid.blocks import Block, segments, total_accounts
from kstep.workflow.hybrid.map_file import save_map
from kstep.workflow.hybrid.outputs import outputs_of
from kstep.workflow.hybrid.setup import HybridRun, prepare
from kstep.workflow.hybrid.starts import starting_calls
from kstep.workflow.md.assembly import join_segments

COUNTS_COVER = (
    "the NVT and NVE segments of the trajectory; not the motion windows, the basin search, the "
    "map's measurement and the true dynamics that made the starting states"
)
"""What a record says of the counts in it."""

Blocks = list[list[Block]]


def simulate(
    config: Config, molecule: PreparedMolecule, network: Network, target: Path, report: Report
) -> Path:
    """Do what is left of one molecule's run, from the last finished block; returns the NPZ."""
    run = prepare(config, molecule, network, report)
    outputs, digest = outputs_of(config, target), run.record["checkpoint_hash"]
    partial = target.parent / ".partial" / molecule.name
    starts = StartingStates(run)
    if outputs.trajectory.is_finished(molecule, digest):
        report(_trajectory_picoseconds(config.hybrid))
    else:
        plan = batches(config.hybrid)
        blocks = [propagate_batch(run, partial, batch, starts) for batch in plan]
        search_basins(run, target)
        _save_trajectory(run, plan, blocks, target)
    if not outputs.motion.is_finished(molecule, digest):
        batch = motion_batch(config.hybrid)
        own = {
            "config_hash": outputs.motion.config_hash,
            "motion": config.hybrid.motion.model_dump(mode="json"),
        }
        _save_motion(run, propagate_batch(run, partial, batch, starts), own, outputs.motion.path)
    if not outputs.map.is_finished(molecule, digest):
        own = {"config_hash": outputs.map.config_hash}
        save_map(run, load_trajectory(target), own, outputs.map.path)
    shutil.rmtree(partial, ignore_errors=True)
    return target


def picoseconds(config: HybridConfig) -> float:
    """Simulated time of one molecule's run, all replicas together, as the bar counts it."""
    return _trajectory_picoseconds(config) + motion_batch(config).picoseconds


def _trajectory_picoseconds(config: HybridConfig) -> float:
    basins = config.basin.starts * config.basin.length_ps
    return sum(batch.picoseconds for batch in batches(config)) + basins


def _save_trajectory(run: HybridRun, plan: Sequence[Batch], blocks: Blocks, target: Path) -> None:
    parts = [segments(own) for own in blocks]
    accounts, wall = total_accounts([block for own in blocks for block in own])
    hybrid, dt_ps = run.config.hybrid, run.config.md.dt_ps
    corrector = CORRECTORS[hybrid.corrector]
    base_steps = MacroStep.base_steps_of(run.jump, hybrid)
    # The force at the very start of each member is part of the bill.
    calls = int(accounts.calls[0]) + sum(batch.members for batch in plan)
    steps = accounts.macro_steps * base_steps
    record = trajectory_record(
        **_provenance(run),
        macro_steps=accounts.macro_steps,
        base_steps_per_macro_step=base_steps,
        force_calls=calls,
        rejected_jumps=accounts.rejected_jumps,
        fallback_calls=accounts.fallback_calls,
        proposals=accounts.proposals,
        acceptances=accounts.acceptances,
        acceptance=accounts.acceptance,
        nominal_saving=base_steps / (corrector.calls + hybrid.projection_iterations),
        counted_saving=steps / calls,
        counts_cover=COUNTS_COVER,
        starting_calls=_starting_calls(run),
    )
    if any(accounts.potential):
        record["potential_counts"] = dict(zip(COUNTS, accounts.potential, strict=True))
    trajectory = join_segments(
        [segment for own in parts for segment in own],
        [KINDS[batch.ensemble] for batch in plan for _ in range(batch.members)],
        [batch.temperature for batch in plan for _ in range(batch.members)],
        run.molecule,
        dt_ps,
        record,
    )
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
            "training_minutes": run.network.training_minutes,
        },
    )
    trajectory.save(target)


def _starting_calls(run: HybridRun) -> int:
    """True-force calls behind the states that the segments of the trajectory start from."""
    hybrid = run.config.hybrid
    replicas = len(hybrid.temperatures) * hybrid.replicas
    return starting_calls(run.sampler, replicas, hybrid.nve_windows + hybrid.nve_rescaled_windows)


def _save_motion(run: HybridRun, blocks: list[Block], own: Record, path: Path) -> None:
    windows = segments(blocks)
    vel = np.stack([window["vel"] for window in windows])
    epot = np.stack([window["epot"] for window in windows])
    base_steps = MacroStep.base_steps_of(run.jump, run.config.hybrid)
    spacing = base_steps * run.config.md.dt_ps
    content = {**_provenance(run), "temperature_K": run.config.hybrid.temperatures[0], **own}
    ekin = kinetic_energy(vel, run.molecule.masses)
    Motion(vel.astype(np.float32), epot, ekin, spacing, motion_record(**content)).save(path)


def _provenance(run: HybridRun) -> Record:
    """The run's record without the schema, which is each file's own."""
    return {key: value for key, value in run.record.items() if "schema" not in key}

"""Time to basin: from randomised starts, how soon does each side find the best minimum?

Both sides start from the same states and save frames at the same times; the local minimum
under every frame is found by the same minimiser. Those minimisations score the search and are
not part of its bill.
"""

import math
from pathlib import Path

import numpy as np

from kstep.artifacts import Record, read_npz
from kstep.errors import ArtifactError
from kstep.system.trajectory import NVT, SCHEMA, SCHEMA_VERSION, trajectory_record
from kstep.workflow.hybrid.blocks import propagate, segments
from kstep.workflow.hybrid.setup import HybridRun, sampler_of
from kstep.workflow.md.assembly import join_segments

Segments = list[dict[str, np.ndarray]]
Starts = list[tuple[np.ndarray, np.ndarray]]


def search_basins(run: HybridRun, target: Path) -> None:
    """Write `<name>.basin_hybrid.npz` and `<name>.basin_baseline.npz` beside `target`.

    Each holds one NVT segment per start and, for every frame, `quenched_epot` (kJ/mol [T]) and
    `quenched_pos` (nm [T, N, 3]).
    """
    basin = run.config.hybrid.basin
    paths = {side: target.with_suffix(f".basin_{side}.npz") for side in ("hybrid", "baseline")}
    record = trajectory_record(
        **{key: value for key, value in run.record.items() if "schema" not in key}
    )
    if basin.starts == 0 or all(_is_finished(path, record) for path in paths.values()):
        run.report(basin.starts * basin.length_ps)
        return
    run.sampler.forget()  # a resumed run begins here
    starts = _randomised_starts(run)
    for side, search in (("hybrid", _hybrid_search), ("baseline", _baseline_search)):
        found = search(run, starts)
        trajectory = join_segments(
            found,
            [NVT] * len(found),
            [run.config.hybrid.temperatures[0]] * len(found),
            run.molecule,
            run.config.md.dt_ps,
            record,
        )
        minima = [run.sampler.quench(frame) for frame in trajectory.pos]
        trajectory.save(
            paths[side],
            {
                "quenched_epot": np.array([energy for _, energy in minima]),
                "quenched_pos": np.array([positions for positions, _ in minima]),
            },
        )
    run.report(basin.starts * basin.length_ps)


def _randomised_starts(run: HybridRun) -> Starts:
    """States from hot dynamics, with velocities at the run's own temperature."""
    basin, temperature = run.config.hybrid.basin, run.config.hybrid.temperatures[0]
    hot_steps = round(basin.randomise_ps / run.config.md.dt_ps)
    x, v = run.sampler.equilibrate(run.molecule.positions, basin.randomise_K, run.seed(10))
    frames = run.sampler.sample(
        x, v, basin.randomise_K, run.seed(11), hot_steps * basin.starts, hot_steps
    )
    rng = np.random.default_rng(run.seed(12))
    return [(x, run.sampler.draw_velocities(x, temperature, rng)) for x in frames.pos]


def _hybrid_search(run: HybridRun, starts: Starts) -> Segments:
    basin = run.config.hybrid.basin
    macro_step, thermostat = sampler_of(run, len(starts), run.config.hybrid.temperatures[0], 13)
    state = macro_step.start(np.stack([x for x, _ in starts]), np.stack([v for _, v in starts]))
    save_every = max(1, round(basin.quench_every_ps / macro_step.duration))
    n_frames = max(1, math.floor(basin.length_ps / (save_every * macro_step.duration)))
    block = propagate(
        macro_step,
        state,
        thermostat,
        n_frames * save_every,
        save_every,
        lambda _: None,
    )
    return segments([block])


def _baseline_search(run: HybridRun, starts: Starts) -> Segments:
    hybrid, dt_ps = run.config.hybrid, run.config.md.dt_ps
    every = round(hybrid.basin.quench_every_ps / dt_ps)
    steps = round(hybrid.basin.length_ps / dt_ps)
    result: Segments = []
    for index, (x, v) in enumerate(starts):
        seed = run.seed(14, index)
        frames = run.sampler.sample(x, v, hybrid.temperatures[0], seed, steps, every)
        result.append(
            {"pos": frames.pos, "vel": frames.vel, "epot": frames.epot, "steps": frames.steps}
        )
    return result


def _is_finished(path: Path, record: Record) -> bool:
    try:
        _, found = read_npz(path, SCHEMA, SCHEMA_VERSION, ("quenched_epot", "quenched_pos"))
    except ArtifactError:
        return False
    return found == record

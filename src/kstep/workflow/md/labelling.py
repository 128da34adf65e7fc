"""True bursts from the states of a trajectory that is already there.

A network trained on what plain MD visits may be led elsewhere by its own errors; bursts from the
states of its own hybrid run show it the true dynamics there.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from kstep.artifacts import hash_file
from kstep.config import MdConfig
from kstep.errors import ArtifactError
from kstep.integrators.plain import Frames, Sampler
from kstep.integrators.platforms import resolve_platform
from kstep.potentials.systems import load_system
from kstep.progress import progress
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVT, Trajectory, load_trajectory
from kstep.workflow.md.assembly import join_bursts, term_arrays


def label(config: MdConfig, molecule: PreparedMolecule, visited: Path, target: Path) -> Path:
    """Start `md.burst.count` bursts per temperature from the NVT states of a trajectory.

    Writes the trajectory with its bursts to `target`, as the md stage writes a baseline; does
    nothing where that is there already.

    Raises ArtifactError when `target` was made from other states or with other settings.
    """
    identity = {
        "visited_hash": hash_file(visited),
        "burst": config.burst.model_dump(mode="json"),
        "label_seed": config.seed,
    }
    if target.exists():
        _require_same(target, identity)
        return target
    trajectory = load_trajectory(visited)
    system = load_system(
        molecule, config.nonbonded_cutoff_nm, config.constraints, config.implicit_solvent
    )
    platform, _ = resolve_platform(config.platform, system, molecule.positions, config.dt_ps)
    total = config.burst.count * config.burst.length_steps * config.dt_ps
    parts = []
    with progress(f"bursts of {molecule.name}", total * len(config.temperatures), "ps") as bar:

        def report(picoseconds: float) -> None:
            bar.update(picoseconds)

        sampler = Sampler(system, platform, config, molecule.name, report)
        sampler.forget()
        for number, temperature in enumerate(config.temperatures):
            chosen = _frames_at(trajectory, temperature)
            frames = Frames(
                trajectory.pos[chosen], trajectory.vel[chosen], trajectory.epot[chosen], chosen
            )
            rng = np.random.default_rng([config.seed, number, *molecule.name.encode()])
            bursts = sampler.bursts(frames, config.burst.count, temperature, rng)
            own = {
                "frame": chosen[bursts.frame],
                "temperature": np.full(len(bursts.frame), temperature),
            }
            parts.append(vars(bursts) | own)
    joined, calls = join_bursts(parts)
    record = trajectory.record | {
        **identity,
        "potential": molecule.potential.identity,
        "potential_title": molecule.potential_title,
        "burst_stride_steps": config.burst.stride_steps,
        "burst_length_steps": config.burst.length_steps,
        "burst_calls": calls,
    }
    replace(trajectory, record=record).save(target, joined | term_arrays(molecule))
    return target


def _frames_at(trajectory: Trajectory, temperature: float) -> np.ndarray:
    kinds, temperatures = trajectory.segment_kind, trajectory.segment_temperature
    wanted = np.flatnonzero((kinds == NVT) & (temperatures == temperature))
    return np.flatnonzero(np.isin(trajectory.segment, wanted))


def _require_same(target: Path, identity: dict[str, object]) -> None:
    record = load_trajectory(target).record
    if any(record.get(key) != value for key, value in identity.items()):
        raise ArtifactError(
            f"{target} holds bursts from other states or with other settings: delete it, or "
            "choose another paths.run."
        )

"""The batches of a hybrid run: replicas that share an ensemble, a length and network calls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kstep.config import HybridConfig
from kstep.integrators.outer_step import Ensemble, MacroStep
from kstep.integrators.state import PhaseState
from kstep.system.trajectory import NVE, NVE_RESCALED, NVT
from kstep.workflow.hybrid.blocks import Block, Thermostat, load_block, propagate, save_block
from kstep.workflow.hybrid.setup import HybridRun, sampler_of
from kstep.workflow.hybrid.starts import Start, equilibrium_states

KINDS: dict[Ensemble, int] = {"nvt": NVT, "nve": NVE, "nve_rescaled": NVE_RESCALED}
"""What a trajectory calls the segments of an ensemble."""
FEWEST_FRAMES = 3
"""Of each member: a jump may be longer than what was asked for, and the referee wants a slope."""


@dataclass(frozen=True)
class Batch:
    """Members that are propagated together.

    Attributes:
        label: name of the folder that its blocks lie in.
        ensemble: of all members; nvt stands for `hybrid.ensemble`.
        temperature: of the thermostat, or of the ensemble the members start from, K.
        first: index of the first member among the starting states at this temperature.
        members: how many.
        length_ps: of each, ps.
        dense: whether every macro-step is saved.
    """

    label: str
    ensemble: Ensemble
    temperature: float
    first: int
    members: int
    length_ps: float
    dense: bool = False

    @property
    def picoseconds(self) -> float:
        """Simulated time of all members."""
        return self.members * self.length_ps


def batches(config: HybridConfig) -> list[Batch]:
    """What makes up the trajectory: NVT at every temperature, then the windows at the first."""
    size, judged = config.replicas, config.temperatures[0]
    rescaled = size + config.nve_windows
    sampling = [
        Batch(f"nvt_{index}", "nvt", temperature, 0, size, config.length_ps)
        for index, temperature in enumerate(config.temperatures)
    ]
    windows = [
        Batch("nve", "nve", judged, size, config.nve_windows, config.nve_window_ps),
        Batch("nve_rescaled", "nve_rescaled", judged, rescaled, config.nve_rescaled_windows,
              config.nve_window_ps),
    ]  # fmt: skip
    return [batch for batch in sampling + windows if batch.picoseconds > 0]


def motion_batch(config: HybridConfig) -> Batch:
    """The densely saved NVE windows."""
    motion = config.motion
    first = config.replicas + config.nve_windows + config.nve_rescaled_windows
    judged = config.temperatures[0]
    return Batch("motion", "nve", judged, first, motion.windows, motion.window_ps, dense=True)


class StartingStates:
    """Independent equilibrium states by true dynamics, made only when a batch asks for them."""

    def __init__(self, run: HybridRun) -> None:
        self._run = run
        self._made: dict[float, list[Start]] = {}

    def of(self, batch: Batch) -> list[Start]:
        """(x, v) of every member."""
        if batch.temperature not in self._made:
            self._made[batch.temperature] = self._make(batch.temperature)
        return self._made[batch.temperature][batch.first : batch.first + batch.members]

    def _make(self, temperature: float) -> list[Start]:
        run, hybrid = self._run, self._run.config.hybrid
        run.sampler.forget()  # a resumed run makes them anew
        label = hybrid.temperatures.index(temperature)
        motion = motion_batch(hybrid)
        windows = motion.first + motion.members - hybrid.replicas if label == 0 else 0
        return equilibrium_states(
            run.sampler,
            run.molecule,
            temperature,
            hybrid.replicas,
            windows,
            lambda part, replica: run.seed(part, label, replica),
        )


def propagate_batch(
    run: HybridRun, folder: Path, batch: Batch, starts: StartingStates
) -> list[Block]:
    """All blocks of one batch; those already on disk are read, not run."""
    hybrid = run.config.hybrid
    base_steps = MacroStep.base_steps_of(run.jump, hybrid)
    interval = 1 if batch.dense else hybrid.save_interval_steps
    save_every = math.ceil(interval / base_steps)
    frame_ps = save_every * base_steps * run.config.md.dt_ps
    n_frames = max(FEWEST_FRAMES, round(batch.length_ps / frame_ps))
    per_block = max(1, round(hybrid.checkpoint_every_ps / frame_ps))
    # Blocks made with another density or length hold other frames.
    record = {**run.record, "batch": batch.label, "members": batch.members, "frames": n_frames}
    blocks: list[Block] = []
    for index, first in enumerate(range(0, n_frames, per_block)):
        path = folder / batch.label / f"block_{index:05d}.npz"
        block = load_block(path, record)
        frames = min(per_block, n_frames - first)
        if block is None:
            macro_step, thermostat = _steps_of(run, batch, index)
            beginning = None if blocks else starts.of(batch)
            run.sampler.forget()  # a resumed run begins here
            before = run.sampler.counts
            state = blocks[-1].end if beginning is None else _begin(macro_step, beginning)
            block = propagate(
                macro_step, state, thermostat, frames * save_every, save_every, run.report
            )
            block.accounts.potential = (run.sampler.counts - before).tolist()
            save_block(path, block, record)
        else:
            run.report(frames * frame_ps * batch.members)
        blocks.append(block)
    return blocks


def _steps_of(run: HybridRun, batch: Batch, block: int) -> tuple[MacroStep, Thermostat | None]:
    """What propagates one block of a batch."""
    hybrid = run.config.hybrid
    if batch.ensemble == "nvt":
        label = hybrid.temperatures.index(batch.temperature)
        return sampler_of(run, batch.members, batch.temperature, 2, label, block)
    return MacroStep(run.jump, run.dynamics, hybrid, batch.members, batch.ensemble), None


def _begin(macro_step: MacroStep, starts: Sequence[Start]) -> PhaseState:
    return macro_step.start(np.stack([x for x, _ in starts]), np.stack([v for _, v in starts]))

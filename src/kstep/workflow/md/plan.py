"""What the md stage has to do for one molecule, cut into restartable blocks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kstep.config import MdConfig
from kstep.units import PS_PER_NS


@dataclass(frozen=True)
class Block:
    """One restartable piece of sampling.

    Attributes:
        index: over all temperatures and replicas.
        temperature: K.
        replica: which of the independent runs at this temperature it belongs to.
        first: whether it opens that run.
        steps: base steps of Langevin sampling.
        window_steps: base steps of the NVE window that follows; 0 for none.
        bursts: number of bursts taken from its frames.
    """

    index: int
    temperature: float
    replica: int
    first: bool
    steps: int
    window_steps: int
    bursts: int


def plan(config: MdConfig) -> list[Block]:
    """The blocks of one molecule, run after run: stretches between NVE windows.

    Windows belong to the first temperature, the one that is judged; the bursts of a temperature
    are spread over all its blocks.
    """
    interval = config.save_interval_steps
    total = _whole_frames(config.length_ns * PS_PER_NS / config.dt_ps, interval)
    every = min(_whole_frames(config.nve_every_ps / config.dt_ps, interval), total)
    window = round(config.nve_window_ps / config.dt_ps)
    starts = list(range(0, total, every))
    if len(starts) > 1 and total - starts[-1] < every // 2:
        starts.pop()  # a short remainder joins the stretch before it
    stretches = [(replica, *ends) for replica in range(config.replicas)
                 for ends in pairwise([*starts, total])]  # fmt: skip
    shares = np.linspace(0, config.burst.count, len(stretches) + 1).round().astype(int)
    blocks: list[Block] = []
    for temperature in config.temperatures:
        judged = temperature == config.temperatures[0]
        for (replica, start, end), bursts in zip(stretches, np.diff(shares), strict=True):
            blocks.append(
                Block(
                    index=len(blocks),
                    temperature=temperature,
                    replica=replica,
                    first=start == 0,
                    steps=end - start,
                    window_steps=window if judged and end - start >= every else 0,
                    bursts=int(bursts),
                )
            )
    return blocks


def replicas(config: MdConfig) -> list[list[Block]]:
    """The blocks of one molecule by replica: none depends on another's."""
    runs: list[list[Block]] = []
    for block in plan(config):
        if block.first:
            runs.append([])
        runs[-1].append(block)
    return runs


def picoseconds(block: Block, config: MdConfig) -> float:
    """Simulated time of a block, as the progress bar counts it."""
    equilibration = config.equilibration_ps if block.first else 0.0
    dynamics = (block.steps + block.window_steps) * config.dt_ps
    return equilibration + dynamics + block.bursts * config.burst.length_steps * config.dt_ps


def _whole_frames(steps: float, interval: int) -> int:
    """The number of steps rounded to whole save intervals, at least one."""
    return max(1, round(steps / interval)) * interval

"""A restartable stretch of hybrid dynamics over all replicas, with its books."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from kstep.artifacts import Record, read_finished, write_npz
from kstep.integrators.outer_step import Accounts, MacroStep
from kstep.integrators.state import PhaseState, Replicas
from kstep.parallel import Report

Thermostat = Callable[[PhaseState], PhaseState]
"""The stochastic step that belongs to one macro-step."""

BLOCK_SCHEMA = "kstep.hybrid_block"
_FRAMES = ("pos", "vel", "epot", "steps", "calls")
_END = ("x", "v", "forces", "epot", "debt")


@dataclass(frozen=True, eq=False)
class Block:
    """Frames and end of a stretch.

    Attributes:
        pos: nm [F, R, N, 3].
        vel: nm/ps [F, R, N, 3].
        epot: kJ/mol [F, R].
        steps: base steps since the start of the stretch [F].
        calls: true-force calls of each replica since then [F, R].
        end: the last state, from which the next block goes on.
        accounts: what the stretch cost.
        wall: seconds it took.
    """

    pos: Float[np.ndarray, "F R N 3"]
    vel: Float[np.ndarray, "F R N 3"]
    epot: Float[np.ndarray, "F R"]
    steps: Int[np.ndarray, " F"]
    calls: Int[np.ndarray, "F R"]
    end: PhaseState
    accounts: Accounts
    wall: float


def propagate(
    macro_step: MacroStep,
    state: PhaseState,
    thermostat: Thermostat | None,
    n_macro_steps: int,
    save_every: int,
    report: Report,
) -> Block:
    """`n_macro_steps` from `state`, a frame every `save_every`; NVE without a thermostat.

    A frame is taken before the stochastic step, where energy and forces are those of the state.
    """
    accounts = macro_step.accounts = Accounts(calls=np.zeros(state.n_replicas, dtype=np.int64))
    frames: list[tuple[Replicas, Replicas, np.ndarray, int, np.ndarray]] = []
    start = time.perf_counter()
    for index in range(1, n_macro_steps + 1):
        state = macro_step(state)
        if index % save_every == 0:
            steps = index * macro_step.base_steps
            frames.append((state.x, state.v, state.epot, steps, accounts.calls.copy()))
            report(save_every * macro_step.duration * state.n_replicas)
        if thermostat is not None:
            with accounts.timing("thermostat"):
                state = thermostat(state)
    pos, vel, epot, steps_of, calls = (
        np.array([frame[column] for frame in frames]) for column in range(5)
    )
    wall = time.perf_counter() - start
    return Block(pos, vel, epot, steps_of, calls, state, accounts, wall)


def save_block(path: Path, block: Block, record: Record) -> None:
    """Write a block for a later restart."""
    accounts = {**asdict(block.accounts), "wall": block.wall}
    calls = accounts.pop("calls")
    write_npz(
        path,
        {
            **{name: getattr(block, name) for name in _FRAMES},
            **{f"end_{name}": getattr(block.end, name) for name in _END},
            "total_calls": calls,
            "accounts": np.array(json.dumps(accounts)),
        },
        record,
    )


def load_block(path: Path, record: Record) -> Block | None:
    """A finished block of this very run, or None."""
    arrays = read_finished(path, record, (*_FRAMES, "accounts"))
    if arrays is None:
        return None
    content = json.loads(str(arrays["accounts"]))
    wall = content.pop("wall")
    return Block(
        **{name: arrays[name] for name in _FRAMES},
        end=PhaseState(*(arrays[f"end_{name}"] for name in _END)),
        accounts=Accounts(calls=arrays["total_calls"], **content),
        wall=wall,
    )


def segments(blocks: Sequence[Block]) -> list[dict[str, np.ndarray]]:
    """The frames of consecutive blocks as one segment per replica, time and calls running on."""
    result = []
    for replica in range(blocks[0].pos.shape[1]):
        parts: dict[str, list[np.ndarray]] = {
            name: [] for name in ("pos", "vel", "epot", "steps", "force_calls")
        }
        steps, calls = 0, 0
        for block in blocks:
            parts["pos"].append(block.pos[:, replica])
            parts["vel"].append(block.vel[:, replica])
            parts["epot"].append(block.epot[:, replica])
            parts["steps"].append(block.steps + steps)
            parts["force_calls"].append(block.calls[:, replica] + calls)
            steps += int(block.steps[-1])
            calls += int(block.accounts.calls[replica])
        result.append({name: np.concatenate(arrays) for name, arrays in parts.items()})
    return result


def total_accounts(blocks: Sequence[Block]) -> tuple[Accounts, float]:
    """The books of several blocks added up (calls over all replicas), and their wall time."""
    total = Accounts(calls=np.array([sum(int(block.accounts.calls.sum()) for block in blocks)]))
    for block in blocks:
        total.macro_steps += block.accounts.macro_steps
        total.rejected_jumps += block.accounts.rejected_jumps
        total.fallback_calls += block.accounts.fallback_calls
        total.proposals += block.accounts.proposals
        total.acceptances += block.accounts.acceptances
        pairs = zip(total.potential, block.accounts.potential, strict=True)
        total.potential = [sum(pair) for pair in pairs]
        for part, seconds in block.accounts.seconds.items():
            total.seconds[part] = total.seconds.get(part, 0.0) + seconds
    return total, sum(block.wall for block in blocks)

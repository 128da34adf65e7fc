"""More replicas of a finished control: those that are there are kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from kstep.system.trajectory import NVE, NVT, Trajectory
from kstep.workflow.controls.plan import Plan
from kstep.workflow.controls.sampling import Stretch


def continues(plan: Plan, record: Mapping[str, Any], versions: Mapping[str, str]) -> bool:
    """Whether a finished control is what the first replicas of a plan would be if run again.

    Args:
        plan: of the longer control.
        record: of the finished one.
        versions: of the programs that would run the rest.
    """
    try:
        before = Plan.model_validate(record.get("config"))
    except ValidationError:
        return False
    grown = {"replicas": plan.replicas, "nve_windows": plan.nve_windows}
    return (
        before.replicas < plan.replicas
        and before.model_copy(update=grown) == plan
        # A replica's windows start at frames that depend on how many windows it has.
        and all(before.windows_of(i) == plan.windows_of(i) for i in range(before.replicas))
        and record.get("versions") == versions
    )


def finished_replicas(trajectory: Trajectory, plan: Plan) -> list[tuple[Stretch, list[Stretch]]]:
    """The replicas of a finished control, each with the NVE windows that start from it.

    Args:
        trajectory: which a plan continues, or its own.
        plan: as in `continues`.
    """
    windows = iter(trajectory.segments(NVE))
    return [
        (
            _stretch(trajectory, frames),
            [_stretch(trajectory, next(windows)) for _ in range(plan.windows_of(index))],
        )
        for index, frames in enumerate(trajectory.segments(NVT))
    ]


def _stretch(trajectory: Trajectory, frames: np.ndarray) -> Stretch:
    return {
        "pos": trajectory.pos[frames],
        "vel": trajectory.vel[frames],
        "epot": trajectory.epot[frames],
    }

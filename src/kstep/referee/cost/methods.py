"""Every way to run dynamics on one table, against the limit of small steps.

The baseline of the verdict is velocity Verlet at the hybrid's own base step, because that is what
the network was taught. Whether that baseline is any good, and whether a longer step of plain MD
would do as well, is told here: baseline, candidate and controls against the limit of small steps,
over equal simulated time and over equal numbers of force calls, where those are known: nobody
counted the calls of a trajectory that another program made.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from kstep.artifacts import read_json
from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.claims.acceptance import verdict
from kstep.referee.claims.checks import DYNAMICS, worst
from kstep.referee.compared import Files, Side, check_belongs, make_side, truncated
from kstep.referee.cost.savings import SecondsPerPs, Timing, fault_of
from kstep.referee.metrics import MethodErrors, MethodMetrics, Outcome, Verdict
from kstep.referee.physics.drift import drift_size
from kstep.referee.physics.energy import windows_of
from kstep.referee.physics.temperature import compare_temperatures
from kstep.referee.structure.autocorrelation import independent_samples, slowest_observable
from kstep.referee.structure.coordinates import CoordinateClass
from kstep.referee.structure.distributions import compare_structures
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import load_trajectory
from kstep.units import PS_PER_FS, PS_PER_NS

LIMITS = ("half_fs", "ghmc")
"""File names of the controls that have the averages of infinitely small steps, best first.

Steps of 0.5 fs are nearly that limit and move as it does. Metropolised Langevin dynamics has its
averages exactly and costs a quarter: it is for potentials where that counts.
"""


@dataclass(frozen=True, eq=False)
class Method:
    """One way to run dynamics.

    Attributes:
        name: integrator, step and masses, in words.
        side: its trajectory.
        s_per_ps: wall-clock seconds per simulated ps; None where not timed.
    """

    name: str
    side: Side
    s_per_ps: float | None


def score_methods(
    config: EvalConfig,
    molecule: PreparedMolecule,
    files: Files,
    baseline: Side,
    candidate: Side,
    timing: Timing | None,
) -> list[MethodMetrics]:
    """All methods of a molecule, the reference first; none where there are no controls.

    Raises ArtifactError when a control's file is broken or of another preparation.
    """
    controls = _controls(files.controls, molecule, candidate.temperature)
    if not controls or not candidate.trajectory.has_velocities:
        return []
    reference = controls[0]
    slowest = slowest_observable(molecule, reference.side)
    own = [
        Method(_named(baseline), baseline, None if timing is None else timing.baseline_s_per_ps),
        Method(_named(candidate), candidate, None if timing is None else timing.s_per_ps),
    ]
    methods = [reference, *own, *controls[1:]]
    time_ps = min(method.side.nvt_ps for method in methods)
    calls = candidate.nvt_calls
    return [
        _score(config, molecule, method, reference, slowest, time_ps, calls) for method in methods
    ]


def limit_of_small_steps(
    files: Files, molecule: PreparedMolecule, temperature: float
) -> Side | None:
    """The control that stands for the limit of small steps at a temperature (K), if there is one.

    Raises ArtifactError when a control's file is broken or of another preparation.
    """
    paths = _paths(files.controls)
    control = _control(paths[0], molecule, temperature) if paths else None
    return None if control is None else control.side


def _score(
    config: EvalConfig,
    molecule: PreparedMolecule,
    method: Method,
    reference: Method,
    slowest: CoordinateClass | None,
    time_ps: float,
    calls: int,
) -> MethodMetrics:
    side = method.side
    windows = windows_of(side.trajectory, side.nve, side.temperature)
    size = drift_size(windows)
    own_calls, dt_ps = side.nvt_calls, side.trajectory.record.get("dt_ps")
    equal_time = equal_calls = outcome = None
    if method is not reference:
        over_time = truncated(side, time_ps / side.nvt_ps)
        equal_time, outcome = _errors(config, molecule, reference.side, over_time)
        if calls and own_calls:
            over_calls = truncated(side, calls / own_calls)
            equal_calls, _ = _errors(config, molecule, reference.side, over_calls)
    samples = None if slowest is None else independent_samples(molecule, side, slowest)
    s_per_ps = method.s_per_ps
    return MethodMetrics(
        name=method.name,
        dt_fs=None if dt_ps is None else float(dt_ps) / PS_PER_FS,
        simulated_ps=side.nvt_ps,
        force_calls=own_calls or None,
        s_per_ns=None if s_per_ps is None else s_per_ps * PS_PER_NS,
        drift=None if size is None else size.value,
        fluctuation=float(np.median([w.fluctuation for w in windows])) if windows else None,
        equal_time=equal_time,
        equal_calls=equal_calls,
        per_1000_calls=1000.0 * samples / own_calls if samples and own_calls else None,
        per_second=samples / (s_per_ps * side.nvt_ps) if samples and s_per_ps else None,
        outcome=outcome,
    )


def _errors(
    config: EvalConfig, molecule: PreparedMolecule, reference: Side, side: Side
) -> tuple[MethodErrors, Outcome]:
    """Deviations from the reference, and what the acceptance rule makes of them."""
    temperature, _, warm = compare_temperatures(config, molecule, reference, side)
    structure, _, shaped = compare_structures(config, molecule, reference, side)
    widths = [c.width_error.value for c in structure.coordinates if c.width_error is not None]
    furthest = structure.coordinates[0] if structure.coordinates else None
    errors = MethodErrors(
        sampled_ps=side.nvt_ps,
        temperature_error=temperature.error.candidate.value,
        width_error=max(widths, key=abs) if widths else None,
        divergence=None if furthest is None else furthest.excess,
        divergence_of=None if furthest is None else f"{furthest.kind} {furthest.label}",
    )
    # Rates depend on the masses, averages do not.
    judged = [one for one in (*warm, *shaped) if one.claim != DYNAMICS]
    return errors, _asked(verdict(judged))


def _asked(found: Verdict) -> Outcome:
    """The verdict over the claims for which something was measured."""
    return worst(claim.outcome for claim in found.claims if claim.checks)


class _Timing(BaseModel):
    """What is read of a control's timing file."""

    s_per_ps: SecondsPerPs


def _controls(folder: Path, molecule: PreparedMolecule, temperature: float) -> list[Method]:
    """All controls at a temperature, the reference first; empty without it."""
    methods = []
    for path in _paths(folder):
        method = _control(path, molecule, temperature)
        if method is None:
            return []
        methods.append(method)
    return methods


def _paths(folder: Path) -> list[Path]:
    """Files of all controls, the reference first; none without it."""
    found = {path.stem: path for path in sorted(folder.glob("*.npz")) if path.is_file()}
    reference = next((name for name in LIMITS if name in found), None)
    return [] if reference is None else [found.pop(reference), *found.values()]


def _control(path: Path, molecule: PreparedMolecule, temperature: float) -> Method | None:
    """One control; None, which is said, where it is of another temperature."""
    timing = path.with_suffix(".timing.json")
    try:
        s_per_ps = _Timing.model_validate(read_json(timing)).s_per_ps
    except ValidationError as error:
        raise ArtifactError(
            f"{timing} {fault_of(error)}: delete it and run `kstep controls` again."
        ) from None
    trajectory = load_trajectory(path)
    check_belongs(path, trajectory, molecule)
    if temperature not in trajectory.segment_temperature:
        print(
            f"kstep: the controls in {path.parent} are not compared, because {path.name} is not of "
            f"{temperature:g} K: run `kstep controls` again with md.temperature_K beginning "
            f"with {temperature:g}.",
            file=sys.stderr,
        )
        return None
    side = make_side(path, trajectory, temperature)
    return Method(_named(side), side, s_per_ps)


def _named(side: Side) -> str:
    record = side.trajectory.record
    return str(record.get("candidate") or record.get("integrator"))

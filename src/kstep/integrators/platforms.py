"""Which OpenMM platform is fastest, found by timing it.

For one small molecule OpenMM's Reference platform beats CPU by up to ten times, so the name of
a platform says nothing; a slow baseline would fake a speed-up.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from jaxtyping import Float

from kstep.artifacts import Record, read_json, write_json
from kstep.errors import DeviceError, SimulationError
from kstep.integrators.openmm_steps import langevin, velocity_verlet
from kstep.potentials import forget, has_python_force, stopped
from kstep.units import PS_PER_FS

_PROPERTIES = {
    "CPU": {"Threads": "1", "DeterministicForces": "true"},
    "CUDA": {"Precision": "double", "DeterministicForces": "true"},
    "HIP": {"Precision": "double", "DeterministicForces": "true"},
    "OpenCL": {"Precision": "double"},
}
"""One thread a process; reproducible forces; constraints to 1e-8 need double precision."""


PYTHON_PLATFORM = "Reference"
"""Where Python computes the forces a platform has nothing to do; this one adds 5 µs a step."""


def make_context(
    system: openmm.System, integrator: openmm.Integrator, platform: str
) -> openmm.Context:
    """A Context on the named platform, one thread per process and reproducible forces.

    Raises DeviceError when the platform is not there, its hardware is absent, or it would have to
    wait for Python at every step.
    """
    if has_python_force(system) and platform != PYTHON_PLATFORM:
        raise DeviceError(
            f"forces computed by Python need the OpenMM platform {PYTHON_PLATFORM}, not "
            f"{platform}: choose that one, or auto."
        )
    try:
        chosen = openmm.Platform.getPlatformByName(platform)
        properties = {
            name: value
            for name, value in _PROPERTIES.get(platform, {}).items()
            if name in chosen.getPropertyNames()
        }
        return openmm.Context(system, integrator, chosen, properties)
    except openmm.OpenMMException as error:
        raise DeviceError(
            f"the OpenMM platform {platform} cannot be used here ({error}): "
            f"choose one of {', '.join(available_platforms())}, or auto."
        ) from None


def available_platforms() -> list[str]:
    """Names of the platforms this OpenMM was built with."""
    return [
        openmm.Platform.getPlatform(index).getName()
        for index in range(openmm.Platform.getNumPlatforms())
    ]


CLEARLY_FASTER = 0.75
"""Time per step, in parts of Reference's, below which another platform is preferred."""


@dataclass(frozen=True)
class Timing:
    """Seconds per base step of every integrator on every platform that works here.

    Attributes:
        seconds: {platform: {integrator: s per step}}.
    """

    seconds: dict[str, dict[str, float]]

    @property
    def fastest_platform(self) -> str:
        """The platform to run on: the fastest, unless Reference is nearly as fast.

        Where two are close a moment's load would decide, and with it the last digits of every
        result; so another platform must be clearly faster than Reference.
        """
        return preferred({name: by["velocity_verlet"] for name, by in self.seconds.items()})

    @property
    def fastest_step(self) -> float:
        """Seconds of the fastest Langevin step found, ours or OpenMM's: the baseline."""
        return min(
            value
            for by_integrator in self.seconds.values()
            for name, value in by_integrator.items()
            if name != "velocity_verlet"
        )

    def as_json(self) -> dict[str, dict[str, float]]:
        """Microseconds per step, by platform and integrator."""
        return {
            platform: {name: round(1e6 * value, 2) for name, value in by_integrator.items()}
            for platform, by_integrator in self.seconds.items()
        }


def time_platforms(
    system: openmm.System,
    positions: Float[np.ndarray, "N 3"],
    dt_ps: float,
    seconds: float = 0.1,
) -> Timing:
    """Time velocity Verlet, our Langevin and OpenMM's Langevin-middle on each platform.

    Args:
        system: the molecule's System.
        positions: nm; a minimum-energy conformer.
        dt_ps: time step, ps.
        seconds: time spent on each pair.
    """
    integrators: dict[str, Callable[[], openmm.Integrator]] = {
        "velocity_verlet": lambda: velocity_verlet(dt_ps),
        "langevin": lambda: langevin(dt_ps, 300.0, 1.0, 1),
        "LangevinMiddleIntegrator": lambda: openmm.LangevinMiddleIntegrator(300.0, 1.0, dt_ps),
    }
    result: dict[str, dict[str, float]] = {}
    for integrator, make in integrators.items():
        for platform, value in time_integrator(system, make, positions, seconds).items():
            result.setdefault(platform, {})[integrator] = value
    return Timing(result)


def time_integrator(
    system: openmm.System,
    make: Callable[[], openmm.Integrator],
    positions: Float[np.ndarray, "N 3"],
    seconds: float = 0.1,
) -> dict[str, float]:
    """Seconds per step of one integrator on every platform that works here.

    Args:
        system: the molecule's System.
        make: gives a new integrator.
        positions: nm; a minimum-energy conformer.
        seconds: time spent on each platform.
    """
    result: dict[str, float] = {}
    for platform in available_platforms():
        try:
            context = make_context(system, make(), platform)
        except DeviceError:  # built in, but its hardware is not there
            continue
        result[platform] = _seconds_per_step(context, positions, seconds)
    forget(system)  # how many steps were made is the clock's affair
    return result


def preferred(seconds: dict[str, float]) -> str:
    """The fastest platform, unless Reference is nearly as fast: seconds per step by platform."""
    fastest = min(seconds, key=seconds.__getitem__)
    limit = CLEARLY_FASTER * seconds.get("Reference", float("inf"))
    return "Reference" if seconds[fastest] > limit else fastest


def resolve_platform(
    requested: str, system: openmm.System, positions: Float[np.ndarray, "N 3"], dt_ps: float
) -> tuple[str, Timing]:
    """The platform to use, the requested one or for "auto" the fastest, and the timing of all.

    All platforms are timed even where one is requested: the baseline that a hybrid is held
    against is the fastest there is, not the one it happens to run on.

    Raises DeviceError when the requested platform cannot be used.
    """
    timing = time_platforms(system, positions, dt_ps)
    if requested == "auto":
        return timing.fastest_platform, timing
    if requested not in timing.seconds:
        make_context(system, velocity_verlet(dt_ps), requested)
    return requested, timing


def settled(folder: Path, origin: Record, find: Callable[[], Record]) -> Record:
    """A platform and its timing, found once for all that is run from this folder.

    Processes that share a molecule, and a run that was stopped, thus go on where it began,
    whatever the load of the moment.

    Args:
        folder: where unfinished work lies; removed when it is finished.
        origin: what the platform was found for; for another, or on a machine with other
            platforms, it is found anew.
        find: gives the record: platform and timing.
    """
    path = folder / "platform.json"
    origin = {**origin, "platforms": available_platforms()}
    if path.exists():
        found = read_json(path)
        if found.get("origin") == origin:
            return dict(found["found"])
    record = find()
    write_json(path, {"origin": origin, "found": record})
    return record


def _seconds_per_step(
    context: openmm.Context, positions: Float[np.ndarray, "N 3"], seconds: float
) -> float:
    """The best of many batches of steps; SimulationError when the molecule explodes in them."""
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300.0, 1)
    integrator = context.getIntegrator()
    step_ps = integrator.getStepSize()._value
    explosion = SimulationError(
        f"steps of {step_ps / PS_PER_FS:g} fs make the molecule explode while the platform "
        f"{context.getPlatform().getName()} is timed: choose a shorter md.dt_fs, constrained bonds "
        "to hydrogen, or other masses with prep.hydrogen_mass."
    )
    try:
        best = _best_batch(integrator, seconds)
        energy = context.getState(energy=True).getPotentialEnergy()._value
    except openmm.OpenMMException as error:
        raise stopped(error, explosion) from None
    if not np.isfinite(energy):
        raise explosion
    return best


def _best_batch(integrator: openmm.Integrator, seconds: float) -> float:
    integrator.step(1)
    start = time.perf_counter()
    integrator.step(1)
    # Many cheap steps, and few of those that take a noticeable time each.
    batch = max(1, min(50, round(seconds / (time.perf_counter() - start))))
    integrator.step(min(20, batch - 1))
    best, deadline = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < deadline or best == float("inf"):
        start = time.perf_counter()
        integrator.step(batch)
        best = min(best, (time.perf_counter() - start) / batch)
    return best

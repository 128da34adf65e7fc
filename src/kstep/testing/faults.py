"""Integrators with a known fault, to measure what a referee sees and what escapes it.

Each gives a `Run` as the hybrid would have written it. `faultless` and `exact_hybrid` have no
fault. `hot_thermostat` and `scaled_bond` have one in their dynamics. `scaled_velocities`,
`shifted_velocities` and `noisy_positions` have one in what is saved of another run, so that a
single run serves faults of all sizes.

    setup = Setup(molecule, config.md, seed=1, length_ps=200)
    run = scaled_velocities(faultless(setup), setup, 1.005)
    run.trajectory.save(path)
    run.motion.save(motion_of(path))
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import openmm
from jaxtyping import Float

from kstep.errors import ConfigError
from kstep.system.mechanics import kinetic_energy
from kstep.testing.runs import Run, Setup, run_dynamics, run_exact_hybrid, with_true_energies

Velocities = Float[np.ndarray, "T N 3"]


def faultless(setup: Setup) -> Run:
    """An independent baseline, saved on the grid of macro-steps."""
    return run_dynamics(setup, setup.system(), setup.temperature, "faultless")


def exact_hybrid(setup: Setup) -> Run:
    """The hybrid with the exact jump; takes twice as long as `faultless` and more."""
    return run_exact_hybrid(setup, "exact jump")


def hot_thermostat(setup: Setup, temperature: float) -> Run:
    """A thermostat at `temperature` (K) that claims to be at the setup's."""
    return run_dynamics(setup, setup.system(), temperature, f"thermostat at {temperature:g} K")


def scaled_bond(setup: Setup, bond: tuple[int, int], factor: float) -> Run:
    """Dynamics with the force constant of one harmonic bond scaled, its energies the true ones.

    Raises ConfigError when the System has no spring between these two atoms.
    """
    system = setup.system()
    for force in system.getForces():
        if not isinstance(force, openmm.HarmonicBondForce):
            continue
        for index in range(force.getNumBonds()):
            first, second, length, constant = force.getBondParameters(index)
            if {first, second} == set(bond):
                force.setBondParameters(index, first, second, length, factor * constant)
                return run_dynamics(
                    setup, system, setup.temperature, f"bond constant times {factor:g}"
                )
    raise ConfigError(
        f"{setup.molecule.name} has no harmonic bond between atoms {bond[0]} and {bond[1]}: "
        "choose two atoms that are bonded and not constrained."
    )


def scaled_velocities(run: Run, setup: Setup, factor: float) -> Run:
    """Another run, its saved velocities scaled."""
    return _with_velocities(run, setup, lambda _, v: factor * v, f"velocities times {factor:g}")


def shifted_velocities(run: Run, setup: Setup, steps: float = 0.5) -> Run:
    """Another run, its saved velocities those of `steps` base steps earlier.

    v − steps · dt F(x)/m, without its components along constraints: at half a step what leapfrog
    integrators hand out for the velocity at t.
    """
    dynamics = setup.dynamics()
    masses = setup.molecule.masses[:, None]

    def earlier(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        shifted = np.empty_like(v)
        for frame, positions in enumerate(x):
            forces, _ = dynamics.evaluate(positions)
            kicked = v[frame] - steps * dynamics.dt_ps * forces / masses
            shifted[frame] = dynamics.constrain_velocities(positions, kicked)
        return shifted

    return _with_velocities(run, setup, earlier, f"velocities {steps:g} steps early")


def noisy_positions(run: Run, setup: Setup, width_nm: float) -> Run:
    """Another run with Gaussian noise on its saved positions, constraints kept, and its energies.

    Velocities stay what they were: those of the places without noise.
    """
    rng = np.random.default_rng(setup.seed_of(4))
    dynamics = setup.dynamics()

    def moved(places: np.ndarray) -> np.ndarray:
        noisy = places + width_nm * rng.standard_normal(places.shape)
        flat = noisy.reshape(-1, *noisy.shape[-2:])
        return np.stack([dynamics.constrain_positions(x) for x in flat]).reshape(places.shape)

    pos, motion_pos = moved(run.trajectory.pos), moved(run.motion_pos)
    changed = Run(replace(run.trajectory, pos=pos), run.motion, motion_pos)
    return _labelled(with_true_energies(setup, changed), f"noise of {width_nm:g} nm in x")


def _with_velocities(
    run: Run, setup: Setup, change: Callable[[Velocities, Velocities], Velocities], label: str
) -> Run:
    """A run whose saved velocities are a function of its positions and velocities."""
    masses = setup.molecule.masses
    vel = change(run.trajectory.pos, run.trajectory.vel)
    ekin = kinetic_energy(vel, masses)
    dense = run.motion.vel.astype(np.float64)
    flat = (-1, *dense.shape[2:])
    dense = change(run.motion_pos.reshape(flat), dense.reshape(flat)).reshape(dense.shape)
    changed = Run(
        replace(run.trajectory, vel=vel, ekin=ekin, etot=run.trajectory.epot + ekin),
        replace(run.motion, vel=dense.astype(np.float32), ekin=kinetic_energy(dense, masses)),
        run.motion_pos,
    )
    return _labelled(changed, label)


def _labelled(run: Run, label: str) -> Run:
    trajectory = replace(run.trajectory, record={**run.trajectory.record, "candidate": label})
    motion = replace(run.motion, record={**run.motion.record, "candidate": label})
    return Run(trajectory, motion, run.motion_pos)

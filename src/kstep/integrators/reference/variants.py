"""What each control is: its step, its masses, its integrators."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import openmm

from kstep.config import MdConfig
from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE, velocity_verlet
from kstep.integrators.reference.metropolis import ghmc
from kstep.integrators.reference.respa import (
    INNER_CALLS,
    INNER_STEPS,
    respa_langevin,
    respa_velocity_verlet,
    split_forces,
)
from kstep.potentials.systems import load_system
from kstep.system.hydrogens import repartition
from kstep.system.prepared import PreparedMolecule
from kstep.units import PS_PER_FS

Langevin = Callable[[float, float, float, int], openmm.Integrator]
"""(dt in ps, temperature in K, friction in 1/ps, seed) → an integrator at constant temperature."""

_LONG_STEP_PS = 4 * PS_PER_FS
_LONGEST_TRAJECTORY = 50
"""Steps between two tests of GHMC: longer ones do more work, and are refused more often."""


@dataclass(frozen=True)
class Variant:
    """One way to run plain MD.

    Attributes:
        name: as in `controls.integrators`.
        label: as a reader sees it.
        dt_ps: time step (the outer one), ps.
        hydrogen_mass: Da; None leaves the masses as they were prepared.
        langevin: makes its integrator at constant temperature.
        conserving: makes its integrator at constant energy, of synchronous velocities.
        velocities: what its saved velocities at constant temperature are.
        inner_calls: evaluations of the bonded forces alone per step; 0: none.
    """

    name: str
    label: str
    dt_ps: float
    hydrogen_mass: float | None
    langevin: Langevin
    conserving: Callable[[float], openmm.CustomIntegrator]
    velocities: str
    inner_calls: int = 0

    def system(self, molecule: PreparedMolecule, md: MdConfig) -> openmm.System:
        """The molecule's System with this variant's masses and force groups."""
        system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
        if self.hydrogen_mass is not None:
            numbers, bonds = molecule.numbers.tolist(), molecule.bonds.tolist()
            repartition(system, molecule.name, numbers, bonds, self.hydrogen_mass)
        if self.inner_calls:
            split_forces(system)
        return system


def variant(name: str, md: MdConfig) -> Variant:
    """The control of that name under the baseline's settings."""
    if name == "half_fs":
        return _langevin_middle(name, "LangevinMiddle 0.5 fs", 0.5 * PS_PER_FS)
    if name == "langevin_middle":
        return _langevin_middle(name, f"LangevinMiddle {md.dt_fs:g} fs", md.dt_ps)
    if name == "respa":
        step = _LONG_STEP_PS / PS_PER_FS
        return Variant(
            name=name,
            label=f"r-RESPA {step:g} fs, bonded {step / INNER_STEPS:g} fs",
            dt_ps=_LONG_STEP_PS,
            hydrogen_mass=None,
            langevin=respa_langevin,
            conserving=respa_velocity_verlet,
            velocities="synchronous",
            inner_calls=INNER_CALLS,
        )
    if name == "ghmc":
        return _ghmc(name, md)
    mass = float(name.removeprefix("hmr_"))
    return _langevin_middle(name, f"LangevinMiddle 4 fs, H {mass:g} Da", _LONG_STEP_PS, mass)


def langevin_middle(
    dt_ps: float, temperature: float, friction: float, seed: int
) -> openmm.LangevinMiddleIntegrator:
    """OpenMM's Langevin integrator with the friction in the middle of the drift.

    Its velocities are those of half a step before the positions, where they are exactly canonical
    (Zhang et al., J. Phys. Chem. A 123, 6056 (2019)): right for temperatures and their
    distributions, meaningless for the energy of single frames.

    Args:
        dt_ps: time step, ps.
        temperature: K.
        friction: 1/ps.
        seed: of the noise, positive.
    """
    integrator = openmm.LangevinMiddleIntegrator(temperature, friction, dt_ps)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    integrator.setRandomNumberSeed(seed)
    return integrator


def _langevin_middle(
    name: str, label: str, dt_ps: float, hydrogen_mass: float | None = None
) -> Variant:
    return Variant(
        name=name,
        label=label,
        dt_ps=dt_ps,
        hydrogen_mass=hydrogen_mass,
        langevin=langevin_middle,
        conserving=velocity_verlet,
        velocities="half a step before the positions",
    )


def _ghmc(name: str, md: MdConfig) -> Variant:
    """Tested at every saved frame, or more often: only what was tested belongs to the ensemble."""
    interval = md.save_interval_steps
    steps = max(n for n in range(1, _LONGEST_TRAJECTORY + 1) if interval % n == 0)
    return Variant(
        name=name,
        label=f"GHMC {md.dt_fs:g} fs, tested every {steps * md.dt_fs:g} fs",
        dt_ps=md.dt_ps,
        hydrogen_mass=None,
        langevin=partial(ghmc, trajectory_steps=steps),
        conserving=velocity_verlet,
        velocities="synchronous",
    )

"""Potentials that are programs of their own: forces, symmetry, conserved energy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.units import kJ, mol
from scipy.spatial.transform import Rotation

from kstep.config import PotentialConfig, load_config
from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE
from kstep.integrators.plain import Sampler
from kstep.potentials import CachedPotential, PythonSystem, make_potential, relax
from kstep.potentials.systems import load_system
from kstep.system.mechanics import kinetic_energy, remove_centre_of_mass
from kstep.system.molecule import Molecule

XTB = [
    {"name": "gfn2-xtb"},
    {"name": "gfn1-xtb"},
    {"name": "gfn2-xtb", "solvent": "water"},
]
WATER = np.array([8, 1, 1])
BENT = np.array([[0.0, 0.0, 0.0], [0.1, 0.01, 0.0], [-0.03, 0.085, 0.02]])
LENGTH_NM, STIFFNESS = 0.11, 3e5


class Spring(Calculator):
    """Two atoms on a spring, in ASE's units."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: Atoms, *arguments: object) -> None:
        super().calculate(atoms, *arguments)
        arm = atoms.positions[0] - atoms.positions[1]
        distance = np.linalg.norm(arm)
        excess = distance * 0.1 - LENGTH_NM
        per_nm = STIFFNESS * excess * kJ / mol
        force = -per_nm * 0.1 * arm / distance
        self.results = {
            "energy": 0.5 * STIFFNESS * excess**2 * kJ / mol,
            "forces": np.array([force, -force]),
        }


def molecule_of(numbers: np.ndarray, x: np.ndarray) -> Molecule:
    return Molecule(numbers=numbers, masses=2.0 * numbers, positions=x)


def water(**settings: object) -> CachedPotential:
    return make_potential(PotentialConfig(**settings), molecule_of(WATER, BENT))


def sampler_of(molecule: Molecule) -> Sampler:
    prepared = replace(molecule, manifest={**molecule.manifest, "potential": XTB[0]})
    system = load_system(prepared, 1.0, "HBonds", "OBC2")
    config = load_config([], ["md.equilibration_ps=0.02"]).md
    return Sampler(system, "Reference", config, molecule.name, lambda _: None)


@pytest.fixture(scope="module")
def xtb_sampler(phenol: Molecule) -> Sampler:
    return sampler_of(phenol)


@pytest.mark.parametrize("settings", XTB, ids=str)
def test_forces_are_minus_the_slope_of_the_energy(settings: dict[str, object]) -> None:
    potential = water(**settings, accuracy=0.001)
    _, forces = potential(BENT)
    step = 1e-5
    slope = np.zeros_like(BENT)
    for index in np.ndindex(BENT.shape):
        shift = np.zeros_like(BENT)
        shift[index] = step
        slope[index] = (potential(BENT + shift)[0] - potential(BENT - shift)[0]) / (2 * step)
    np.testing.assert_allclose(forces, -slope, atol=0.5)
    assert np.abs(forces).max() > 1000


def test_water_as_a_solvent_binds_water() -> None:
    free, dissolved = water(name="gfn2-xtb")(BENT)[0], water(name="gfn2-xtb", solvent="water")
    assert -60 < dissolved(BENT)[0] - free < -5  # a hydration energy, kJ/mol


def test_energy_and_forces_turn_with_the_molecule() -> None:
    potential = water(name="gfn2-xtb", accuracy=0.01)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    energy, forces = potential(BENT)
    turned_energy, turned_forces = potential(BENT @ turn.T + 0.5)
    assert turned_energy == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(turned_forces, forces @ turn.T, atol=0.1)


def test_the_minimum_has_no_force_and_the_known_shape() -> None:
    potential = water(name="gfn2-xtb")
    x = relax(potential, BENT)
    assert np.abs(potential(x)[1]).max() < 2
    first, second = x[1] - x[0], x[2] - x[0]
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    np.testing.assert_allclose(lengths, 0.0959, atol=5e-4)  # nm
    assert math.degrees(math.acos(first @ second / math.prod(lengths))) == pytest.approx(107, abs=2)


def test_a_spring_of_ase_pulls_as_it_should() -> None:
    config = PotentialConfig(name="ase", calculator=f"{__name__}:Spring")
    x = np.array([[0.0, 0.0, 0.0], [0.0, 0.09, 0.09]])
    potential = make_potential(config, molecule_of(np.array([7, 7]), x))
    arm = x[0] - x[1]
    distance = float(np.linalg.norm(arm))
    energy, forces = potential(x)
    assert energy == pytest.approx(0.5 * STIFFNESS * (distance - LENGTH_NM) ** 2, rel=1e-7)
    pull = -STIFFNESS * (distance - LENGTH_NM) * arm / distance
    np.testing.assert_allclose(forces, [pull, -pull], rtol=1e-7, atol=1e-6)
    minimum = relax(potential, x)
    assert np.linalg.norm(minimum[0] - minimum[1]) == pytest.approx(LENGTH_NM, abs=1e-5)


def test_xtb_dynamics_at_2_fs_conserve_energy_and_call_it_once_a_step(
    xtb_sampler: Sampler, phenol: Molecule
) -> None:
    system = xtb_sampler._system
    assert isinstance(system, PythonSystem)
    x, _ = xtb_sampler.quench(phenol.positions)
    v = xtb_sampler.draw_velocities(x, 600.0, np.random.default_rng(1))
    v = remove_centre_of_mass(v, phenol.masses)
    before = system.potential.evaluations
    frames = xtb_sampler.window(x, v, 400, 4)
    assert system.potential.evaluations - before == 400  # the state it starts from is remembered
    ekin = kinetic_energy(frames.vel, phenol.masses)
    total = frames.epot + ekin
    assert abs(np.polyfit(frames.steps * 0.002, total, 1)[0]) / phenol.n_atoms < 0.05  # kJ/mol/ps
    assert total.std() < 0.1 * frames.epot.std()
    assert ekin.std() > 5  # kJ/mol go to and fro


def test_a_quench_keeps_constrained_lengths(xtb_sampler: Sampler, phenol: Molecule) -> None:
    system = xtb_sampler._system
    shaken = phenol.positions + np.random.default_rng(3).normal(0, 0.004, phenol.positions.shape)
    before = system.potential.evaluations
    x, energy = xtb_sampler.quench(shaken)
    for index in range(system.getNumConstraints()):
        first, second, length = system.getConstraintParameters(index)
        distance = float(np.linalg.norm(x[first] - x[second]))
        assert distance == pytest.approx(length._value, rel=10 * CONSTRAINT_TOLERANCE)
    _, forces = system.potential(x)
    velocities = forces / phenol.masses[:, None]  # what is left may act along constraints alone
    free = xtb_sampler._dynamics.constrain_velocities(x, velocities)
    assert np.abs(free * phenol.masses[:, None]).max() < 10
    _, same = xtb_sampler.quench(phenol.positions)
    assert energy == pytest.approx(same, abs=0.05)
    assert system.potential.evaluations - before < 300
    assert system.potential.failures == 0

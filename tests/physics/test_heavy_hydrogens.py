"""The shipped force moves heavier hydrogens in longer steps: it knows of neither."""

from dataclasses import replace

import numpy as np
import pytest

from kstep.config import load_config
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.outer_step import MacroStep
from kstep.potentials.systems import load_system
from kstep.regressed.learned import load_learned_jump
from kstep.surrogates.shipped import WEIGHTS
from kstep.system.hydrogens import repartition
from kstep.system.mechanics import kinetic_energy, maxwell_boltzmann
from kstep.system.molecule import Molecule

K, DT, REPLICAS = 8, 0.004, 8


@pytest.fixture(scope="module")
def heavy(phenol: Molecule):
    """Dynamics with hydrogens of 3 Da, and the molecule that has them."""
    system = load_system(phenol, 1.0, "HBonds", "OBC2")
    repartition(system, "phenol", phenol.numbers.tolist(), phenol.bonds.tolist(), 3.0)
    dynamics = make_dynamics(system, DT, "Reference", "phenol")
    return dynamics, replace(phenol, masses=dynamics.masses)


def test_jumps_of_long_steps_change_the_energy_as_the_steps_do(heavy) -> None:
    dynamics, molecule = heavy
    config = load_config([], ["md.dt_fs=4", "hybrid.guard.enabled=false"]).hybrid
    jump = load_learned_jump(WEIGHTS / "splitting.ckpt", molecule, K, DT, "closing_kick")
    step = MacroStep(jump, dynamics, config, REPLICAS)
    assert step.duration == pytest.approx(K * DT)
    rng = np.random.default_rng(7)
    x = np.tile(dynamics.constrain_positions(molecule.positions), (REPLICAS, 1, 1))
    v = maxwell_boltzmann(rng, molecule.masses, 600.0, (REPLICAS,))  # half of it goes to bonds
    settled = [dynamics.steps(*start, 500) for start in zip(x, v, strict=True)]
    state = step.start(np.stack([s.x for s in settled]), np.stack([s.v for s in settled]))
    jumped, moved = [], []
    for _ in range(30):
        before = state.etot(molecule.masses)
        true = [dynamics.steps(*start, K) for start in zip(state.x, state.v, strict=True)]
        ends = np.array([s.epot + kinetic_energy(s.v, molecule.masses) for s in true])
        state = step(state)
        moved.append(ends - before)
        jumped.append(state.etot(molecule.masses) - before)
    ratio = np.std(jumped) / np.std(moved)
    assert 0.7 < ratio < 1.3
    assert abs(np.mean(jumped)) < 0.5 * np.std(jumped)

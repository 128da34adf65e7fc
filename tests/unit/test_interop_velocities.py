"""Velocities in another unit than their format says are named; few atoms are no fault."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest

from kstep.errors import ArtifactError
from kstep.interop.checks import UNITS, check_velocities
from kstep.interop.parts import Parts, read_parts
from kstep.interop.stretch import Stretch
from kstep.system.mechanics import maxwell_boltzmann

FILE = Path("theirs.trr")


@pytest.fixture(scope="module")
def parts(phenol):
    return read_parts(phenol.pdb, phenol.system_xml)


@pytest.fixture(scope="module")
def run(phenol, make_sampler, equilibrium):
    return make_sampler(phenol).sample(*equilibrium, 300.0, 2, 50 * 40, 50)


@pytest.mark.parametrize("factor", UNITS)
def test_the_unit_of_velocities_is_named(factor, run, parts):
    stretch = Stretch(run.pos, factor * run.vel, None)
    with pytest.raises(ArtifactError, match=r"velocities of .* another unit") as caught:
        check_velocities(FILE, stretch, parts, 300.0)
    assert f"({UNITS[factor]})" in str(caught.value)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.5, 3.0])
def test_what_is_merely_too_hot_or_cold_is_for_the_referee(factor, run, parts):
    check_velocities(FILE, Stretch(run.pos, factor * run.vel, None), parts, 300.0)


def test_a_run_may_start_at_rest(run, parts):
    vel = run.vel.copy()
    vel[:10] = 0
    check_velocities(FILE, Stretch(run.pos, vel, None), parts, 300.0)


def test_one_atom_has_no_temperature_of_its_own():
    one = replace(parts_of(1), masses=np.array([39.95]))
    rest = np.zeros((20, 1, 3))
    check_velocities(FILE, Stretch(rest, rest, None), one, 300.0)


def test_a_cold_window_of_rigid_water_is_no_unit(parts):
    """Its three constraints leave three degrees of freedom, of which any may be at rest."""
    water = parts_of(3)
    drawn = maxwell_boltzmann(np.random.default_rng(3), water.masses, 72.0, (40,))
    drawn *= 0.7  # what constraints take off
    check_velocities(FILE, Stretch(np.zeros((40, 3, 3)), drawn, None), water, 300.0)


def parts_of(n_atoms):
    pairs = np.array([[0, 1], [0, 2], [1, 2]])[: n_atoms * (n_atoms - 1) // 2]
    masses = np.array([15.999, 1.008, 1.008])[:n_atoms]
    return Parts(
        numbers=np.array([8, 1, 1])[:n_atoms], names=["O", "H", "H"][:n_atoms], masses=masses,
        bonds=pairs[:2], constraints=pairs, lengths=np.full(len(pairs), 0.1),
        system=openmm.System(),
    )  # fmt: skip

"""Time steps and masses are held against each other before anything runs."""

import numpy as np
import openmm
import pytest

from kstep.config import PrepConfig, load_config
from kstep.errors import ConfigError, SimulationError
from kstep.integrators.platforms import time_platforms
from kstep.system.molecule import Molecule
from kstep.system.preparation.assembly import assemble
from kstep.system.preparation.chemistry import parse
from kstep.system.preparation.conformers import embed
from kstep.system.preparation.parameters import parametrise
from kstep.system.prepared import prepared_molecules
from kstep.system.vibrations import check_step, fastest_vibration


@pytest.fixture(scope="module")
def free() -> tuple[openmm.System, Molecule]:
    """Methane without constraints."""
    conformer = embed(parse("C", 10), 42)
    prep = PrepConfig(constraints="None", implicit_solvent="None")
    system = parametrise(conformer.mol, prep).system
    return system, assemble(conformer, system, "methane", "C")


def test_the_fastest_vibration_is_the_stretch_of_hydrogen(free) -> None:
    fastest = fastest_vibration(free[1].terms, free[1].masses)
    assert len(fastest.atoms) == 2
    wavenumber = fastest.omega / (2 * np.pi * 0.0299792458)  # 1/cm
    assert 2900 < wavenumber < 3200
    assert fastest.longest_step == pytest.approx(0.0035, abs=1e-4)


def test_the_fastest_of_a_rigid_water_is_its_bend() -> None:
    water = Molecule.from_smiles("O")
    fastest = fastest_vibration(water.terms, water.masses)
    assert fastest.atoms == (1, 0, 2)
    assert 1400 < fastest.omega / (2 * np.pi * 0.0299792458) < 2600  # OpenFF's angle is stiff


def test_a_step_that_must_explode_is_refused(free) -> None:
    check_step(free[1], 0.002)
    with pytest.raises(ConfigError, match=r"methane: md.dt_fs=4 is too long .* explodes from 3.5"):
        check_step(free[1], 0.004)


def test_the_step_is_checked_where_molecules_are_read(tmp_path, place) -> None:
    place(tmp_path)
    data = f"paths.data={tmp_path}"
    assert len(prepared_molecules(load_config([], [data, "md.dt_fs=4"]))) == 1


def test_an_explosion_while_platforms_are_timed_is_one_sentence(free) -> None:
    """OpenMM says NaN with a traceback; 3.4 fs is where no single bond explodes by itself."""
    system, molecule = free
    with pytest.raises(SimulationError, match="steps of 8 fs make the molecule explode while"):
        time_platforms(system, molecule.positions, 0.008, seconds=0.02)


@pytest.mark.parametrize(("smiles", "most"), [("C", 3.2), ("O", 6.0), ("[NH4+]", 3.6)])
def test_a_heavy_atom_stays_heavier_than_its_hydrogens(smiles: str, most: float) -> None:
    from kstep.errors import MoleculeError

    heavy = Molecule.from_smiles(smiles, hydrogen_mass=most)
    assert heavy.masses[0] >= most
    with pytest.raises(MoleculeError, match="too light to give its hydrogens"):
        Molecule.from_smiles(smiles, hydrogen_mass=most + 0.1)

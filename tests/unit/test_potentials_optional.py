"""SO3LR and PySCF, where they are installed; what is said where they are not."""

import math
import os
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from kstep.config import PotentialConfig
from kstep.errors import ConfigError, MoleculeError
from kstep.potentials import Pyscf, So3lr, Xtb, make_potential, programs, relax
from kstep.system.molecule import Molecule
from kstep.testing import check_potential

WATER = Molecule(
    numbers=np.array([8, 1, 1]),
    masses=np.array([15.999, 1.008, 1.008]),
    positions=np.array([[0.0, 0.0, 0.0], [0.096, 0.0, 0.0], [-0.024, 0.093, 0.0]]),
    name="water",
)
HYDROXIDE = replace(WATER, numbers=np.array([8, 1]), masses=np.array([16.0, 1.0]), charge=-1,
                    positions=np.array([[0.0, 0.0, 0.0], [0.097, 0.0, 0.0]]))  # fmt: skip
CHEAP = Pyscf("pbe", "sto-3g", grid=1)


@pytest.fixture
def so3lr() -> So3lr:
    pytest.importorskip("so3krates_torch")
    return So3lr()


@pytest.fixture
def pyscf() -> Pyscf:
    pytest.importorskip("pyscf")
    return CHEAP


@pytest.mark.parametrize("molecule", [WATER, HYDROXIDE], ids=["water", "hydroxide"])
@pytest.mark.parametrize("name", ["so3lr", "pyscf"])
def test_it_is_sound_and_leaves_no_trace(name, molecule, request):
    check_potential(request.getfixturevalue(name), molecule)


def test_so3lr_keeps_its_precision_and_threads_to_itself(so3lr):
    torch.set_default_dtype(torch.float32)
    before = torch.get_num_threads(), dict(os.environ)
    found = so3lr.of(WATER).evaluate(WATER.positions[None])
    assert found.energies.dtype == found.forces.dtype == np.float64
    assert torch.get_default_dtype() == torch.float32
    assert (torch.get_num_threads(), dict(os.environ)) == before


def test_so3lr_of_a_batch_is_what_its_calculator_gives(so3lr):
    from ase import Atoms
    from so3krates_torch.calculator.so3 import SO3LRCalculator

    x = WATER.positions + np.random.default_rng(0).normal(scale=0.003, size=(5, 3, 3))
    found = so3lr.of(WATER).evaluate(x)
    try:
        calculator = SO3LRCalculator(default_dtype="float64", r_max_lr=1000.0, device="cpu")
        for row, geometry in enumerate(x):
            atoms = Atoms(WATER.numbers, 10 * geometry, calculator=calculator, info={"charge": 0})
            energy = 96.485332 * atoms.get_potential_energy()
            assert found.energies[row] == pytest.approx(energy, abs=1e-3)
            np.testing.assert_allclose(found.forces[row], 964.85332 * atoms.get_forces(), atol=1e-2)
    finally:
        torch.set_default_dtype(torch.float32)


def test_so3lr_knows_the_net_charge(so3lr):
    anion = so3lr.of(HYDROXIDE).evaluate(HYDROXIDE.positions[None]).energies[0]
    dianion = so3lr.of(replace(HYDROXIDE, charge=-3)).evaluate(HYDROXIDE.positions[None])
    assert abs(anion - dianion.energies[0]) > 10


def test_so3lr_refuses_what_it_was_not_trained_on():
    bromide = replace(HYDROXIDE, numbers=np.array([35, 1]), charge=0, name="hydrogen bromide")
    with pytest.raises(MoleculeError, match=r"hydrogen bromide cannot be computed with SO3LR .*Br"):
        So3lr().of(bromide)
    with pytest.raises(MoleculeError, match="leave one unpaired"):
        So3lr().of(replace(HYDROXIDE, charge=0))


def test_the_minimum_of_water_has_the_known_shape(pyscf):
    """Kohn-Sham with PBE and def2-SVP: 0.0969 nm and 103 degrees."""
    potential = make_potential(
        PotentialConfig(name="pyscf", settings={"functional": "pbe", "basis": "def2-svp"}), WATER
    )
    x = relax(potential, WATER.positions)
    first, second = x[1] - x[0], x[2] - x[0]
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    np.testing.assert_allclose(lengths, 0.0975, atol=1e-3)
    angle = math.degrees(math.acos(first @ second / math.prod(lengths)))
    assert angle == pytest.approx(102.5, abs=1.5)
    assert programs(PotentialConfig(name="pyscf"))["pyscf"] == potential.identity["version"]


def test_the_electron_affinity_of_hydroxyl_is_bound(pyscf):
    """A net charge that reaches the program: OH- lies far below what a wrong count would give."""
    charged = pyscf.of(HYDROXIDE).evaluate(HYDROXIDE.positions[None]).energies[0]
    cation = pyscf.of(replace(HYDROXIDE, charge=1)).evaluate(HYDROXIDE.positions[None]).energies[0]
    assert cation - charged > 500


def test_pyscf_is_told_of_its_level_of_theory(pyscf):
    levels = [pyscf, replace(pyscf, density_fitting=False), replace(pyscf, functional="hf"),
              replace(pyscf, basis="6-31g")]  # fmt: skip
    found = [level.of(WATER).evaluate(WATER.positions[None]).energies[0] for level in levels]
    assert abs(found[0] - found[1]) < 3  # kJ/mol: what fitting costs
    assert len({round(energy) for energy in (found[0], *found[2:])}) == 3
    with pytest.raises(MoleculeError, match="water cannot be computed with pbe/no-such-basis"):
        replace(pyscf, basis="no-such-basis").of(WATER)
    with pytest.raises(MoleculeError, match="water cannot be computed with nonsense/sto-3g"):
        replace(pyscf, functional="nonsense").of(WATER)


def test_dispersion_binds(pyscf):
    pytest.importorskip("pyscf.dispersion")
    pair = replace(
        WATER,
        numbers=np.array([10, 10]),
        masses=np.array([20.18, 20.18]),
        positions=np.array([[0.0, 0.0, 0.0], [0.31, 0.0, 0.0]]),
        name="neon pair",
    )
    plain, bound = (
        replace(pyscf, dispersion=kind).of(pair).evaluate(pair.positions[None])
        for kind in (None, "d3bj")
    )
    assert -2 < bound.energies[0] - plain.energies[0] < -0.01  # kJ/mol
    assert bound.forces[0, 0, 0] > plain.forces[0, 0, 0]  # towards the other atom


def test_an_scf_that_does_not_converge_is_no_energy(pyscf):
    potential = pyscf.of(WATER)
    potential._field.max_cycle = 1
    found = potential.evaluate(WATER.positions[None])
    assert not found.found[0]
    assert found.reasons[0] == "SCF not converged in 1 cycles"
    potential._field.max_cycle = 50
    assert potential.evaluate(WATER.positions[None]).found[0]


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [(So3lr(), "so3krates_torch", "so3lr"), (Pyscf(), "pyscf", "pyscf"), (Xtb(), "tblite", "xtb")],
)
def test_a_package_that_is_not_installed_is_one_sentence(method, package, extra, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    words = rf"needs the package {package}.*: install it with `pip install 'md-kstep\[{extra}\]'`"
    with pytest.raises(ConfigError, match=words):
        method.of(WATER)

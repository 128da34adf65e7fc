"""Methods and the potentials they make of molecules: identity, charge, names, what is imported."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import openmm
import pytest
from ase.calculators.calculator import Calculator

import kstep.config.potential as names
from kstep.config import PotentialConfig, load_config
from kstep.errors import ConfigError, DeviceError, MoleculeError
from kstep.potentials import Ase, OpenMM, Xtb, make_method, make_potential, programs
from kstep.potentials.systems import load_system
from kstep.protocols import Evaluation, Method, Potential, bound
from kstep.system.molecule import Molecule

WATER = Molecule(
    numbers=np.array([8, 1, 1]),
    masses=np.array([15.999, 1.008, 1.008]),
    positions=np.array([[0.0, 0.0, 0.0], [0.1, 0.01, 0.0], [-0.03, 0.085, 0.02]]),
    name="water",
)
HYDROXIDE = Molecule(
    numbers=np.array([8, 1]),
    masses=np.array([15.999, 1.008]),
    positions=np.array([[0.0, 0.0, 0.0], [0.0964, 0.0, 0.0]]),
    name="hydroxide",
    charge=-1,
)


class Charged(Calculator):
    """Whose energy is the net charge it was told of, in eV."""

    implemented_properties = ("energy", "forces")
    default_parameters = {"scale": 1.0, "weights": np.zeros(2)}  # noqa: RUF012

    def calculate(self, atoms, *arguments):
        super().calculate(atoms, *arguments)
        forces = np.zeros((len(atoms), 3))
        self.results = {"energy": self.parameters["scale"] * atoms.info["charge"], "forces": forces}


class Zero:
    """A method of another package."""

    packages = ("numpy",)

    def __init__(self, level=0.0):
        self.level = level

    def of(self, molecule):
        return ZeroOf(self.level)


class ZeroOf:
    def __init__(self, level):
        self.identity = {"program": "zero", "level": level}

    def evaluate(self, x):
        return Evaluation(np.full(len(x), self.identity["level"]), np.zeros(x.shape))


def test_importing_the_names_loads_no_program():
    code = (
        "import sys, kstep.potentials as p; p.Xtb; print(sorted({'openmm', 'tblite', 'torch', "
        "'ase', 'pyscf', 'so3krates_torch', 'scipy'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_name_of_the_package_is_there():
    import kstep.potentials as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="has no attribute Gaussian"):
        _ = package.Gaussian


def test_a_method_is_bound_to_a_molecule_and_a_potential_stays_what_it_is():
    method = Xtb()
    potential = bound(method, WATER)
    assert isinstance(method, Method) and not isinstance(potential, Method)
    assert isinstance(potential, Potential)
    assert bound(potential, WATER) is potential


def test_replicas_are_evaluated_one_by_one_and_failures_are_nan_with_a_reason():
    potential = Xtb().of(WATER)
    x = np.stack([WATER.positions, WATER.positions[[0, 1, 1]], WATER.positions + 0.3])
    found = potential.evaluate(x)
    assert found.found.tolist() == [True, False, True]
    assert list(found.reasons) == [1] and found.reasons[1]
    assert found.energies[0] == pytest.approx(found.energies[2], abs=1e-3)
    assert np.isnan(found.forces[1]).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Xtb(), Xtb("GFN1-xTB")),
        (Xtb(), Xtb(solvent="water")),
        (Xtb(), Xtb(accuracy=0.2)),
        (Ase(Charged), Ase(lambda: Charged(scale=2.0))),
    ],
)
def test_an_identity_is_what_decides_the_numbers(one, other):
    def identity(method, molecule=WATER):
        return json.dumps(dict(method.of(molecule).identity), sort_keys=True)

    assert identity(one) == identity(one)
    assert identity(one) != identity(other)
    assert identity(one) != identity(one, replace(WATER, charge=2))
    assert identity(one) != identity(one, replace(WATER, numbers=np.array([16, 1, 1])))


def test_the_identity_of_a_system_is_of_its_forces_alone(phenol):
    own = OpenMM().of(phenol).identity
    system = openmm.XmlSerializer.deserialize(phenol.system)

    def identity():
        changed = replace(phenol, system=openmm.XmlSerializer.serialize(system))
        return OpenMM().of(changed).identity

    system.addForce(openmm.CMMotionRemover())
    system.setParticleMass(0, 13.0)
    system.removeConstraint(0)
    assert identity() == own
    bonds = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
    first, second, length, stiffness = bonds.getBondParameters(0)
    bonds.setBondParameters(0, first, second, length, 1.001 * stiffness)
    assert identity() != own
    assert OpenMM("CPU").of(phenol).identity != own


def test_openmm_gives_what_the_stages_give(phenol):
    found = OpenMM().of(phenol).evaluate(phenol.positions[None])
    system = load_system(phenol, None, "HBonds", "OBC2")
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(phenol.positions)
    state = context.getState(energy=True, forces=True)
    assert found.energies[0] == state.getPotentialEnergy()._value
    np.testing.assert_array_equal(found.forces[0], state.getForces(asNumpy=True)._value)


def test_a_molecule_without_its_system_or_with_anothers_is_one_sentence(phenol):
    with pytest.raises(MoleculeError, match="water has no OpenMM System: make it"):
        OpenMM().of(WATER)
    for system in (phenol.system, "<System>", "nothing"):
        with pytest.raises(MoleculeError, match="is not that of its 3 atoms"):
            OpenMM().of(replace(WATER, system=system))
    with pytest.raises(DeviceError, match="platform Quantum cannot be used for phenol"):
        OpenMM("Quantum").of(phenol)


def test_the_net_charge_goes_to_every_program():
    anion = Xtb().of(HYDROXIDE).evaluate(HYDROXIDE.positions[None])
    assert anion.energies[0] == pytest.approx(-12291.0, abs=1.0)  # -4.6814 Hartree
    told = Ase(Charged).of(replace(WATER, charge=-2)).evaluate(WATER.positions[None])
    assert told.energies[0] == pytest.approx(-2 * 96.485, abs=0.01)


def test_unpaired_electrons_are_refused():
    with pytest.raises(MoleculeError, match=r"9 electrons at a net charge of \+0 leave one unpair"):
        Xtb().of(replace(HYDROXIDE, charge=0))


def test_an_unknown_solvent_or_method_is_one_sentence():
    with pytest.raises(MoleculeError, match="water cannot be computed with GFN2-xTB"):
        Xtb(solvent="lava").of(WATER)
    with pytest.raises(MoleculeError, match="water cannot be computed with GFN7-xTB"):
        Xtb("GFN7-xTB").of(WATER)


@pytest.fixture
def zero(monkeypatch):
    """`zero`, registered by another package."""
    point = EntryPoint("zero", f"{__name__}:Zero", names.GROUP)
    found = names.entry_points

    def entry_points(**wanted):
        return [point] if wanted.get("name") == "zero" else found(**wanted)

    monkeypatch.setattr(names, "entry_points", entry_points)


@pytest.mark.usefixtures("zero")
def test_a_potential_of_another_package_goes_by_its_name():
    settings = ["potential.name=zero", "potential.settings.level=2.5"]
    config = load_config([], settings).potential
    assert config.is_python
    assert config.identity == {"name": "zero", "settings": {"level": 2.5}}
    assert config.title("any", "None") == "zero level=2.5"
    potential = make_potential(config, WATER)
    assert potential(WATER.positions)[0] == 2.5
    assert potential.identity == {"program": "zero", "level": 2.5}
    assert potential.retries == 0
    potential.forget()  # which has nothing to forget
    assert programs(config) == {"numpy": np.__version__}
    with pytest.raises(ConfigError, match=r"potential.settings are not what zero takes \(.*depth"):
        make_method(PotentialConfig(name="zero", settings={"depth": 1}))


def test_a_name_that_nobody_registers_is_refused_with_those_there_are():
    with pytest.raises(
        ConfigError, match="is wrong: zero is none of ase, gfn1-xtb, gfn2-xtb, openff"
    ):
        load_config([], ["potential.name=zero"])


@pytest.mark.parametrize("name", ["openff", "system", "gfn2-xtb"])
def test_settings_are_for_those_that_take_them(name):
    with pytest.raises(ConfigError, match=f"settings says nothing to {name}: leave it out"):
        load_config([], [f"potential.name={name}", "potential.settings={a: 1}"])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("no_such_package:Method", "cannot be imported"),
        ("builtins:dict", r"gives a dict, which has no `of\(molecule\)`"),
    ],
)
def test_a_registration_that_leads_nowhere_is_one_sentence(monkeypatch, place, words):
    monkeypatch.setitem(names._OWN, "broken", EntryPoint("broken", place, names.GROUP))
    with pytest.raises(ConfigError, match=f"potential.name=broken {words}"):
        make_method(PotentialConfig(name="broken"))


@pytest.mark.parametrize("given", [Charged(), Charged, lambda: Charged(), f"{__name__}:Charged"])
def test_a_calculator_is_taken_as_an_object_a_callable_or_a_name(given):
    assert Ase(given).of(WATER).identity["calculator"] == f"{__name__}.Charged"
    assert Ase(given).of(WATER).identity["parameters"] == {"scale": 1.0}

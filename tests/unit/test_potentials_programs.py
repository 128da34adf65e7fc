"""Programs behind a potential: what is remembered, retried, counted and said when they fail."""

import sys
from dataclasses import replace

import numpy as np
import openmm
import pytest
from ase.calculators.calculator import Calculator, CalculatorError
from ase.calculators.emt import EMT

from kstep.config import PotentialConfig
from kstep.errors import ConfigError, DeviceError, KstepError, MoleculeError, SimulationError
from kstep.integrators.openmm_steps import recording_velocity_verlet
from kstep.integrators.platforms import make_context, resolve_platform
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.potentials import CachedPotential, PythonSystem, Xtb, forget, make_potential
from kstep.potentials.python_force import MEMORY
from kstep.potentials.single_point import NoEnergyError, SinglePoints
from kstep.potentials.systems import load_system
from kstep.potentials.xtb import MoleculeXtb
from kstep.system.molecule import Molecule

GFN2 = PotentialConfig(name="gfn2-xtb")
WATER = np.array([8, 1, 1])
BENT = np.array([[0.0, 0.0, 0.0], [0.1, 0.01, 0.0], [-0.03, 0.085, 0.02]])


def water(x=BENT, **more) -> Molecule:
    masses = np.array([15.999, 1.008, 1.008])
    return Molecule(numbers=WATER, masses=masses, positions=x, name="water", **more)


class Moody(SinglePoints):
    """A program that finds no energy when told to, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked, self.forgotten, self.moody = 0, 0, False

    @property
    def identity(self) -> dict[str, object]:
        return {"program": "moody"}

    def single_point(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        self.asked += 1
        if self.moody:
            raise NoEnergyError("it is in no mood")
        return float((x**2).sum()), -2 * x

    def forget(self) -> None:
        self.forgotten += 1


class Failing(Calculator):
    """A calculator that always raises."""

    implemented_properties = ("energy", "forces")

    def calculate(self, *arguments: object) -> None:
        raise CalculatorError("the licence has expired.\nCall us.")


class Forceless(Calculator):
    """A calculator of energies alone."""

    implemented_properties = ("energy",)

    def calculate(self, *arguments: object) -> None:
        super().calculate(*arguments)
        self.results = {"energy": 1.0}


class OfFew(Forceless):
    """A calculator that forgets atoms."""

    implemented_properties = ("energy", "forces")

    def calculate(self, *arguments: object) -> None:
        super().calculate(*arguments)
        self.results["forces"] = np.zeros((1, 3))


def in_need_of_arguments(key: str) -> Calculator:
    return Failing()


def no_calculator() -> int:
    return 3


class Stubborn:
    """A tblite Calculator whose first SCFs do not converge."""

    def __init__(self, calculator: object, failures: int) -> None:
        self._calculator, self.left, self.warm, self.settings = calculator, failures, [], {}

    def singlepoint(self, start: object = None, copy: bool = False) -> object:
        self.warm.append((start is not None, self.settings.get("max-iter", 250)))
        if self.left:
            self.left -= 1
            raise RuntimeError("SCF not converged in 250 cycles")
        return self._calculator.singlepoint(start, copy=copy)

    def set(self, name: str, value: object) -> None:
        self.settings[name] = value
        self._calculator.set(name, value)

    def update(self, x: np.ndarray) -> None:
        self._calculator.update(x)


def stubborn(failures: int) -> tuple[MoleculeXtb, Stubborn]:
    """An xTB that has found BENT once, and the next SCFs of which fail."""
    program = Xtb().of(water())
    program.single_point(BENT)
    calculator = Stubborn(program._calculator, failures)
    program._calculator = calculator
    return program, calculator


def test_the_same_positions_are_computed_once():
    program = Moody()
    potential = CachedPotential(program, "moody of water")
    first = potential(BENT)
    for _ in range(3):
        assert potential(BENT.copy()) is first
    for number in range(MEMORY - 1):
        potential(BENT + 1 + number)
    assert potential(BENT) is first
    assert program.asked == potential.evaluations == MEMORY
    potential.forget()
    potential(BENT)
    assert (program.asked, program.forgotten) == (MEMORY + 1, 1)


def test_memory_is_short():
    program = Moody()
    potential = CachedPotential(program, "moody of water")
    for number in range(MEMORY + 1):
        potential(BENT + number)
    potential(BENT)
    assert program.asked == MEMORY + 2


def test_no_energy_is_nan_counted_and_said_once(capsys):
    program = Moody()
    potential = CachedPotential(program, "moody of water")
    program.moody = True
    for number in range(3):
        energy, forces = potential(BENT + number)
        assert np.isnan(energy) and np.isnan(forces).all()
    assert potential.failures == 3
    warning = capsys.readouterr().err.strip()
    assert warning == "warning: moody of water has no energy at a geometry: it is in no mood."


def test_positions_that_are_no_numbers_are_not_computed():
    program = Moody()
    potential = CachedPotential(program, "moody of water")
    assert np.isnan(potential(np.full_like(BENT, np.nan))[0])
    assert program.asked == potential.failures == 0


def test_a_system_is_told_to_forget(phenol):
    program = Moody()
    system = PythonSystem(_empty(phenol), CachedPotential(program, "moody of phenol"))
    forget(system)
    assert program.forgotten == 1
    forget(_empty(phenol))


def _empty(molecule):
    system = openmm.System()
    for mass in molecule.masses:
        system.addParticle(mass)
    return system


@pytest.fixture
def moody(phenol):
    """True dynamics of phenol under a program that can be told to fail."""
    program = Moody()
    system = PythonSystem(_empty(phenol), CachedPotential(program, "moody of phenol"))
    context = make_context(system, recording_velocity_verlet(0.002), "Reference")
    return TrueDynamics(context, 0.002, "phenol"), program


def test_dynamics_without_energy_end_in_one_sentence(moody, phenol):
    dynamics, program = moody
    still = np.zeros_like(phenol.positions)
    dynamics.steps(phenol.positions, still, 3)
    program.moody = True
    with pytest.raises(SimulationError, match="phenol: the true dynamics left the range"):
        dynamics.more_steps(3)
    assert np.isnan(dynamics.evaluate(phenol.positions + 0.01)[1])  # the guard's to refuse


@pytest.mark.parametrize("call", ["steps", "evaluate", "motion"])
def test_an_interrupt_within_a_program_is_an_interrupt(moody, phenol, monkeypatch, call):
    def interrupt(self: Moody, x: np.ndarray) -> None:
        raise KeyboardInterrupt

    dynamics, _ = moody
    monkeypatch.setattr(Moody, "single_point", interrupt)
    still = np.zeros_like(phenol.positions)
    arguments = (phenol.positions,) if call == "evaluate" else (phenol.positions, still, 2)
    with pytest.raises(KeyboardInterrupt):
        getattr(dynamics, call)(*arguments)


def test_only_reference_runs_python_and_few_steps_time_it(phenol, monkeypatch):
    program = Moody()
    system = PythonSystem(_empty(phenol), CachedPotential(program, "moody of phenol"))
    with pytest.raises(DeviceError, match="need the OpenMM platform Reference, not CPU"):
        make_context(system, recording_velocity_verlet(0.002), "CPU")
    # A clock on which every evaluation takes 10 s: no time for more than the least.
    monkeypatch.setattr(
        "kstep.integrators.platforms.time.perf_counter", lambda: 10.0 * program.asked
    )
    platform, timing = resolve_platform("auto", system, phenol.positions, 0.002)
    assert platform == "Reference"
    assert timing.seconds.keys() == {"Reference"}
    assert timing.seconds["Reference"]["velocity_verlet"] == pytest.approx(10.0)
    assert program.asked < 15
    assert program.forgotten == 3
    with pytest.raises(DeviceError):
        resolve_platform("CPU", system, phenol.positions, 0.002)


def test_a_near_wavefunction_is_where_an_scf_starts():
    program, calculator = stubborn(0)
    far = BENT + np.array([[0, 0, 0], [0.02, 0, 0], [0, 0.02, 0]])
    program.single_point(far)
    places = program._places[:2]
    np.testing.assert_array_equal(places, [BENT, far])
    assert program._nearest(BENT + 0.001) is program._wavefunctions[0]
    assert program._nearest(far + 0.001) is program._wavefunctions[1]
    program.forget()
    program.single_point(BENT)
    assert [warm for warm, _ in calculator.warm] == [True, False]


@pytest.mark.parametrize(
    ("failures", "attempts"),
    [
        (1, [(True, 250), (False, 250)]),
        (2, [(True, 250), (False, 250), (False, 1000), (True, 250)]),
    ],
)
def test_an_scf_that_does_not_converge_is_tried_again(failures, attempts):
    program, calculator = stubborn(failures)
    x = BENT + np.array([[0, 0, 0], [0.01, 0, 0], [0, 0, 0]])
    energy, forces = program.single_point(x)
    assert calculator.warm == attempts
    assert program.retries == failures
    expected = Xtb().of(water(x)).single_point(x)
    assert energy == pytest.approx(expected[0], abs=1e-3)
    np.testing.assert_allclose(forces, expected[1], atol=0.2)
    if failures == 2:
        assert calculator.settings == {"max-iter": 250, "mixer-damping": 0.4, "temperature": 9.5e-4}


def test_an_scf_that_never_converges_is_no_energy_and_the_next_one_is_sound():
    program, _ = stubborn(3)
    potential = CachedPotential(program, "gfn2-xtb of water")
    x = BENT + 0.001 * np.arange(9).reshape(3, 3)
    assert np.isnan(potential(x)[0])
    assert potential.counts.tolist() == [1, 2, 1]
    y = x + 0.001 * np.arange(9)[::-1].reshape(3, 3)
    assert potential(y)[0] == pytest.approx(Xtb().of(water(y)).single_point(y)[0], abs=1e-3)


def test_atoms_in_one_place_have_no_energy():
    potential = CachedPotential(Xtb().of(water()), "gfn2-xtb of water")
    assert np.isnan(potential(BENT[[0, 1, 1]])[0])


def test_an_element_without_parameters_is_one_sentence():
    hydride = Molecule(
        numbers=np.array([92, 1]),
        masses=np.array([238.0, 1.0]),
        positions=BENT[:2],
        name="uranium hydride",
    )
    with pytest.raises(MoleculeError, match=r"uranium hydride cannot be computed with GFN2-xTB"):
        make_potential(GFN2, hydride)


def test_a_start_without_energy_is_one_sentence(monkeypatch):
    def refuse(self: MoleculeXtb, x: np.ndarray) -> None:
        raise NoEnergyError("SCF not converged in 250 cycles")

    monkeypatch.setattr(MoleculeXtb, "single_point", refuse)
    with pytest.raises(MoleculeError, match="water: gfn2-xtb finds no energy at its starting"):
        make_potential(GFN2, water())


@pytest.mark.parametrize(
    ("config", "missing", "extra"),
    [
        (GFN2, "tblite", "xtb"),
        (PotentialConfig(name="ase", calculator="ase.calculators.emt:EMT"), "ase", "ase"),
    ],
)
def test_a_program_that_is_not_installed_is_one_sentence(config, missing, extra, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, f"{missing}.interface", None)
    with pytest.raises(ConfigError, match=rf"needs the package {missing}.*md-kstep\[{extra}\]"):
        make_potential(config, water())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_package.module:make", "cannot be imported (No module named"),
        ("ase.calculators.emt:NoSuch", "cannot be imported (module 'ase.calculators.emt' has no"),
        (f"{__name__}:in_need_of_arguments", "could not be called without arguments (TypeError"),
        (f"{__name__}:no_calculator", "returned a int, which is no ASE calculator"),
        (f"{__name__}:Failing", "(CalculatorError: the licence has expired)"),
        (f"{__name__}:Forceless", "(PropertyNotImplementedError"),
        (f"{__name__}:OfFew", "(its numbers are not finite, or not three for each atom)"),
    ],
)
def test_a_calculator_that_cannot_be_used_is_one_sentence(path, words):
    config = PotentialConfig(name="ase", calculator=path)
    with pytest.raises(ConfigError) as caught:
        make_potential(config, water())
    sentence = str(caught.value)
    assert sentence.startswith(f"calculator {path} ")
    assert words in sentence
    assert "\n" not in sentence and sentence.endswith(".")


def test_a_calculator_that_fails_later_ends_no_run(monkeypatch, capsys):
    config = PotentialConfig(name="ase", calculator="ase.calculators.emt:EMT")
    potential = make_potential(config, water())
    monkeypatch.setattr(EMT, "calculate", Failing.calculate)
    assert np.isnan(potential(BENT + np.eye(3))[0])
    assert "the licence has expired" in capsys.readouterr().err


def test_a_molecule_is_simulated_by_the_potential_it_was_prepared_for(phenol):
    prepared = replace(phenol, manifest={**phenol.manifest, "potential": {"name": "gfn2-xtb"}})
    system = load_system(prepared, 0.5, "HBonds", "None")  # neither cutoff nor solvent apply
    assert isinstance(system, PythonSystem)
    assert [type(force) for force in system.getForces()] == [openmm.PythonForce]
    assert system.getNumConstraints() == 6
    with pytest.raises(KstepError, match="6 constraints"):
        load_system(prepared, None, "None", "None")
    assert not isinstance(load_system(phenol, 1.0, "HBonds", "OBC2"), PythonSystem)


def test_a_potential_of_another_kstep_is_one_sentence(phenol):
    foreign = replace(phenol, manifest={**phenol.manifest, "potential": {"name": "b3lyp"}})
    with pytest.raises(KstepError, match="names a potential that this kstep does not know"):
        load_system(foreign, 1.0, "HBonds", "OBC2")

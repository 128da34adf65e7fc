"""What `check_potential` says of potentials that lie: one planted fault each."""

import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from ase.calculators.calculator import Calculator

from kstep.errors import KstepError, PotentialError
from kstep.potentials import Ase, OpenMM, Xtb
from kstep.potentials.checks import check_forces
from kstep.protocols import Evaluation
from kstep.system.molecule import Molecule
from kstep.testing import check_potential

LENGTH_NM, STIFFNESS = 0.1, 3e5
BENT = np.array([[0.0, 0.0, 0.0], [0.1, 0.01, 0.0], [-0.03, 0.085, 0.02]])
WATER = Molecule(
    numbers=np.array([8, 1, 1]), masses=np.array([16.0, 1.0, 1.0]), positions=BENT, name="water"
)
PAIRS = ((0, 1), (0, 2), (1, 2))


def springs(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Every pair of atoms on a spring."""
    energy, forces = 0.0, np.zeros_like(x)
    for first, second in PAIRS:
        arm = x[first] - x[second]
        distance = float(np.linalg.norm(arm))
        energy += 0.5 * STIFFNESS * (distance - LENGTH_NM) ** 2
        pull = -STIFFNESS * (distance - LENGTH_NM) * arm / distance
        forces[first] += pull
        forces[second] -= pull
    return energy, forces


class Springs:
    """A potential without a fault."""

    @property
    def identity(self) -> dict[str, object]:
        return {"program": "springs", "stiffness": STIFFNESS}

    def single(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        return springs(x)

    def evaluate(self, x: np.ndarray) -> Evaluation:
        energies, forces = np.full(len(x), np.nan), np.full(x.shape, np.nan)
        for row in np.flatnonzero(np.isfinite(x).all(axis=(1, 2))):
            energies[row], forces[row] = self.single(x[row])
        return Evaluation(energies, forces)


def scaled(energy: float = 1.0, force: float = 1.0) -> type[Springs]:
    class Scaled(Springs):
        def single(self, x):
            u, f = springs(x)
            return energy * u, force * f

    return Scaled


class NoSlope(Springs):
    def single(self, x):
        energy, forces = springs(x)
        arm = x - x.mean(axis=0)
        return energy, forces + 2e4 * (x[:, [1, 0, 2]] - arm.mean(axis=0)) * [1, -1, 0]


class Pushed(Springs):
    def single(self, x):
        energy, forces = springs(x)
        return energy - 500.0 * x[:, 0].sum(), forces + np.array([500.0, 0.0, 0.0])


class Aligned(Springs):
    """Feels an axis in space, as in an external field that pulls on a dipole."""

    def single(self, x):
        energy, forces = springs(x)
        pull = np.zeros_like(x)
        pull[:2, 2] = [2000.0, -2000.0]
        return energy - float((pull * x).sum()), forces + pull


class Far(Springs):
    """Coarse far from the origin, as in single precision."""

    def single(self, x):
        energy, forces = springs(x)
        return energy + float(np.abs(x.mean()) > 0.3), forces


class Stale(Springs):
    def __init__(self):
        self.first = None

    def single(self, x):
        if self.first is None:
            self.first = springs(x)
        return self.first


class OnePast(Springs):
    """Gives what belongs to the geometry before."""

    def __init__(self):
        self.last = springs(BENT)

    def single(self, x):
        before, self.last = self.last, springs(x)
        return before


class Noisy(Springs):
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def single(self, x):
        energy, forces = springs(x)
        return energy + self.rng.normal(), forces


class Constant(Springs):
    def single(self, x):
        return 1.0, np.zeros_like(x)


class Mixed(Springs):
    """Adds to a replica's energy what depends on the others."""

    def evaluate(self, x):
        found = super().evaluate(x)
        return Evaluation(found.energies + len(x), found.forces)


class Ordered(Springs):
    def evaluate(self, x):
        found = super().evaluate(x)
        return Evaluation(found.energies + np.arange(len(x)), found.forces)


class Raising(Springs):
    def evaluate(self, x):
        if not np.isfinite(x).all():
            raise ValueError("not finite")
        return super().evaluate(x)


class Invented(Springs):
    def evaluate(self, x):
        found = super().evaluate(x)
        return Evaluation(np.nan_to_num(found.energies), np.nan_to_num(found.forces))


class Contagious(Springs):
    def evaluate(self, x):
        found = super().evaluate(x)
        return Evaluation(found.energies + 0.0 * found.energies.sum(), found.forces)


class Flat(Springs):
    def evaluate(self, x):
        found = super().evaluate(x)
        return Anything(found.energies, found.forces.reshape(len(x), -1))


class Nothing(Springs):
    def evaluate(self, x):
        return super().evaluate(x).energies[0]


class Single(Springs):
    def evaluate(self, x):
        found = super().evaluate(x)
        return Anything(found.energies.astype(np.float32), found.forces)


@dataclass
class Anything:
    energies: np.ndarray
    forces: np.ndarray


class Shifting(Springs):
    def evaluate(self, x):
        found = super().evaluate(x)
        x += 0.1
        return found


class Nameless(Springs):
    identity = {"weights": np.zeros(3)}  # noqa: RUF012


class Renamed(Springs):
    def __init__(self):
        self.calls = 0

    @property
    def identity(self):
        return {"calls": self.calls}

    def single(self, x):
        self.calls += 1
        return springs(x)


class Empty(Springs):
    def single(self, x):
        return float("nan"), np.full_like(x, np.nan)


def changing(change):
    class Changing(Springs):
        def single(self, x):
            change()
            return springs(x)

    return Changing


@pytest.fixture
def restored():
    """What planted faults change in the process, set back."""
    errors, dtype, threads = np.geterr(), torch.get_default_dtype(), torch.get_num_threads()
    numbers = np.random.get_state()  # noqa: NPY002
    yield
    np.seterr(**errors)
    np.random.set_state(numbers)  # noqa: NPY002
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    os.environ.pop("KSTEP_PLANTED", None)


FAULTS = [
    (scaled(force=-1.0), "gives the gradient ∂U/∂x in place of forces"),
    (scaled(force=2.0), "forces that are 2 times −∂U/∂x"),
    (scaled(energy=1 / 4.184), r"4.184 times −∂U/∂x of its energy \(kcal/mol for kJ/mol\?\)"),
    (scaled(energy=1 / 96.485332), r"\(eV for kJ/mol\?\)"),
    (scaled(force=0.1), r"\(Å for nm\?\)"),
    (NoSlope, "forces that are not the slope of its energy"),
    (Pushed, "pushes the whole molecule"),
    (Aligned, "turns the whole molecule"),
    (Far, "a molecule that is moved as a whole another energy"),
    (Stale, "does not notice that atoms have moved"),
    (Constant, "does not notice that atoms have moved"),
    (OnePast, "finds energies|other numbers beside others|after it has seen another"),
    (Noisy, "other numbers beside others|after it has seen another"),
    (Mixed, "other numbers beside others"),
    (Ordered, "in another order, than alone"),
    (Raising, "raises ValueError where a replica has no energy"),
    (Invented, r"finds energies of replicas \[0, 1, 2\]"),
    (Contagious, r"finds energies of replicas \[\]"),
    (Single, "gives energies as float32"),
    (Nothing, "gives energies of shape None"),
    (Flat, r"gives forces of shape \(2, 9\)"),
    (Shifting, "writes into the positions"),
    (Nameless, "an identity that is no JSON"),
    (Renamed, "another identity after some evaluations"),
    (Empty, "has no energy and forces 0.003 nm from"),
    (changing(lambda: np.seterr(all="ignore")), "changes NumPy's error state"),
    (changing(lambda: np.random.seed(7)), "NumPy's random numbers"),  # noqa: NPY002
    (changing(lambda: os.environ.update(KSTEP_PLANTED="1")), "changes the environment variables"),
    (changing(lambda: torch.set_default_dtype(torch.float64)), "changes torch's default dtype"),
    (changing(lambda: torch.set_num_threads(torch.get_num_threads() + 1)), "number of threads"),
]


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("faulty", "words"), FAULTS)
def test_every_fault_is_named_in_one_sentence(faulty: type[Springs], words: str) -> None:
    with pytest.raises(PotentialError, match=words) as caught:
        check_potential(faulty(), WATER)
    sentence = str(caught.value)
    assert isinstance(caught.value, KstepError)
    assert sentence.startswith("the potential of water ")
    assert sentence.endswith(".") and "\n" not in sentence


class Emt(Calculator):
    """Springs in ASE's units, eV and Å."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms, *arguments):
        super().calculate(atoms, *arguments)
        energy, forces = springs(atoms.positions * 0.1)
        self.results = {"energy": energy / 96.485332, "forces": forces / 964.85332}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "sound",
    [Springs(), Xtb(), Xtb("GFN1-xTB", solvent="water"), Ase(Emt), Ase(Emt())],
    ids=["springs", "GFN2", "GFN1 in water", "a class", "a calculator"],
)
def test_sound_potentials_pass(sound: object, seed: int) -> None:
    check_potential(sound, WATER, seed)


def test_the_molecules_own_system_passes(phenol: Molecule) -> None:
    check_potential(OpenMM(), phenol)


def test_preparation_asks_for_the_forces_alone() -> None:
    asked = []

    class Counted(Springs):
        def single(self, x):
            asked.append(x)
            return springs(x)

    check_forces(Counted(), WATER, "springs of water")
    assert len(asked) < 20
    with pytest.raises(PotentialError, match="springs of water gives the gradient"):
        check_forces(scaled(force=-1.0)(), WATER, "springs of water")

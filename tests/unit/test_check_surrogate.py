"""Every fault of a surrogate is named in one sentence."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from test_public_face import PAIR, Spring

import kstep
from kstep.errors import PotentialError
from kstep.surrogates.force_field_like.fit import FitSettings
from kstep.testing import check_surrogate

TRUE = Spring(50_000.0)


def labels_of(potential: Spring) -> kstep.Labels:
    x = PAIR.positions + np.random.default_rng(0).normal(0.0, 0.005, (20, 2, 3))
    found = potential.evaluate(x)
    return kstep.Labels(x, found.energies, found.forces)


@dataclass(frozen=True)
class SameName(Spring):
    @property
    def identity(self) -> dict[str, object]:
        return {"spring": "some"}

    def fit(self, labels: kstep.Labels) -> Spring:
        return replace(self, stiffness=super().fit(labels).stiffness)


class Unlearning(Spring):
    def fit(self, labels: kstep.Labels) -> Spring:
        return Spring(0.1 * self.stiffness)


@dataclass
class Changing:
    stiffness: float

    @property
    def identity(self) -> dict[str, object]:
        return {"spring": self.stiffness}

    def evaluate(self, x: np.ndarray) -> kstep.Evaluation:
        return Spring(self.stiffness).evaluate(x)

    def fit(self, labels: kstep.Labels) -> "Changing":
        self.stiffness = Spring(self.stiffness).fit(labels).stiffness
        return self


class Mover(Spring):
    """Moves by itself, as its forces would."""

    def verlet(self, x, v, n_steps, dt_ps):
        for _ in range(n_steps):
            v = v + 0.5 * dt_ps * self.evaluate(x).forces / 14.0
            x = x + dt_ps * v
            v = v + 0.5 * dt_ps * self.evaluate(x).forces / 14.0
        return x, v

    def energies(self, x):
        return self.evaluate(x).energies


class Sluggish(Mover):
    def verlet(self, x, v, n_steps, dt_ps):
        return super().verlet(x, 0.9 * v, n_steps, dt_ps)


class Lossy(Mover):
    def verlet(self, x, v, n_steps, dt_ps):
        x, v = super().verlet(x, v, n_steps, dt_ps)
        return x, 0.999 * v


class OtherEnergies(Mover):
    def energies(self, x):
        return super().energies(x) + 1.0


@pytest.mark.parametrize(
    ("surrogate", "complaint"),
    [
        (SameName(20_000.0), "the same identity after it has learned"),
        (Unlearning(20_000.0), "errs more after a fit"),
        (Changing(20_000.0), "changes when it is fitted"),
        (Sluggish(20_000.0), "moves the molecule otherwise than by its forces"),
        (Lossy(20_000.0), "does not come back"),
        (OtherEnergies(20_000.0), "other energies by `energies`"),
    ],
)
def test_planted_faults_are_named(surrogate: Spring, complaint: str) -> None:
    with pytest.raises(PotentialError, match=complaint):
        check_surrogate(surrogate, PAIR, labels_of(TRUE))


@pytest.mark.parametrize("surrogate", [Spring(20_000.0), Mover(20_000.0)])
def test_a_faultless_one_passes(surrogate: Spring) -> None:
    check_surrogate(surrogate, PAIR, labels_of(TRUE))


def test_those_of_kstep_pass(phenol: kstep.Molecule) -> None:
    truth = kstep.potentials.OpenMM().of(phenol)
    rng = np.random.default_rng(1)
    x = phenol.positions + rng.normal(0.0, 0.003, (40, phenol.n_atoms, 3))
    found = truth.evaluate(x)
    labels = kstep.Labels(x, found.energies, found.forces)
    check_surrogate(kstep.ClassTwo.of(phenol), phenol, labels)
    network = kstep.ForceFieldLike.shipped(phenol)
    check_surrogate(replace(network, settings=FitSettings(steps=60)), phenol, labels)

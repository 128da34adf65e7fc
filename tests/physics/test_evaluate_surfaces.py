"""The free-energy surface of two torsions against a known one."""

import numpy as np
import pytest

from evaluate_samples import make_baseline, make_molecule
from kstep.config import EvalConfig
from kstep.referee.compared import make_side
from kstep.referee.structure import surfaces
from kstep.referee.structure.coordinates import CoordinateClass
from kstep.referee.structure.observed import Observed
from kstep.referee.structure.surfaces import BINS, free_energy_surface
from kstep.units import BOLTZMANN

CONFIG = EvalConfig(bootstrap=100)


@pytest.fixture
def two_rotors(monkeypatch, tmp_path):
    """Independent torsions: the first prefers 0° by 4 kJ/mol over 180°, the second is free."""
    rng = np.random.default_rng(5)
    grid = np.linspace(-180.0, 180.0, 3601)[:-1]
    weights = np.exp(-2.0 * (1.0 - np.cos(np.radians(grid))) / (BOLTZMANN * 300.0))
    draws = rng.choice(grid, size=(8, 20000), p=weights / weights.sum())
    free = rng.uniform(-180.0, 180.0, size=(8, 20000))

    def observe(molecule, side, coordinates: CoordinateClass) -> Observed:
        first = coordinates.label == "a"
        values = draws if first else free
        return Observed([run[:, None] for run in values], None, 2.0 if first else 1.0, 0.1)

    classes = [
        CoordinateClass("dihedral", "a", np.array([[0, 1, 2, 3]])),
        CoordinateClass("dihedral", "b", np.array([[1, 2, 3, 4]])),
        CoordinateClass("dihedral", "a", np.array([[5, 1, 2, 3]])),
    ]
    monkeypatch.setattr(surfaces, "observe", observe)
    monkeypatch.setattr(surfaces, "coordinate_classes", lambda _: classes)
    sample = make_molecule(tmp_path)
    side = make_side(tmp_path / "x.npz", make_baseline(sample, n_frames=160), 300.0)
    return free_energy_surface(CONFIG, sample, side, side)


def test_the_surface_is_the_potential_it_was_drawn_from(two_rotors):
    angle = two_rotors["surface/angle"]
    exact = 2.0 * (1.0 - np.cos(np.radians(angle)))[:, None] * np.ones(BINS)
    found, error = two_rotors["surface/baseline"], two_rotors["surface/baseline_error"]
    deviation = (found - found.mean()) - (exact - exact.mean())
    assert (np.abs(deviation) / error).max() < 5.0
    # Errors cover what they should: about two thirds within one of them.
    assert 0.55 < np.mean(np.abs(deviation) < error) < 0.85
    assert str(two_rotors["surface/first"]) == "a"

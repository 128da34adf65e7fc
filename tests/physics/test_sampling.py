"""Exact sampling: whatever the surrogate is worth, the true distribution comes out."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from kstep.errors import SimulationError
from kstep.integrators.verlet import Constraints, ForceMover
from kstep.protocols import Evaluation, Labels, Surrogate
from kstep.sampling.evidence import evidence
from kstep.sampling.ladder import Ladder, Moves, geometric
from kstep.sampling.nested import NestedChain
from kstep.sampling.run import SampleSettings, reweight, sample
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

TEMPERATURE = 300.0
MIDDLE, WIDTH = 0.3, 0.05
GRID = np.linspace(0.12, 0.48, 3601)


@dataclass(frozen=True)
class Dumbbell:
    """Two atoms whose distance has two wells: h (q² − 1)² + tilt · q, q = (d − 0.3 nm)/0.05 nm.

    `missing` is the distance, nm, beyond which there is no energy; `hole` the depth of a hole
    without bottom (linear in the distance) beyond 0.44 nm, kJ/mol/nm.
    """

    height: float = 4.0
    tilt: float = 0.0
    missing: float = np.inf
    hole: float = 0.0

    @property
    def identity(self) -> dict[str, object]:
        return {"dumbbell": [self.height, self.tilt, str(self.missing), self.hole]}

    def profile(self, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energy and its slope."""
        q = (d - MIDDLE) / WIDTH
        energy = self.height * (q * q - 1.0) ** 2 + self.tilt * q
        slope = (4.0 * self.height * q * (q * q - 1.0) + self.tilt) / WIDTH
        beyond = np.clip(d - 0.44, 0.0, None)
        fallen = beyond > 0.0
        energy = np.where(fallen & (self.hole > 0.0), -self.hole * beyond, energy)
        return energy, np.where(fallen & (self.hole > 0.0), -self.hole, slope)

    def evaluate(self, x: np.ndarray) -> Evaluation:
        arm = x[:, 1] - x[:, 0]
        d = np.linalg.norm(arm, axis=1)
        energy, slope = self.profile(d)
        pull = (slope / d)[:, None] * arm
        forces = np.stack([pull, -pull], axis=1)
        lost = d > self.missing
        return Evaluation(
            np.where(lost, np.nan, energy), np.where(lost[:, None, None], np.nan, forces)
        )

    def fit(self, labels: Labels) -> Surrogate:
        return self

    def density(self, temperature: float = TEMPERATURE) -> np.ndarray:
        """Of the distance on GRID, summing to one."""
        energy, _ = self.profile(GRID)
        energy = np.where(self.missing < GRID, np.inf, energy)
        weight = GRID**2 * np.exp(-energy / (BOLTZMANN * temperature))
        return weight / weight.sum()


MOLECULE = Molecule(
    numbers=np.array([6, 6]),
    masses=np.array([12.0, 12.0]),
    positions=np.array([[0.0, 0.0, 0.0], [0.25, 0.0, 0.0]]),
    name="dumbbell",
)
SETTINGS = SampleSettings(
    chains=96,
    per_chain=160,
    spacing_ps=0.06,
    settling_ps=1.0,
    rungs=1,
    moves=Moves(jump_steps=10, friction_per_ps=5.0),
)
TRUTH = Dumbbell(height=3.0, tilt=1.5)


def distances(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x[..., 1, :] - x[..., 0, :], axis=-1)


def assert_share_beyond_the_middle(x: np.ndarray, weights: np.ndarray, truth: Dumbbell) -> None:
    """Within five standard errors over the chains, which must be small enough to tell."""
    beyond = distances(x) > MIDDLE
    shares = (weights * beyond).sum(0) / weights.sum(0)
    expected = truth.density()[GRID > MIDDLE].sum()
    error = shares.std(ddof=1) / np.sqrt(len(shares))
    assert error < 0.02
    assert abs((weights * beyond).sum() / weights.sum() - expected) < 5.0 * error


@pytest.mark.parametrize(
    "surrogate",
    [
        TRUTH,
        Dumbbell(height=1.0, tilt=-0.5),  # the wrong barrier, the wrong well
        Dumbbell(height=3.5, tilt=1.0),
        Dumbbell(height=3.0, tilt=1.0, hole=20.0),  # a hole without bottom
    ],
    ids=["the truth", "wrong", "nearly right", "with a hole"],
)
@pytest.mark.parametrize("rungs", [1, 4])
def test_the_truth_is_sampled_whatever_the_surrogate(surrogate: Dumbbell, rungs: int) -> None:
    settings = replace(SETTINGS, rungs=rungs, hottest_K=500.0)
    found = sample(MOLECULE, TRUTH, surrogate, settings=settings, show_progress=False)
    assert_share_beyond_the_middle(found.x, found.weights, TRUTH)
    np.testing.assert_allclose(found.energies, TRUTH.profile(distances(found.x))[0], atol=1e-9)
    assert found.true_calls == 96 * 161
    if surrogate is TRUTH:
        assert found.acceptance == 1.0


def test_the_surrogate_alone_would_be_wrong() -> None:
    """What the tests above could not fail by: the difference between the two is plain."""
    wrong = Dumbbell(height=1.0, tilt=-0.5)
    found = sample(MOLECULE, wrong, wrong, settings=SETTINGS, show_progress=False)
    with pytest.raises(AssertionError):
        assert_share_beyond_the_middle(found.x, found.weights, TRUTH)


def test_weights_make_the_truth_of_the_surrogates_ensemble() -> None:
    surrogate = Dumbbell(height=2.5, tilt=0.5)
    found = reweight(MOLECULE, TRUTH, surrogate, settings=SETTINGS, show_progress=False)
    assert_share_beyond_the_middle(found.x, found.weights, TRUTH)
    assert 0.5 < found.effective_fraction < 0.99
    assert found.weights.sum() == pytest.approx(1.0)


def test_where_there_is_no_true_energy_nothing_is_accepted() -> None:
    truth = replace(TRUTH, missing=0.35)
    found = sample(MOLECULE, truth, Dumbbell(3.0, 0.5), settings=SETTINGS, show_progress=False)
    assert distances(found.x).max() <= 0.35
    assert_share_beyond_the_middle(found.x, found.weights, truth)


def test_chains_that_begin_without_an_energy_leave_before_the_first_sample() -> None:
    truth = replace(TRUTH, missing=0.33)
    start = np.array([[[0.0, 0.0, 0.0], [0.35, 0.0, 0.0]]])
    settings = replace(SETTINGS, per_chain=3, settling_ps=0.02)
    found = sample(MOLECULE, truth, TRUTH, settings=settings, starts=start, show_progress=False)
    assert np.isfinite(found.energies).all()


def test_a_potential_without_any_energy_is_named() -> None:
    truth = replace(TRUTH, missing=0.0)
    with pytest.raises(SimulationError, match="dumbbell: the potential has no energy"):
        sample(MOLECULE, truth, TRUTH, settings=SETTINGS, show_progress=False)


def test_detailed_balance_by_counting() -> None:
    """As many accepted outer steps lead from the left well to the right one as back."""
    surrogate = Dumbbell(height=1.5, tilt=-0.5)
    found = sample(MOLECULE, TRUTH, surrogate, settings=SETTINGS, show_progress=False)
    right = distances(found.x) > MIDDLE
    there = int((~right[:-1] & right[1:]).sum())
    back = int((right[:-1] & ~right[1:]).sum())
    assert there + back > 500
    assert abs(there - back) <= len(right[0])  # a chain alternates


def test_a_refusal_restores_the_whole_ladder() -> None:
    rng = np.random.default_rng(0)
    constraints = Constraints(MOLECULE)
    surrogate = Dumbbell(height=1.0, tilt=-2.0)
    mover = ForceMover(surrogate, MOLECULE, constraints)
    kelvin = geometric(TEMPERATURE, 600.0, 3)
    ladder = Ladder(mover, constraints, MOLECULE.masses, kelvin, Moves(jump_steps=10), rng)
    chain = NestedChain(ladder, TRUTH, 5, rng)
    state = chain.begin(ladder.begin(np.tile(MOLECULE.positions, (8, 3, 1, 1))))
    step = chain.step(state)
    refused = ~step.accepted
    assert refused.any()
    for name in ("x", "energies", "walkers"):
        after, before = getattr(step.state.rungs, name), getattr(state.rungs, name)
        np.testing.assert_array_equal(after[refused], before[refused])
    np.testing.assert_array_equal(step.state.true[refused], state.true[refused])
    assert (step.state.rungs.x[step.accepted] != state.rungs.x[step.accepted]).any()


def test_every_rung_has_its_own_temperature() -> None:
    """The tempered surrogate alone: populations of a tilted well at each temperature."""
    rng = np.random.default_rng(1)
    constraints, surrogate = Constraints(MOLECULE), Dumbbell(height=2.0, tilt=2.0)
    mover = ForceMover(surrogate, MOLECULE, constraints)
    kelvin = geometric(300.0, 900.0, 3)
    ladder = Ladder(
        mover, constraints, MOLECULE.masses, kelvin, Moves(jump_steps=10, friction_per_ps=5.0), rng
    )
    rungs = ladder.begin(np.tile(MOLECULE.positions, (32, 3, 1, 1)))
    rungs = ladder.sweep(rungs, 50)
    kept = []
    for _ in range(300):
        rungs = ladder.sweep(rungs, 6)
        kept.append(distances(rungs.x) > MIDDLE)
    shares = np.array(kept).mean(0)  # [C, T]
    for rung, temperature in enumerate(kelvin.tolist()):
        expected = surrogate.density(temperature)[GRID > MIDDLE].sum()
        error = shares[:, rung].std(ddof=1) / np.sqrt(len(shares))
        assert abs(shares[:, rung].mean() - expected) < 5.0 * error < 0.05
    assert (ladder.tally.exchanges_accepted > 0.5 * ladder.tally.exchanges).all()


def test_equal_seeds_give_equal_samples() -> None:
    settings = replace(SETTINGS, per_chain=20)
    one, other = (
        sample(MOLECULE, TRUTH, Dumbbell(2.0), settings=settings, show_progress=False)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.energies, other.energies)


def test_velocity_verlet_by_forces_is_reversible_and_second_order(phenol: Molecule) -> None:
    """With constraints: phenol by a spring on every bond, all bonds to hydrogen rigid."""

    class Springs:
        @property
        def identity(self) -> dict[str, object]:
            return {"springs": 1}

        def evaluate(self, x: np.ndarray) -> Evaluation:
            first, second = phenol.bonds.T
            arm = x[:, second] - x[:, first]
            length = np.linalg.norm(arm, axis=-1)
            rest = np.linalg.norm(phenol.positions[second] - phenol.positions[first], axis=-1)
            excess = length - rest
            pull = (3e5 * excess / length)[..., None] * arm
            forces = np.zeros_like(x)
            for bond in range(len(first)):
                forces[:, first[bond]] += pull[:, bond]
                forces[:, second[bond]] -= pull[:, bond]
            return Evaluation(1.5e5 * (excess**2).sum(-1), forces)

        def fit(self, labels: Labels) -> Surrogate:
            return self

    constraints = Constraints(phenol)
    mover = ForceMover(Springs(), phenol, constraints)
    x = np.tile(phenol.positions, (3, 1, 1))
    x, _ = constraints.drift(x, np.zeros_like(x), 0.001)  # to the lengths exactly
    rng = np.random.default_rng(3)
    v = constraints.thermal_velocities(x, np.full(3, 300.0), rng)
    ends = {}
    for steps in (20, 40, 80):
        there, moving = mover.verlet(x, v, steps, 0.02 / steps)
        back, turned = mover.verlet(there, -moving, steps, 0.02 / steps)
        np.testing.assert_allclose(back, x, atol=1e-9)
        np.testing.assert_allclose(-turned, v, atol=1e-6)
        ends[steps] = there
    coarse, fine = (np.abs(ends[n] - ends[80]).max() for n in (20, 40))
    assert 3.0 < coarse / fine < 7.0  # (1 − 1/16)/(1/4 − 1/16) = 5 for second order
    arms = there[:, phenol.constraints[:, 0]] - there[:, phenol.constraints[:, 1]]
    lengths = np.linalg.norm(arms, axis=-1)
    np.testing.assert_allclose(lengths, np.tile(phenol.constraint_lengths, (3, 1)), rtol=1e-9)


def test_enough_samples_that_agree_are_evidence() -> None:
    surrogate = Dumbbell(2.5, 1.0)
    settings = replace(SETTINGS, chains=8, per_chain=800, spacing_ps=0.4, settling_ps=3.0)
    found = sample(MOLECULE, TRUTH, surrogate, settings=settings, show_progress=False)
    assert str(evidence(found)) == "exact by construction and converged"


def test_a_chain_stuck_in_one_basin_is_no_evidence() -> None:
    """A surrogate with a wall between the wells, each chain in the one that it began in."""
    wall = Dumbbell(height=40.0)
    starts = np.array([[[0.0, 0.0, 0.0], [0.25, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.35, 0.0, 0.0]]])
    found = sample(MOLECULE, TRUTH, wall, settings=SETTINGS, starts=starts, show_progress=False)
    assert not evidence(found).holds
    assert "observables have not converged" in str(evidence(found))


def test_a_missing_basin_shows_in_the_weights() -> None:
    """The surrogate lifts the well where the truth is at home: few samples there carry all."""
    found = reweight(
        MOLECULE, Dumbbell(3.0, -6.0), Dumbbell(3.0, 8.0), settings=SETTINGS, show_progress=False
    )
    assert not evidence(found).holds
    assert "the weights' tail is too heavy" in str(evidence(found))


def test_one_chain_is_too_few() -> None:
    settings = replace(SETTINGS, chains=1)
    found = sample(MOLECULE, TRUTH, TRUTH, settings=settings, show_progress=False)
    assert "1 chains, 4 are needed" in str(evidence(found))

"""The class-II force field: form, fit in closed form, machine code, stock forces."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest

from kstep.artifacts import hash_file
from kstep.errors import ArtifactError, KstepError
from kstep.integrators.verlet import Constraints
from kstep.protocols import Labels, Surrogate
from kstep.surrogates.class_two import ClassTwo
from kstep.surrogates.class_two.design import design, seen_in
from kstep.surrogates.class_two.functions import FAR, SERIES, Seen, walls_at
from kstep.system.molecule import Molecule
from kstep.system.symmetry import automorphism_generators
from kstep.units import BOLTZMANN

RNG_SEED = 7
FAR_FROM_REST = 0.02
"""nm: bonds stretched by fifteen percent."""


def scattered(molecule: Molecule, count: int, spread: float, seed: int = RNG_SEED) -> np.ndarray:
    """Geometries about the conformer, constraints not kept."""
    rng = np.random.default_rng(seed)
    return molecule.positions + rng.normal(0.0, spread, (count, molecule.n_atoms, 3))


def planted(molecule: Molecule, size: float = 1.0, seed: int = RNG_SEED) -> ClassTwo:
    """A force field with random parameters on top of its springs, kJ/mol."""
    fresh, rng = ClassTwo.of(molecule), np.random.default_rng(seed)
    noise = rng.normal(0.0, size, fresh.form.n_parameters)
    return replace(fresh, parameters=fresh.parameters + noise)


def labels_of(truth: ClassTwo, x: np.ndarray) -> Labels:
    found = truth.evaluate(x)
    return Labels(x, found.energies + 1234.5, found.forces)


def with_walls(force_field: ClassTwo) -> ClassTwo:
    """The same, walled in at the conformer's own values."""
    mean = force_field.seen.mean
    return replace(force_field, seen=Seen(mean, mean - 0.01, mean + 0.01))


def reference(force_field: ClassTwo, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces by NumPy."""
    form, seen = force_field.form, force_field.seen
    values, gradients = form.coordinates.measure(x)
    directions = gradients.reshape(*values.shape, -1)
    found = design(form, seen, values, directions)
    wall, wall_slopes = walls_at(values, form.coordinates, seen)
    slopes = np.einsum("p,psf->sf", force_field.parameters, found.slopes)
    slopes += np.einsum("sc,scf->sf", wall_slopes, directions)
    return force_field.parameters @ found.energies + wall, -slopes.reshape(x.shape)


def propyne() -> Molecule:
    """H3C–C≡C–H, straight: an angle at π."""
    heights = [0.0, 0.146, 0.266, 0.372]
    ring = [[0.103 * np.cos(a), 0.103 * np.sin(a), -0.036] for a in (0.0, 2.094395, 4.18879)]
    positions = np.array([[0.0, 0.0, z] for z in heights] + ring)
    return Molecule(
        numbers=np.array([6, 6, 6, 1, 1, 1, 1]),
        masses=np.array([12.011] * 3 + [1.008] * 4),
        positions=positions,
        bonds=np.array([[0, 1], [1, 2], [2, 3], [0, 4], [0, 5], [0, 6]]),
        name="propyne",
    )


def halomethanol(fourth: int) -> Molecule:
    """CHFX–OH; X = 17 makes it chiral, X = 9 does not."""
    positions = np.array(
        [[0.0, 0.0, 0.0], [0.063, 0.063, 0.063], [-0.078, -0.078, 0.078], [-0.1, 0.1, -0.1],
         [0.082, -0.082, -0.082], [0.14, -0.02, -0.13]]
    )  # fmt: skip
    return Molecule(
        numbers=np.array([6, 1, 9, fourth, 8, 1]),
        masses=np.array([12.011, 1.008, 18.998, 19.0 if fourth == 9 else 35.45, 15.999, 1.008]),
        positions=positions,
        bonds=np.array([[0, 1], [0, 2], [0, 3], [0, 4], [4, 5]]),
        name="halomethanol",
    )


def test_gradients_of_coordinates_are_those_of_differences(isobutanol: Molecule) -> None:
    coordinates = ClassTwo.of(isobutanol).form.coordinates
    x, step = scattered(isobutanol, 3, FAR_FROM_REST), 1e-6
    along = np.random.default_rng(1).normal(0.0, 1.0, x.shape)
    _, gradients = coordinates.measure(x)
    after, before = (coordinates.measure(x + sign * step * along)[0] for sign in (1.0, -1.0))
    change = (after - before + np.pi) % (2.0 * np.pi) - np.pi
    expected = np.einsum("scni,sni->sc", gradients, along)
    np.testing.assert_allclose(change / (2.0 * step), expected, atol=1e-5)


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("name", ["phenol", "isobutanol"])
def test_machine_code_agrees_with_numpy(
    name: str, walled: bool, request: pytest.FixtureRequest
) -> None:
    molecule: Molecule = request.getfixturevalue(name)
    force_field = with_walls(planted(molecule)) if walled else planted(molecule)
    x = scattered(molecule, 11, FAR_FROM_REST)
    found, (energies, forces) = force_field.evaluate(x), reference(force_field, x)
    np.testing.assert_allclose(found.energies, energies, rtol=1e-12)
    np.testing.assert_allclose(found.forces, forces, rtol=0.0, atol=1e-12 * np.abs(forces).max())
    np.testing.assert_array_equal(force_field.energies(x), found.energies)


def test_machine_code_has_the_sines_of_a_chiral_molecule() -> None:
    molecule = halomethanol(17)
    force_field, x = planted(molecule), scattered(molecule, 3, FAR_FROM_REST)
    found, (energies, forces) = force_field.evaluate(x), reference(force_field, x)
    np.testing.assert_allclose(found.energies, energies, rtol=1e-12)
    np.testing.assert_allclose(found.forces, forces, rtol=0.0, atol=1e-12 * np.abs(forces).max())


def test_forces_are_the_gradient_of_the_energy(phenol: Molecule) -> None:
    force_field, step = with_walls(planted(phenol)), 1e-6
    x = scattered(phenol, 4, 0.005)
    along = np.random.default_rng(1).normal(0.0, 1.0, x.shape)
    rise = force_field.energies(x + step * along) - force_field.energies(x - step * along)
    work = -np.einsum("sni,sni->s", force_field.evaluate(x).forces, along)
    np.testing.assert_allclose(rise / (2.0 * step), work, rtol=1e-6)


@pytest.mark.parametrize("name", ["phenol", "isobutanol"])
def test_energy_knows_neither_turns_nor_names_nor_mirrors(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Rotated, reflected, and with equal atoms exchanged: sides of a ring, methyls, hydrogens."""
    molecule: Molecule = request.getfixturevalue(name)
    force_field, x = planted(molecule), scattered(molecule, 1, 0.005)
    energy = force_field.energies(x)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    maps = automorphism_generators(molecule.numbers, molecule.bonds)
    assert len(maps) >= {"phenol": 1, "isobutanol": 4}[name]
    images = np.concatenate([x @ turn, -x, *(x[:, image] for image in maps)])
    np.testing.assert_allclose(force_field.energies(images), energy[0], rtol=1e-12)


def test_only_chiral_molecules_have_sines_alone() -> None:
    twist = [kind.name for kind in SERIES].index("twist")
    shares = [
        (ClassTwo.of(halomethanol(fourth)).form.series[:, 0] == twist).any() for fourth in (17, 9)
    ]
    assert shares == [True, False]
    force_field = planted(halomethanol(17))
    x = scattered(force_field.molecule, 1, 0.005)
    assert abs(np.diff(force_field.energies(np.concatenate([x, -x])))[0]) > 0.1


def test_what_is_planted_is_found_again(isobutanol: Molecule) -> None:
    """Energies and forces on geometries that were no labels."""
    x = scattered(isobutanol, 150, 0.008)
    planted_at_random = planted(isobutanol)
    truth = replace(planted_at_random, seen=seen_in(planted_at_random.form, x))
    fitted = truth.fit(labels_of(truth, x))
    fresh = scattered(isobutanol, 20, 0.006, seed=1)
    found, expected = fitted.evaluate(fresh), truth.evaluate(fresh)
    difference = found.energies - expected.energies
    assert difference.std() < 1e-4 * expected.energies.std()
    error = np.abs(found.forces - expected.forces).max()
    assert error < 1e-3 * np.abs(expected.forces).max()


def test_parameters_that_the_labels_decide_are_found_exactly() -> None:
    """Of water; those of the pair of hydrogens are hard to tell apart."""
    molecule = Molecule(
        numbers=np.array([8, 1, 1]),
        masses=np.array([15.999, 1.008, 1.008]),
        positions=np.array([[0.0, 0.0, 0.0], [0.096, 0.0, 0.0], [-0.024, 0.093, 0.0]]),
        bonds=np.array([[0, 1], [0, 2]]),
        name="water",
    )
    x = scattered(molecule, 200, 0.008)
    planted_at_random = planted(molecule)
    truth = replace(planted_at_random, seen=seen_in(planted_at_random.form, x))
    fitted = truth.fit(labels_of(truth, x))
    assert len(truth.parameters) == 4 + 4 + 5 + 1 + 1  # both bonds share theirs
    assert fitted.posterior is not None
    deviation = np.sqrt(np.square(fitted.posterior.root).sum(axis=1))
    decided = deviation < 1e-4
    assert decided.sum() >= 8
    found, expected = fitted.parameters, truth.parameters
    np.testing.assert_allclose(found[decided], expected[decided], atol=1e-3)


def test_noise_is_told_from_what_can_be_learned(phenol: Molecule) -> None:
    """The spread that is predicted is the one that is met, and grows where no label is."""
    truth, rng = planted(phenol), np.random.default_rng(3)
    clean = labels_of(truth, scattered(phenol, 150, 0.005))
    noise = 0.5
    labels = replace(
        clean,
        energies=clean.energies + rng.normal(0.0, noise, len(clean)),
        forces=clean.forces + rng.normal(0.0, 40.0, clean.forces.shape),
    )
    fitted = truth.fit(labels)
    near, far = scattered(phenol, 60, 0.005, seed=1), scattered(phenol, 60, 0.012, seed=1)
    predicted = fitted.uncertainty(near).energies
    error = truth.energies(near) - fitted.energies(near)
    met = np.sqrt(error.var() + noise**2)
    spread = fitted.uncertainty(near).spread(300.0)
    assert 0.6 * met < spread * BOLTZMANN * 300.0 < 1.6 * met
    assert fitted.uncertainty(near).acceptance(300.0) == pytest.approx(math.erfc(spread / 2.0))
    assert np.median(fitted.uncertainty(far).energies) > 2.0 * np.median(predicted)
    unsure = fitted.uncertainty(near).forces
    wrong = fitted.evaluate(near).forces - truth.evaluate(near).forces
    assert 0.4 < np.sqrt(np.square(wrong).mean() / np.square(unsure).mean()) < 2.0


def test_labels_of_phenol_in_openff_are_learned(phenol: Molecule) -> None:
    """A force field of another form, solvent and all: kT/10 from 100 labels on thermal states."""
    system = openmm.XmlSerializer.deserialize(phenol.system_xml.read_text())
    integrator = openmm.LangevinMiddleIntegrator(300.0, 10.0, 0.002)
    integrator.setRandomNumberSeed(5)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(phenol.positions)
    context.setVelocitiesToTemperature(300.0, 5)
    parts = []
    for _ in range(140):
        integrator.step(100)
        state = context.getState(positions=True, energy=True, forces=True)
        parts.append((
            np.array(state.getPositions(asNumpy=True)._value),
            state.getPotentialEnergy()._value,
            np.array(state.getForces(asNumpy=True)._value),
        ))  # fmt: skip
    x, energies, forces = (np.array(part) for part in zip(*parts, strict=True))
    fitted = ClassTwo.of(phenol).fit(Labels(x[:100], energies[:100], forces[:100]))
    difference = energies[100:] - fitted.energies(x[100:])
    assert difference.std() < 0.1 * BOLTZMANN * 300.0


def test_nothing_far_from_the_labels_is_a_hole(isobutanol: Molecule) -> None:
    """Walls rise above what couplings and high powers, which are bounded, can take away."""
    force_field = with_walls(planted(isobutanol, size=0.3))
    energies = force_field.energies(scattered(isobutanol, 500, 0.3))
    assert energies.min() > force_field.energies(isobutanol.positions[None])[0]


def test_a_straight_angle_has_no_singularity() -> None:
    molecule = propyne()
    force_field = planted(molecule)
    assert np.isfinite(force_field.evaluate(molecule.positions[None]).forces).all()
    bent = np.repeat(molecule.positions[None], 3, axis=0)
    bent[1, 3, 0] += 1e-7
    bent[2, 3, 0] -= 1e-7
    forces = force_field.evaluate(bent).forces
    assert np.abs(forces - forces[:1]).max() < 1e-5 * np.abs(forces).max()
    centres = force_field.form.coordinates.torsions[:, 1:3]
    assert not (centres == 2).any()  # nothing turns about a straight chain


@pytest.mark.parametrize("walled", [False, True])
@pytest.mark.parametrize("name", ["phenol", "isobutanol", "chiral"])
def test_openmm_has_the_same_energy_and_forces(
    name: str, walled: bool, request: pytest.FixtureRequest
) -> None:
    chiral = name == "chiral"
    molecule: Molecule = halomethanol(17) if chiral else request.getfixturevalue(name)
    force_field = with_walls(planted(molecule)) if walled else planted(molecule)
    system = openmm.System()
    for mass in molecule.masses:
        system.addParticle(mass)
    for force in force_field.to_openmm_forces():
        system.addForce(force)
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(again, openmm.VerletIntegrator(0.001), platform)
    x = scattered(molecule, 1, FAR_FROM_REST)
    context.setPositions(x[0])
    state = context.getState(energy=True, forces=True)
    found = force_field.evaluate(x)
    assert state.getPotentialEnergy()._value == pytest.approx(found.energies[0], rel=1e-11)
    forces = state.getForces(asNumpy=True)._value
    limit = 1e-10 * np.abs(forces).max()
    np.testing.assert_allclose(forces, found.forces[0], rtol=0.0, atol=limit)


def test_verlet_comes_back_and_keeps_energy_and_constraints(phenol: Molecule) -> None:
    force_field, constraints = ClassTwo.of(phenol), Constraints(phenol)
    assert isinstance(force_field, Surrogate)
    x = np.repeat(phenol.positions[None], 5, axis=0).astype(np.float64)
    rng = np.random.default_rng(1)
    v = constraints.thermal_velocities(x, np.full(5, 300.0), rng)
    x, v = force_field.verlet(x, v, 1, 1e-6)  # onto the constraints

    def energy(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return force_field.energies(x) + 0.5 * np.einsum("rni,rni,n->r", v, v, phenol.masses)

    landed, moving = force_field.verlet(x, v, 200, 0.0005)
    np.testing.assert_allclose(energy(landed, moving), energy(x, v), atol=0.3)
    back, _ = force_field.verlet(landed, -moving, 200, 0.0005)
    np.testing.assert_allclose(back, x, atol=1e-9)


def test_a_file_brings_back_everything(phenol: Molecule, tmp_path: Path) -> None:
    truth = planted(phenol)
    labels = labels_of(truth, scattered(phenol, 40, 0.005))
    fitted = truth.fit(labels)
    for name, saved in (("fresh.npz", truth), ("fitted.npz", fitted)):
        saved.save(tmp_path / name)
        loaded = ClassTwo.load(tmp_path / name, phenol)
        x = scattered(phenol, 2, 0.005, seed=2)
        assert loaded.identity == saved.identity
        np.testing.assert_array_equal(loaded.evaluate(x).forces, saved.evaluate(x).forces)
        found, expected = loaded.uncertainty(x).energies, saved.uncertainty(x).energies
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    truth.fit(labels).save(tmp_path / "again.npz")
    assert hash_file(tmp_path / "again.npz") == hash_file(tmp_path / "fitted.npz")
    assert np.isinf(truth.uncertainty(scattered(phenol, 1, 0.0)).energies).all()
    assert (truth.seen.high == FAR).all()


def test_a_file_of_another_molecule_is_refused(
    phenol: Molecule, isobutanol: Molecule, tmp_path: Path
) -> None:
    ClassTwo.of(phenol).save(tmp_path / "phenol.npz")
    with pytest.raises(ArtifactError, match="another molecule"):
        ClassTwo.load(tmp_path / "phenol.npz", isobutanol)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "phenol.npz").read_bytes()[:500])
    with pytest.raises(ArtifactError, match="truncated"):
        ClassTwo.load(tmp_path / "cut.npz", phenol)


def test_labels_without_numbers_are_refused(phenol: Molecule) -> None:
    truth = planted(phenol)
    labels = labels_of(truth, scattered(phenol, 5, 0.005))
    holed = replace(labels, energies=np.where(np.arange(5) == 2, np.nan, labels.energies))
    for bad in (holed, Labels(labels.x[:1], labels.energies[:1], labels.forces[:1])):
        with pytest.raises(KstepError, match=r"phenol.*leave out"):
            truth.fit(bad)

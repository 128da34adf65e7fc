"""The referee accepts the faultless, condemns known faults, and admits when it cannot tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate_samples import (
    DT_PS,
    MASSES,
    POSITIONS,
    make_baseline,
    make_hybrid,
    make_molecule,
    make_motion,
    make_run,
    make_trajectory_of,
)
from kstep.config import EvalConfig
from kstep.errors import ArtifactError
from kstep.referee.claims.checks import (
    CLAIMS,
    DYNAMICS,
    ENERGY,
    ENSEMBLE,
    EQUIPARTITION,
    MECHANICS,
    STRUCTURE,
    TEMPERATURE,
    adjudicate,
)
from kstep.referee.compared import make_side
from kstep.referee.metrics import Check, Metrics, Outcome, load_metrics
from kstep.referee.physics.energy import compare_energies
from kstep.referee.physics.temperature import atomic_kinetic_energies, compare_temperatures
from kstep.referee.structure.coordinates import as_mdtraj, coordinate_classes, values
from kstep.referee.structure.distributions import compare_structures
from kstep.system.motion import motion_of
from kstep.system.trajectory import Trajectory
from kstep.units import BOLTZMANN
from kstep.workflow import evaluate


@pytest.fixture
def molecule(tmp_path):
    return make_molecule(tmp_path)


def judged(tmp_path, molecule, hybrid: Trajectory, *options: str, motion=None, **base) -> Metrics:
    config = make_run(
        tmp_path, make_baseline(molecule, **base), hybrid, molecule, *options, motion=motion
    )
    return load_metrics(evaluate.run(config, [molecule]))


def outcomes(metrics: Metrics) -> dict[str, Outcome]:
    return {c.name: c.outcome for c in metrics.molecules[0].verdict.claims}


def rejected(metrics: Metrics) -> set[str]:
    return {name for name, outcome in outcomes(metrics).items() if outcome is Outcome.REJECTED}


def checks(metrics: Metrics, claim: str) -> list[Check]:
    return next(c.checks for c in metrics.molecules[0].verdict.claims if c.name == claim)


def residual_outcome(molecule, baseline: Trajectory, candidate: Trajectory) -> Outcome:
    """What the check of constrained bonds says, all others left aside."""
    sides = [make_side(Path("x.npz"), one, 300.0) for one in (baseline, candidate)]
    _, _, measured = compare_energies(EvalConfig(), molecule, *sides)
    bonds = [one for one in measured if "constrained bond" in one.label]
    return adjudicate(bonds)[0].outcome


@pytest.mark.parametrize("seed", [2, 3])
def test_an_independent_baseline_is_accepted(tmp_path, molecule, seed):
    full = {"temperatures": (300.0, 350.0), "n_frames": 96000, "n_windows": 12}
    metrics = judged(tmp_path, molecule, make_hybrid(molecule, seed, **full), **full)
    assert outcomes(metrics) == dict.fromkeys(CLAIMS, Outcome.ACCEPTED)
    assert metrics.outcome is Outcome.ACCEPTED
    coordinates = metrics.molecules[0].structure.coordinates
    # By chance some exceed the floor and some stay below it.
    assert min(entry.excess for entry in coordinates) < 0.0
    assert max(entry.excess for entry in coordinates) < 0.002
    assert metrics.sentence.startswith("The hybrid is accepted on sample (1 of 1 molecules)")
    assert "4 times slower" in metrics.sentence


def test_velocities_half_a_percent_too_fast_are_rejected(tmp_path, molecule):
    """Far inside the margin of the temperature; what gives it away is the energy's slope."""
    fair = make_hybrid(molecule)
    motion = make_motion(12, 9, velocity_scale=1.005)
    found = judged(tmp_path, molecule, replace(fair, vel=1.005 * fair.vel), motion=motion)
    assert ENERGY in rejected(found)
    slope = found.molecules[0].energy.candidate.kinetic_slope
    assert slope is not None
    assert slope.value == pytest.approx(0.01, rel=0.05)
    assert TEMPERATURE not in rejected(found)


def test_a_thermostat_ten_degrees_too_warm_is_rejected(tmp_path, molecule):
    found = judged(tmp_path, molecule, make_hybrid(molecule, actual=(310.0,)))
    assert TEMPERATURE in rejected(found)
    assert checks(found, TEMPERATURE)[0].label == "mean temperature in NVT"
    assert "the temperature is wrong" in found.molecules[0].verdict.sentence


def test_bonds_five_percent_too_stiff_are_rejected(tmp_path, molecule):
    motion = make_motion(12, 9, stretch_scale=1.05)
    found = judged(tmp_path, molecule, make_hybrid(molecule, stretch_scale=1.05), motion=motion)
    assert DYNAMICS in rejected(found)
    assert "band" in checks(found, DYNAMICS)[0].label


def test_one_cold_element_is_rejected_though_the_whole_is_right(tmp_path, molecule):
    """Equipartition broken at the right total: hydrogen cold, the rest warm."""
    fair = make_hybrid(molecule)
    energies = atomic_kinetic_energies(fair).mean(axis=0)
    hydrogen = molecule.numbers == 1
    warm = (energies.sum() - 0.5 * energies[hydrogen].sum()) / energies[~hydrogen].sum()
    scale = np.where(hydrogen, np.sqrt(0.5), np.sqrt(warm))[:, None]
    found = judged(tmp_path, molecule, replace(fair, vel=scale * fair.vel))
    mean = next(c for c in checks(found, TEMPERATURE) if c.label == "mean temperature in NVT")
    assert abs(mean.deviation.value) < mean.margin
    assert EQUIPARTITION in rejected(found)
    assert "kinetic energy of H in NVT" in {c.label for c in checks(found, EQUIPARTITION)[:4]}


def test_a_stretched_bond_is_rejected(tmp_path, molecule):
    fair = make_hybrid(molecule)
    arm = fair.pos[:, 3] - fair.pos[:, 2]
    stretched = fair.pos.copy()
    stretched[:, 3] += 0.05 * arm
    found = judged(tmp_path, molecule, replace(fair, pos=stretched))
    assert rejected(found) == {STRUCTURE}
    assert "O3–C4" in checks(found, STRUCTURE)[0].label
    bond = next(c for c in found.molecules[0].structure.coordinates if c.label == "O3–C4")
    assert bond.mean is not None
    assert bond.mean.candidate == pytest.approx(1.05 * bond.mean.baseline, rel=5e-3)


def test_noise_in_positions_is_rejected(tmp_path, molecule):
    fair = make_hybrid(molecule)
    noise = 0.001 * np.random.default_rng(0).standard_normal(fair.pos.shape)
    found = judged(tmp_path, molecule, replace(fair, pos=fair.pos + noise))
    assert STRUCTURE in rejected(found)


def test_potential_energies_of_the_wrong_ensemble_are_rejected(tmp_path, molecule):
    two = {"temperatures": (300.0, 350.0)}
    false = make_hybrid(molecule, actual=(300.0, 330.0), **two)
    found = judged(tmp_path, molecule, false, **two)
    assert ENSEMBLE in rejected(found)
    assert ENSEMBLE not in outcomes(judged(tmp_path / "one", molecule, make_hybrid(molecule)))


def test_spinning_up_in_nve_is_rejected(tmp_path, molecule):
    fair = make_hybrid(molecule)
    spin = 0.2 * fair.times[:, None] * np.array([0.0, 0.0, 1.0])
    arms = fair.pos - (MASSES @ POSITIONS) / MASSES.sum()
    in_nve = (fair.segment_kind[fair.segment] == 1)[:, None, None]
    turning = np.where(in_nve, np.cross(spin[:, None, :], arms), 0.0)
    found = judged(tmp_path, molecule, replace(fair, vel=fair.vel + turning))
    assert MECHANICS in rejected(found)
    assert "angular momentum" in checks(found, MECHANICS)[0].label


def test_drifting_energy_is_rejected(tmp_path, molecule):
    found = judged(tmp_path, molecule, make_hybrid(molecule, drift=0.02))
    energy = found.molecules[0].energy
    assert energy.candidate.median_drift == pytest.approx(0.004, rel=1e-2)
    assert energy.baseline.median_drift == pytest.approx(0.0, abs=1e-5)
    assert ENERGY in rejected(found)
    drifting = {c.label for c in checks(found, ENERGY) if c.outcome is Outcome.REJECTED}
    assert drifting >= {"typical size of the drift in NVE", "mean drift in NVE"}


def test_short_runs_decide_nothing_and_say_how_much_more_would(tmp_path, molecule):
    short = {"n_frames": 320, "n_windows": 2}
    found = judged(tmp_path, molecule, make_hybrid(molecule, **short), **short)
    assert found.outcome is Outcome.UNDECIDED
    assert outcomes(found)[ENERGY] is Outcome.UNDECIDED
    warm = next(c for c in checks(found, TEMPERATURE) if c.outcome is Outcome.UNDECIDED)
    assert warm.more_ns is not None
    claims = {claim.name: claim for claim in found.molecules[0].verdict.claims}
    assert "ns more of both would" in claims[TEMPERATURE].sentence
    # No length of the same kind of run would tell the drift: there are too few windows.
    assert claims[ENERGY].more_ns is None
    assert "ns more" not in found.molecules[0].verdict.sentence
    assert found.sentence.startswith("There is not enough data")


@pytest.mark.parametrize("left_out", ["motion", "windows"])
def test_what_was_not_measured_is_not_accepted(tmp_path, molecule, left_out):
    full = {"n_frames": 4000, "n_windows": 0 if left_out == "windows" else 8}
    config = make_run(
        tmp_path, make_baseline(molecule, **full), make_hybrid(molecule, **full), molecule
    )
    if left_out == "motion":
        motion_of(config.paths.run / "hybrid" / "sample.npz").unlink()
    found = outcomes(load_metrics(evaluate.run(config, [molecule])))
    open_claims = {"motion": (ENERGY, DYNAMICS), "windows": (ENERGY, MECHANICS)}[left_out]
    assert [found[claim] for claim in open_claims] == [Outcome.UNDECIDED] * 2


def test_coordinates_rounded_in_their_file_are_not_blamed(tmp_path, isobutanol):
    """XTC keeps 0.001 nm, which moves constrained bonds by more than any integrator does."""
    base = make_trajectory_of(isobutanol, 1)
    rounded = replace(base, pos=base.pos.round(3))
    assert residual_outcome(isobutanol, base, rounded) is Outcome.REJECTED
    told = replace(rounded, record={**rounded.record, "position_error_nm": 0.0005})
    assert residual_outcome(isobutanol, base, told) is Outcome.ACCEPTED


def test_single_precision_far_from_the_origin_is_not_blamed(isobutanol):
    """A molecule that diffused 129 nm has its bonds to hydrogen some 1e-4 off in any DCD."""
    base = make_trajectory_of(isobutanol, 1)
    far = (base.pos + np.array([129.0, -90.0, 40.0])).astype(np.float32).astype(np.float64)
    moved = replace(base, pos=far)
    assert residual_outcome(isobutanol, base, moved) is Outcome.REJECTED
    error = float(np.spacing(np.float32(130.0))) / 2.0
    told = replace(moved, record={**moved.record, "position_error_nm": error})
    assert residual_outcome(isobutanol, base, told) is Outcome.ACCEPTED
    bent = replace(told, pos=told.pos * 1.002)
    assert residual_outcome(isobutanol, base, bent) is Outcome.REJECTED


def test_the_referee_itself_loses_nothing_far_from_the_origin(isobutanol):
    base = make_trajectory_of(isobutanol, 1)
    near, far = (as_mdtraj(isobutanol, base.pos + shift) for shift in (0.0, 1e5))
    kinds = [one for one in coordinate_classes(isobutanol) if one.kind == "bond"]
    for one in kinds:
        np.testing.assert_allclose(values(far, one), values(near, one), atol=1e-6)


def test_heavier_hydrogens_change_rates_not_averages(tmp_path, molecule):
    """A control with repartitioned masses is not blamed for slower hydrogens."""
    baseline, heavy = make_baseline(molecule), make_hybrid(molecule)
    scale = np.sqrt(np.where(MASSES < 2.0, 3.0, 1.0))
    masses = MASSES * scale**2
    slow = replace(heavy, masses=masses, vel=heavy.vel / scale[:, None])
    sides = [make_side(Path("x.npz"), one, 300.0) for one in (baseline, slow)]
    _, _, structure = compare_structures(EvalConfig(), molecule, *sides)
    assert not any("effective frequency" in one.label for one in structure)
    shares, _, _ = compare_temperatures(EvalConfig(), molecule, *sides)
    assert {share.kind for share in shares.shares} == {"mode"}


def test_motion_of_another_molecule_is_refused(tmp_path, molecule):
    config = make_run(
        tmp_path, make_baseline(molecule, n_frames=160), make_hybrid(molecule, n_frames=160),
        molecule,
    )  # fmt: skip
    path = motion_of(config.paths.run / "hybrid" / "sample.npz")
    foreign = make_motion(3, 9)
    replace(foreign, record={**foreign.record, "fingerprint": "other"}).save(path)
    with pytest.raises(ArtifactError, match=r"not of the molecule of sample\.npz"):
        evaluate.run(config, [molecule])


def test_temperature_is_blind_to_the_motion_of_the_centre(tmp_path, molecule):
    fair = make_hybrid(molecule, n_frames=400)
    flying = replace(fair, vel=fair.vel + np.array([5.0, 0.0, 0.0]))
    rest = judged(tmp_path / "a", molecule, fair).molecules[0].temperature
    moved = judged(tmp_path / "b", molecule, flying).molecules[0].temperature
    assert moved.mean_K.candidate.value == pytest.approx(rest.mean_K.candidate.value)
    assert rest.degrees_of_freedom == 3 * 5 - 3
    expected = 0.5 * rest.degrees_of_freedom * BOLTZMANN * rest.mean_K.candidate.value
    for kind in ("element", "mode"):
        parts = [share for share in rest.shares if share.kind == kind]
        total = sum(share.size * share.kinetic_energy.candidate.value for share in parts)
        assert total == pytest.approx(expected, rel=1e-6)


def test_only_the_baseline_at_the_hybrids_temperature_is_compared(tmp_path, molecule):
    hot_first = {"temperatures": (380.0, 300.0)}
    found = judged(tmp_path, molecule, make_hybrid(molecule, n_windows=0), **hot_first)
    temperature = found.molecules[0].temperature
    assert temperature is not None
    assert temperature.mean_K.baseline.value == pytest.approx(300.0, rel=0.02)


def test_without_velocities_structure_alone_is_judged(tmp_path, molecule):
    fair = make_hybrid(molecule)
    nothing = np.full_like(fair.vel, np.nan)
    still = replace(
        fair, vel=nothing, ekin=nothing[:, 0, 0], etot=nothing[:, 0, 0],
        record={**fair.record, "velocities": False},
    )  # fmt: skip
    config = make_run(tmp_path, make_baseline(molecule), still, molecule)
    motion_of(config.paths.run / "hybrid" / "sample.npz").unlink()
    found = load_metrics(evaluate.run(config, [molecule]))
    assert outcomes(found)[STRUCTURE] is not Outcome.REJECTED
    for claim in (ENERGY, TEMPERATURE, EQUIPARTITION):
        assert outcomes(found)[claim] is Outcome.UNDECIDED
    assert found.molecules[0].temperature is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt_ps": 0.001}, r"base step \(ps\) of 0.001 and .* one of 0.002"),
        ({"fingerprint": "other"}, "another preparation of sample"),
        ({"temperatures_K": [310.0]}, "of 310 K, which .* does not hold"),
    ],
)
def test_mismatched_trajectories_are_refused(tmp_path, molecule, change, message):
    hybrid = make_hybrid(molecule, n_frames=100)
    foreign = replace(hybrid, record={**hybrid.record, **change})
    with pytest.raises(ArtifactError, match=message):
        judged(tmp_path, molecule, foreign)
    assert DT_PS == 0.002


def test_other_atoms_nan_and_short_runs_are_refused(tmp_path, molecule):
    hybrid = make_hybrid(molecule, n_frames=100)
    other = replace(hybrid, numbers=np.array([6, 6, 7, 6, 1]))
    with pytest.raises(ArtifactError, match="atoms that are not those of sample"):
        judged(tmp_path, molecule, other)
    broken = hybrid.etot.copy()
    broken[7] = np.nan
    with pytest.raises(ArtifactError, match="total energies that are not finite"):
        judged(tmp_path, molecule, replace(hybrid, etot=broken))
    holes = hybrid.pos.copy()
    holes[3, 1, 2] = np.nan
    with pytest.raises(ArtifactError, match="pos that are not finite"):
        judged(tmp_path, molecule, replace(hybrid, pos=holes))
    with pytest.raises(ArtifactError, match="too short to be scored: 8 constant-temperature"):
        judged(tmp_path, molecule, make_hybrid(molecule, n_frames=8))

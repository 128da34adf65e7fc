"""The referee accepts the faultless, condemns known faults, and admits when it cannot tell."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate_samples import (
    DT_PS,
    make_baseline,
    make_hybrid,
    make_molecule,
    make_run,
    make_trajectory,
)
from kstep import evaluate
from kstep.errors import ArtifactError
from kstep.evaluate.acceptance import judge_divergence, judge_structure
from kstep.evaluate.metrics import Divergence, Metrics, Outcome, Pair, StructureMetrics
from kstep.evaluate.temperature import atomic_kinetic_energies
from kstep.trajectory import Trajectory
from kstep.units import BOLTZMANN

ENERGY, TEMPERATURE, EQUIPARTITION, STRUCTURE = range(4)


@pytest.fixture
def molecule(tmp_path):
    return make_molecule(tmp_path)


def judged(tmp_path, molecule, hybrid: Trajectory, *options: str, **baseline) -> Metrics:
    config = make_run(tmp_path, make_baseline(molecule, **baseline), hybrid, molecule, *options)
    return evaluate.load_metrics(evaluate.run(config, [molecule]))


def outcomes(metrics: Metrics) -> list[Outcome]:
    return [claim.outcome for claim in metrics.molecules[0].verdict.claims]


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_an_independent_baseline_is_accepted(tmp_path, molecule, seed):
    metrics = judged(tmp_path, molecule, make_hybrid(molecule, seed))
    assert outcomes(metrics) == [Outcome.ACCEPTED] * 4
    assert metrics.outcome is Outcome.ACCEPTED
    coordinates = metrics.molecules[0].structure.coordinates
    # By chance some exceed the floor and some stay below it.
    assert min(entry.excess for entry in coordinates) < 0.0
    assert max(entry.excess for entry in coordinates) < 0.002
    assert metrics.sentence.startswith("The hybrid is accepted on sample (1 of 1 molecules)")
    assert "4 times slower" in metrics.sentence


def test_scaled_velocities_are_rejected(tmp_path, molecule):
    fair = make_hybrid(molecule)
    found = judged(tmp_path, molecule, replace(fair, vel=1.08 * fair.vel))
    assert outcomes(found)[TEMPERATURE] is Outcome.REJECTED
    assert found.outcome is Outcome.REJECTED
    assert "350 K" in found.molecules[0].verdict.sentence


def test_one_cold_element_is_rejected_though_the_whole_is_right(tmp_path, molecule):
    """Equipartition broken at the right total: hydrogen cold, the rest warm."""
    fair = make_hybrid(molecule)
    energies = atomic_kinetic_energies(fair).mean(axis=0)
    hydrogen = molecule.numbers == 1
    warm = (energies.sum() - 0.5 * energies[hydrogen].sum()) / energies[~hydrogen].sum()
    scale = np.where(hydrogen, np.sqrt(0.5), np.sqrt(warm))[:, None]
    found = judged(tmp_path, molecule, replace(fair, vel=scale * fair.vel))
    assert outcomes(found)[TEMPERATURE] is Outcome.ACCEPTED
    assert outcomes(found)[EQUIPARTITION] is Outcome.REJECTED
    assert "kinetic energy of H" in found.molecules[0].verdict.sentence


def test_a_stretched_bond_is_rejected(tmp_path, molecule):
    fair = make_hybrid(molecule)
    arm = fair.pos[:, 3] - fair.pos[:, 2]
    stretched = fair.pos.copy()
    stretched[:, 3] += 0.05 * arm
    found = judged(tmp_path, molecule, replace(fair, pos=stretched))
    assert outcomes(found) == [*[Outcome.ACCEPTED] * 3, Outcome.REJECTED]
    worst = found.molecules[0].structure.coordinates[0]
    assert (worst.kind, worst.label) == ("bond", "O3–C4")
    assert worst.mean is not None
    assert worst.mean.hybrid == pytest.approx(1.05 * worst.mean.baseline, rel=5e-3)
    assert "the bond O3–C4" in found.molecules[0].verdict.sentence


def test_drifting_energy_is_rejected(tmp_path, molecule):
    found = judged(tmp_path, molecule, make_hybrid(molecule, drift=0.02))
    energy = found.molecules[0].energy
    assert energy.hybrid.median_drift == pytest.approx(0.004, rel=1e-2)
    assert energy.baseline.median_drift == pytest.approx(0.0, abs=1e-5)
    assert outcomes(found)[ENERGY] is Outcome.REJECTED
    assert "drifts by 0.004" in found.molecules[0].verdict.sentence


def test_short_runs_decide_nothing(tmp_path, molecule):
    found = judged(tmp_path, molecule, make_hybrid(molecule, n_frames=60, n_windows=2), n_frames=60)
    assert found.outcome is Outcome.UNDECIDED
    assert outcomes(found)[ENERGY] is Outcome.UNDECIDED
    assert "2 NVE windows" in found.molecules[0].verdict.sentence
    assert found.sentence.startswith("There is not enough data")


def test_a_bad_baseline_condemns_nobody(tmp_path, molecule):
    found = judged(tmp_path, molecule, make_hybrid(molecule), temperature=350.0, drift=0.02)
    assert outcomes(found)[TEMPERATURE] is Outcome.UNDECIDED
    assert "the baseline itself" in found.molecules[0].verdict.claims[TEMPERATURE].sentence


def divergence(kind: str, js: float, crossings: tuple[float, float] | None = None) -> Divergence:
    return Divergence(
        label="x", kind=kind, members=1, mean=None, kl=js, js=js, noise=0.01, noise_95=0.02,
        excess=js - 0.01, crossings=crossings and Pair[float](
            baseline=crossings[0], hybrid=crossings[1]
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "js", "crossings", "expected"),
    [
        ("bond", 0.05, None, Outcome.ACCEPTED),
        ("bond", 0.065, None, Outcome.UNDECIDED),
        ("bond", 0.3, None, Outcome.REJECTED),
        ("dihedral", 0.3, (0.0, 3.0), Outcome.UNDECIDED),
        ("dihedral", 0.3, (50.0, 0.0), Outcome.REJECTED),
        ("dihedral", 0.3, (0.0, 50.0), Outcome.REJECTED),
        ("dihedral", 0.3, None, Outcome.REJECTED),
    ],
)
def test_rare_torsions_are_not_held_against_the_hybrid(kind, js, crossings, expected):
    assert judge_divergence(divergence(kind, js, crossings), 0.05, False) is expected


def test_distances_follow_rare_torsions():
    rare, distance = divergence("dihedral", 0.3, (1.0, 1.0)), divergence("distance", 0.3)
    structure = StructureMetrics(coordinates=[rare, distance], fixed_bonds=0, blocks=10)
    claim = judge_structure(structure, 0.05)
    assert claim.outcome is Outcome.UNDECIDED
    assert "crossed too rarely" in claim.sentence
    alone = StructureMetrics(coordinates=[distance], fixed_bonds=0, blocks=10)
    assert judge_structure(alone, 0.05).outcome is Outcome.REJECTED


def test_noise_larger_than_the_margin_accepts_nothing():
    loud = divergence("bond", 0.03).model_copy(update={"noise_95": 0.2})
    assert judge_divergence(loud, 0.05, False) is Outcome.UNDECIDED


def test_temperature_is_blind_to_the_motion_of_the_centre(tmp_path, molecule):
    fair = make_hybrid(molecule, n_frames=400)
    flying = replace(fair, vel=fair.vel + np.array([5.0, 0.0, 0.0]))
    rest = judged(tmp_path / "a", molecule, fair).molecules[0].temperature
    moved = judged(tmp_path / "b", molecule, flying).molecules[0].temperature
    assert moved.mean_K.hybrid.value == pytest.approx(rest.mean_K.hybrid.value)
    assert rest.degrees_of_freedom == 3 * 5 - 3
    total = sum(e.n_atoms * e.kinetic_energy.hybrid.value for e in rest.elements)
    expected = 0.5 * rest.degrees_of_freedom * BOLTZMANN * rest.mean_K.hybrid.value
    assert total == pytest.approx(expected)


def test_only_the_baseline_at_the_hybrids_temperature_is_compared(tmp_path, molecule):
    parts = [make_baseline(molecule, 1), make_trajectory(molecule, 5, temperature=380.0)]
    first, second = parts
    joined = replace(
        first,
        **{
            name: np.concatenate([getattr(second, name), getattr(first, name)])
            for name in ("pos", "vel", "box", "epot", "ekin", "etot", "times", "force_calls")
        },
        segment=np.concatenate([second.segment, first.segment + 7]),
        # The windows of 380 K go first here, so the kinds say which segments are sampling.
        segment_kind=np.concatenate([second.segment_kind, first.segment_kind]),
        record={**first.record, "temperatures_K": [380.0, 300.0]},
    )
    config = make_run(tmp_path, joined, make_hybrid(molecule), molecule)
    found = evaluate.load_metrics(evaluate.run(config, [molecule])).molecules[0].temperature
    assert found.mean_K.baseline.value == pytest.approx(300.0, rel=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt_ps": 0.001}, "base step of 0.001 ps and .* one of 0.002 ps"),
        ({"fingerprint": "other"}, "another preparation of sample"),
        ({"temperature_K": 310.0}, "run at 310 K, which .* does not hold"),
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
    with pytest.raises(ArtifactError, match="too short to be scored: 19 constant-temperature"):
        judged(tmp_path, molecule, make_hybrid(molecule, n_frames=19))

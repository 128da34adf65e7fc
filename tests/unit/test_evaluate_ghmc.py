"""Sampling by Metropolis tests is judged on its averages, and its pages say so."""

import json
from dataclasses import replace

import pytest

from evaluate_samples import make_baseline, make_hybrid, make_molecule, make_motion, make_run
from kstep.referee.claims.checks import DYNAMICS, ENERGY, MECHANICS, STRUCTURE, TEMPERATURE
from kstep.referee.metrics import Outcome, load_metrics
from kstep.referee.report.chapter import chapter
from kstep.workflow import evaluate

TRIED = {"ensemble": "ghmc", "acceptance": 0.625, "proposals": 8000, "acceptances": 5000}


def scored(folder, baseline=1.0, control=None, **record):
    """A run whose NVE windows drift and vibrate at wrong frequencies; its averages are right.

    `baseline` and `control` scale the stiffness of bonds in what it may be judged against.
    """
    molecule = make_molecule(folder)
    hybrid = make_hybrid(molecule, drift=1.0)
    hybrid = replace(hybrid, record={**hybrid.record, **record})
    motion = make_motion(12, 9, stretch_scale=1.3)
    reference = make_baseline(molecule, stretch_scale=baseline)
    config = make_run(folder, reference, hybrid, molecule, motion=motion)
    if control is not None:
        path = config.paths.data / "controls" / molecule.name / "half_fs.npz"
        make_baseline(molecule, 3, stretch_scale=control).save(path)
        path.with_suffix(".timing.json").write_text(json.dumps({"s_per_ps": 0.2}))
    return load_metrics(evaluate.run(config, [molecule])).molecules[0]


def words(metrics) -> str:
    """What the report says of the molecule beside its figures."""
    told = chapter(metrics, {}, {})
    cells = [
        cell for s in told.sections for table in s.tables for row in table.rows for cell in row
    ]
    return "\n".join([told.subtitle, *told.absent, *cells])


def structure(metrics) -> Outcome:
    return next(c.outcome for c in metrics.verdict.claims if c.name == STRUCTURE)


def test_averages_are_judged_and_motion_is_not(tmp_path):
    metrics = scored(tmp_path, **TRIED)
    asked = {claim.name for claim in metrics.verdict.claims}
    assert asked >= {TEMPERATURE, STRUCTURE, MECHANICS}
    assert not asked & {ENERGY, DYNAMICS}
    assert metrics.verdict.outcome is not Outcome.REJECTED
    labels = [check.label for claim in metrics.verdict.claims for check in claim.checks]
    assert "largest error of a constrained bond" in labels
    assert not any("NVE" in label or "band" in label or "rate of" in label for label in labels)
    assert metrics.energy.candidate.median_drift is not None  # shown all the same
    assert metrics.acceptance == 0.625
    assert metrics.cost.rejected_share == pytest.approx((200 + 3000) / 10000)
    page = words(metrics)
    assert "GHMC, 62.5% of the jumps accepted" in page
    assert "turn the velocities round" in page
    assert "\n62.50\n" in page


def test_the_same_run_as_dynamics_is_rejected(tmp_path):
    metrics = scored(tmp_path)
    wrong = {c.name for c in metrics.verdict.claims if c.outcome is Outcome.REJECTED}
    assert {ENERGY, DYNAMICS} <= wrong
    assert metrics.acceptance is None
    assert metrics.cost.rejected_share == pytest.approx(0.02)
    assert "turn the velocities round" not in words(metrics)


def test_structure_is_held_against_the_limit_of_small_steps(tmp_path):
    """A baseline's bonds are wider by what its base step does; exact sampling is not to blame."""
    (tmp_path / "with").mkdir()
    metrics = scored(tmp_path / "with", baseline=0.8, control=1.0, **TRIED)
    assert metrics.judged_against == "the limit of small steps"
    assert structure(metrics) is not Outcome.REJECTED
    page = words(metrics)
    assert "judged against the limit of small steps" in page
    assert "whose base step widens stiff bonds" not in page
    wrong = scored(tmp_path / "wrong", control=0.8, **TRIED)
    assert structure(wrong) is Outcome.REJECTED


def test_without_controls_the_page_says_what_it_was_held_against(tmp_path):
    metrics = scored(tmp_path, baseline=0.8, **TRIED)
    assert metrics.judged_against == "baseline"
    assert structure(metrics) is Outcome.REJECTED
    assert "whose base step widens stiff bonds" in words(metrics)

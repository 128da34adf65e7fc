"""Lights, tables and the moving picture say what the metrics say."""

import base64

import numpy as np
import pytest

from kstep.referee.metrics import Check, Estimate, Outcome
from kstep.referee.report.lights import basin_light, clock_sentence, cost_lights, overall_lights
from kstep.referee.report.reading import sentence
from kstep.referee.report.tables import check_tables, claims_table, methods_table
from kstep.referee.report.tables.form import interval, spread, tone
from kstep.referee.report.viewer import view_of
from report_curves import bare_curves, full_curves
from report_samples import BARE, bare_molecule, full_molecule, sample_metrics


@pytest.fixture(scope="module")
def full():
    return full_molecule()


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    from kstep.config import load_config

    return sample_metrics(load_config([], []), "00")


def test_lights_have_words_and_the_worst_molecule_decides(metrics):
    lights = {light.name: light for light in overall_lights(metrics)}
    assert lights["energy is conserved"].state == "bad"
    assert lights["energy is conserved"].sentence.startswith(f"1 of 2 molecules, such as {BARE}")
    assert lights["structure is right"].word == "not enough data"
    assert lights["temperature is right"].state == "good"
    assert lights["fewer force calls"].state == "good"
    assert lights["faster on the clock"].word == "no"
    assert {light.sign for light in lights.values()} <= {"✓", "?", "✗"}


def test_a_faster_candidate_is_called_faster(full):
    quick = full.cost.model_copy(update={"wall_ratio": 2.5})
    assert clock_sentence([quick], "hybrid").startswith("The hybrid is 2.5 times faster")
    never = full.cost.model_copy(update={"break_even_s": None})
    assert "never break even" in clock_sentence([never], "hybrid")
    assert cost_lights([quick, full.cost], "hybrid")[1].word == "in part"


def test_savings_that_training_eats_up_are_no_savings(full):
    eaten = full.cost.model_copy(update={"shown_saving": 0.4, "saving_with_training": 0.4})
    light = cost_lights([eaten], "hybrid")[0]
    assert (light.state, light.word) == ("bad", "no")
    assert "0.4 with the training's" in light.sentence


def test_a_rigid_molecule_proves_nothing_about_basins(full):
    basin = full.basin
    assert basin_light(basin, "hybrid").state == "good"
    rigid = basin_light(basin.model_copy(update={"trivial": True}), "hybrid")
    assert (rigid.state, rigid.word) == ("plain", "does not apply")
    lost = basin.sides.candidate.model_copy(update={"median_force_calls": None})
    sides = basin.sides.model_copy(update={"candidate": lost})
    assert basin_light(basin.model_copy(update={"sides": sides}), "hybrid").state == "open"


def test_checks_keep_their_order_units_and_number():
    claim = bare_molecule().verdict.claims[1]
    shown, rest = check_tables(claim)
    assert len(shown.rows) + len(rest.rows) == len(claim.checks) == 30
    labels = [row[0].removesuffix("†") for row in shown.rows + rest.rows]
    assert labels == [check.label for check in claim.checks]
    assert shown.rows[0][1].endswith(" nats")
    assert shown.rows[0][4] == "? not enough data"
    assert (shown.headings[5], shown.rows[1][5]) == ("ns more", "1.6")
    assert shown.rows[0][0].endswith("†")
    assert "too insensitive to acquit" in shown.caption
    relative = Check(
        label="x", unit="", deviation=Estimate(value=0.02, low=0.01, high=0.03), margin=0.05,
        p_beyond=0.5, outcome=Outcome.ACCEPTED, needed=True, more_ns=None,
    )  # fmt: skip
    table, others = check_tables(claim.model_copy(update={"checks": [relative]}))
    assert others is None
    assert len(table.headings) == 5
    assert table.rows[0][1:3] == ["+2 (+1\u00a0…\u00a0+3)\u00a0%", "±\u00a05\u00a0%"]


def test_open_claims_say_how_much_data_they_lack(metrics):
    table = claims_table(metrics)
    row = dict(zip(table.headings, table.rows[0], strict=True))
    assert row["verdict"] == "✗ rejected"
    assert row["structure is right"] == "? 3.2 ns more"
    assert row["motion is right"] == "?"
    assert row["temperature is right"] == "–"


def test_cells_have_the_tone_of_their_sign_and_no_other():
    assert [tone(cell) for cell in ("✓ accepted", "✗", "? 3 ns more")] == ["good", "bad", "open"]
    assert [tone(cell) for cell in ("", "–", "?what", "0.3")] == ["", "", "", ""]


def test_numbers_keep_their_intervals():
    lopsided = Estimate(value=2.0, low=1.0, high=5.0)
    assert interval(lopsided, ".1f") == "2.0 (1.0\u00a0…\u00a05.0)"
    assert spread(lopsided, "+.1f", 100.0) == "+200.0\u00a0±\u00a0200.0"
    assert interval(None, ".1f") == spread(None, ".1f") == "–"


def test_the_reference_has_no_errors_and_no_verdict(full):
    rows = {row[0]: row for row in methods_table(full.methods).rows}
    assert rows["plain MD, 0.5 fs"][-1] == "reference"
    assert rows["plain MD, 0.5 fs"][4] == "–"
    assert rows["LangevinMiddle, 4 fs, H 1.5 Da"][-1] == "✗ rejected"
    assert rows["hybrid, k = 8"][4] == "+0.60\u00a0/\u00a0+0.84"


def test_the_moving_picture_holds_both_trajectories(full):
    curves = full_curves([], "torsion", [])
    view = view_of(full, curves)
    assert (view.names, view.frames) == (["baseline", "hybrid"], 60)
    scale = view.data["scale"]
    sides = [
        np.frombuffer(base64.b64decode(text), dtype="<i2").reshape(60, 13, 3) * scale
        for text in view.data["sides"]
    ]
    originals = [curves["view/baseline"], curves["view/candidate"]]
    gaps = [frames[:, :, None] - frames[:, None] for frames in (*sides, *originals)]
    ours, theirs, *expected = (np.linalg.norm(gap, axis=-1) for gap in gaps)
    np.testing.assert_allclose([ours, theirs], expected, atol=5e-5)
    np.testing.assert_allclose(  # turned alike
        np.linalg.norm(sides[0] - sides[1], axis=-1),
        np.linalg.norm(originals[0] - originals[1], axis=-1), atol=5e-5,
    )  # fmt: skip
    spread_along = sides[0][0].std(axis=0)
    assert spread_along[0] > spread_along[1] > spread_along[2]
    handed = [np.linalg.det(f[0, :3] - f[0, 3]) for f in (sides[0], originals[0])]
    assert np.sign(handed[0]) == np.sign(handed[1])
    assert view_of(full, bare_curves()) is None


def test_clauses_become_sentences():
    assert sentence("in NVE it drifts") == "In NVE it drifts."
    assert sentence("The end.") == "The end."
    assert sentence("") == ""

"""The stage: files, resumption, refusals, the schema of metrics.json and the summary table."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate_samples import make_baseline, make_hybrid, make_molecule, make_run
from kstep.artifacts import read_npz
from kstep.errors import ArtifactError
from kstep.referee.claims.acceptance import ACCEPTANCE_VERSION
from kstep.referee.claims.summary import summary_table
from kstep.referee.metrics import Metrics, MoleculeMetrics, describe_metrics, load_metrics
from kstep.workflow import evaluate
from kstep.workflow import evaluate as stage


@pytest.fixture
def scored(tmp_path):
    molecule = make_molecule(tmp_path)
    hybrid = make_hybrid(molecule, n_frames=400, n_windows=4)
    config = make_run(tmp_path, make_baseline(molecule, n_frames=400), hybrid, molecule)
    return config, molecule, evaluate.run(config, [molecule])


def test_metrics_survive_a_round_trip(scored):
    _, _, path = scored
    content = json.loads(path.read_text())
    assert (content["schema"], content["schema_version"]) == ("kstep.metrics", 3)
    metrics = load_metrics(path)
    assert metrics.model_dump(mode="json", by_alias=True) == content
    assert metrics.acceptance_version == ACCEPTANCE_VERSION
    assert str(path.parent.parent) not in path.read_text()


def test_every_field_is_described(scored):
    _, _, path = scored
    described = describe_metrics()
    documented = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert described in documented.read_text(), "write docs/metrics.md again"
    for model in (Metrics, MoleculeMetrics):
        for name, field in model.model_fields.items():
            assert field.description
            assert (field.alias or name) in described
    assert "molecules[].basin.sides.candidate.median_force_calls" in described
    schema = json.loads(path.with_name("metrics.schema.json").read_text())
    assert schema["properties"]["schema"]["const"] == "kstep.metrics"


def test_curves_hold_what_the_figures_need(scored):
    _, _, path = scored
    curves, _ = read_npz(stage.curves_of(path), "kstep.curves", 2, ())
    edges = curves["sample/bond/O3–C4/edges"]
    for side in ("baseline", "candidate"):
        assert np.sum(curves[f"sample/bond/O3–C4/{side}"] * np.diff(edges)) == pytest.approx(1.0)
        assert np.ptp(curves[f"sample/energy/{side}/trace/2/times"]) > 99.0
        assert curves[f"sample/energy/{side}/trace/2/energy"][0] == 0.0


def test_basin_and_cost_are_scored(scored):
    metrics = load_metrics(scored[2]).molecules[0]
    assert metrics.basin is not None
    assert metrics.cost is not None
    assert not metrics.basin.trivial
    sides = metrics.basin.sides
    assert sides.baseline.reached_share == sides.candidate.reached_share == 1.0
    assert sides.baseline.median_force_calls == 3500.0
    assert sides.candidate.median_force_calls == 2625.0
    # 0.05 s/ps for the baseline's 7 ps, 0.2 s/ps for the hybrid's 5.25 ps.
    assert sides.baseline.median_wall_s == pytest.approx(0.35)
    assert sides.candidate.median_wall_s == pytest.approx(1.05)


def test_finished_work_is_not_done_again(scored, monkeypatch):
    config, molecule, path = scored
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise AssertionError("scored again")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "score", fail)
        assert evaluate.run(config, [molecule]) == path
        patch.setattr(stage, "ACCEPTANCE_VERSION", 0)
        with pytest.raises(AssertionError, match="scored again"):
            evaluate.run(config, [molecule])
    assert path.read_bytes() == before


def test_equal_inputs_give_equal_bytes(scored):
    config, molecule, path = scored
    curves = stage.curves_of(path)
    before = path.read_bytes(), curves.read_bytes()
    path.unlink()
    evaluate.run(config, [molecule])
    assert (path.read_bytes(), curves.read_bytes()) == before


def test_changed_inputs_are_scored_again(scored):
    config, molecule, path = scored
    before = load_metrics(path)
    hybrid = make_hybrid(molecule, seed=9, n_frames=400, n_windows=4)
    hybrid.save(config.paths.run / "hybrid" / "sample.npz")
    evaluate.run(config, [molecule])
    after = load_metrics(path)
    assert after.source_hashes["hybrid/sample.npz"] != before.source_hashes["hybrid/sample.npz"]
    assert after.source_hashes["md/sample.npz"] == before.source_hashes["md/sample.npz"]
    assert after.molecules != before.molecules


def test_molecules_without_a_side_are_named(scored, tmp_path, capsys):
    config, molecule, _ = scored
    lonely = make_molecule(tmp_path, "lonely")
    metrics = load_metrics(evaluate.run(config, [molecule, lonely]))
    assert metrics.missing == ["lonely"]
    assert [found.name for found in metrics.molecules] == ["sample"]
    assert "lonely is not scored: " in capsys.readouterr().err
    with pytest.raises(ArtifactError, match="no molecule has both"):
        evaluate.run(config, [lonely])


def test_without_timing_and_basins_those_are_null(scored):
    config, molecule, _ = scored
    folder = config.paths.run / "hybrid"
    for path in folder.glob("*.basin_*"):
        path.unlink()
    assert load_metrics(evaluate.run(config, [molecule])).molecules[0].basin is None
    (folder / "sample.timing.json").unlink()
    metrics = load_metrics(evaluate.run(config, [molecule]))
    assert metrics.molecules[0].cost is None
    assert "its cost was not measured" in metrics.sentence
    assert "–" in summary_table(metrics)


def test_half_a_basin_comparison_is_refused(scored):
    config, molecule, _ = scored
    (config.paths.run / "hybrid" / "sample.basin_hybrid.npz").unlink()
    with pytest.raises(ArtifactError, match=r"sample\.basin_hybrid\.npz is missing"):
        evaluate.run(config, [molecule])


def test_foreign_metrics_are_refused(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"schema": "kstep.metrics", "schema_version": 7}')
    with pytest.raises(ArtifactError, match="not a metrics file of this kstep"):
        load_metrics(path)


def test_the_table_is_compact_and_aligned(scored):
    _, _, path = scored
    metrics = load_metrics(path)
    long_name = metrics.molecules[0].model_copy(update={"name": "a" * 40})
    table = summary_table(metrics.model_copy(update={"molecules": [*metrics.molecules, long_name]}))
    lines = table.splitlines()[:5]
    assert max(map(len, lines)) <= 110
    column = lines[1].index("verdict")
    assert [line[column - 2 : column] for line in (lines[1], *lines[3:])] == ["  "] * 3
    assert "0.25×" in lines[3]
    assert "7.5×" in lines[3]
    assert table.splitlines()[-1] == metrics.sentence


def test_a_record_without_counts_is_refused(scored):
    config, molecule, _ = scored
    hybrid = make_hybrid(molecule, n_frames=400, n_windows=4)
    record = {key: value for key, value in hybrid.record.items() if key != "macro_steps"}
    replace(hybrid, record=record).save(config.paths.run / "hybrid" / "sample.npz")
    with pytest.raises(ArtifactError, match="does not say its macro_steps"):
        evaluate.run(config, [molecule])

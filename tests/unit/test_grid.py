"""The ablation: its order, when it stops, and its table. The stages themselves are stand-ins."""

import json

import pytest

from kstep.artifacts import write_json
from kstep.config import load_config
from kstep.errors import ConfigError
from kstep.referee.metrics import (
    Check,
    Claim,
    CostMetrics,
    Metrics,
    MoleculeMetrics,
    Outcome,
    Verdict,
)
from kstep.workflow.grid import stage
from kstep.workflow.grid.stage import run
from kstep.workflow.grid.table import largest_accepted
from kstep.workflow.grid.trials import Trial, trials_of
from regressed import PROPAGATOR

ACCEPTED, REJECTED = Outcome.ACCEPTED, Outcome.REJECTED


def metrics_of(outcome: Outcome) -> Metrics:
    """Metrics of one molecule that hold no more than the table reads: three checks, one decides."""
    checks = [Check.model_construct(outcome=o) for o in (ACCEPTED, ACCEPTED, outcome)]
    molecule = MoleculeMetrics.model_construct(
        name="phenol",
        cost=CostMetrics.model_construct(counted_saving=8.0, wall_ratio=0.1),
        verdict=Verdict.model_construct(
            outcome=outcome, claims=[Claim.model_construct(checks=checks)]
        ),
    )
    return Metrics.model_construct(outcome=outcome, molecules=[molecule])


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """Runs the grid with verdicts and rollouts decided by the test; gives the trials made."""

    def play(verdicts, growth=1.0, overrides=()):
        config = load_config([PROPAGATOR], [f"paths.run={tmp_path}", *overrides])
        made = []

        def train(own, dataset, splits):
            name = own.paths.run.name
            made.append((name, own))
            assert dataset.name == f"dataset_k{own.train.k_steps}.npz"
            scores = {"val_seen": {"rel_dx": 0.01, "rel_dv": 0.02}}
            rollout = {"val_seen": [1e-3, 1e-3, growth * 1e-3]}
            record = {"scores": scores, "rollout_rmsd_nm": rollout}
            write_json(own.paths.run / "train" / "record.json", record)
            return own.paths.run / "train" / "best.ckpt"

        monkeypatch.setattr(stage.train, "run", train)
        monkeypatch.setattr(stage.hybrid, "run", lambda *_: [])
        monkeypatch.setattr(stage.evaluate, "run", lambda own, _: own.paths.run)
        monkeypatch.setattr(
            stage, "load_metrics", lambda path: metrics_of(verdicts(trial_of(path.name)))
        )
        table = run(config, [])
        return made, table

    return play


def trial_of(name: str) -> tuple[int, bool]:
    return int(name.split("-")[0][1:]), "auto" in name


def test_the_order_is_the_plans(grid):
    made, _ = grid(lambda _: ACCEPTED)
    assert [name for name, _ in made] == [
        "k4-cap0.01", "k4-auto", "k8-cap0.02", "k8-auto",
        "k12-cap0.03", "k12-auto", "k16-cap0.04", "k16-auto",
    ]  # fmt: skip


def test_a_larger_k_waits_for_a_smaller_one_to_be_accepted(grid):
    made, table = grid(lambda trial: ACCEPTED if trial[0] == 4 else REJECTED)
    assert made[-1][0] == "k8-auto"
    assert (
        "| accepted, 3 of 3 | rejected, 2 of 3 (1) | rejected, 2 of 3 (1) | 4 |"
        in table.read_text()
    )


def test_one_accepted_cap_is_enough_to_go_on(grid):
    made, _ = grid(lambda trial: ACCEPTED if trial[1] else REJECTED)
    assert made[-1][0] == "k16-auto"


def test_it_can_be_told_not_to_stop(grid):
    made, _ = grid(lambda _: REJECTED, overrides=["grid.stop_when_rejected=false"])
    assert len(made) == 8


def test_the_force_head_is_tried_when_rollouts_drift(grid):
    made, _ = grid(lambda _: ACCEPTED, growth=4.0)
    names = [name for name, _ in made]
    assert names[4] == "k8-auto-force"
    own = made[4][1]
    assert own.model.use_force_head
    assert own.train.lambda_force == 0.1
    assert names.count("k8-auto-force") == 1


def test_windows_of_every_stride_are_asked_for_first(grid):
    with pytest.raises(ConfigError, match="needs windows of k = 4, 12, 16 too"):
        grid(lambda _: ACCEPTED, overrides=["dataset.k_steps=[8]"])


def test_a_splitting_is_trained_once_for_every_k(grid):
    """With the windows of one k alone."""
    trained, _ = grid(
        lambda _: ACCEPTED,
        overrides=["model.arch=splitting", "train.landing=closing_kick",
                   "hybrid.corrector=closing_kick", "dataset.k_steps=[8]", "train.k_steps=8"],
    )  # fmt: skip
    assert [(name, own.train.k_steps) for name, own in trained] == [("grid", 8)] * 4
    assert trained[0][1].model_dump() == trained[3][1].model_dump()


def test_a_network_that_is_there_is_not_trained(grid, monkeypatch):
    asked = []
    monkeypatch.setattr(stage, "networks_for", lambda own, _: asked.append(own.train.k_steps))
    trained, table = grid(
        lambda _: ACCEPTED,
        overrides=["hybrid.network=shipped", "grid.caps=[auto]", "grid.k_steps=[8,16]"],
    )
    assert not trained
    assert asked == [8, 16]
    assert "| k16-auto | 16 | auto | no | – | – |" in table.read_text()


def test_each_trial_has_the_planned_settings():
    config = load_config([PROPAGATOR])
    four, eight = Trial(4, 0.01).configure(config), Trial(8, 0.02).configure(config)
    assert (four.train.k_steps, four.model.max_disp_nm, four.train.lambda_com) == (4, 0.01, 0.0)
    assert (four.stride, eight.stride) == (4, 8)
    assert Trial(4096, "auto").configure(load_config([], ["hybrid.k_steps=16"])).stride == 4096
    assert eight.train.lambda_com == config.train.lambda_com > 0
    assert not eight.model.use_force_head
    only_auto = load_config([PROPAGATOR], ["grid.caps=[auto]"])
    assert [trial.cap for trial in trials_of(16, only_auto)] == ["auto"]
    assert len(trials_of(16, config)) == 2
    assert trials_of(16, load_config()) == [Trial(16, "auto")]  # a splitting has no caps


def test_the_table_is_rewritten_after_each_trial_and_readable_by_programs(grid):
    _, table = grid(lambda trial: ACCEPTED if trial[0] <= 8 else REJECTED)
    content = json.loads(table.with_suffix(".json").read_text())
    assert content["largest_accepted_k"] == {"phenol": 8}
    found = {trial: verdict["outcome"] for trial, verdict in content["verdicts"]["phenol"].items()}
    for trial in content["trials"]:
        assert found.pop(trial["trial"]) == ("accepted" if trial["k"] <= 8 else "rejected")
    assert not found
    (line,) = (line for line in table.read_text().splitlines() if line.startswith("| phenol |"))
    assert line.count("accepted, 3 of 3") == 4
    assert line.count("rejected, 2 of 3 (1)") == 2
    assert line.endswith("| 8 |")
    assert len(content["trials"]) == 6
    rows = [line for line in table.read_text().splitlines() if line.startswith("| k")]
    assert len(rows) == 6
    assert largest_accepted([]) == {}

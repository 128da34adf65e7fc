"""Adapting by labelled states: what is labelled, learned, counted, and taken up again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kstep.adaptation import exploring, forces
from kstep.adaptation.beginnings import start_model
from kstep.adaptation.exploring import explore
from kstep.artifacts import read_npz
from kstep.config import load_config
from kstep.errors import ArtifactError, ConfigError, SimulationError
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.regressed.learned import load_learned_jump
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.training.objective import relative_error
from kstep.regressed.training.specialist import (
    LabelledStates,
    OneMolecule,
    disagreement,
    force_error,
)
from kstep.system.mechanics import centre_of_mass
from kstep.workflow import adapt
from kstep.workflow.networks import adaptation_folder, networks_for

SETTINGS = (
    "adapt.labels=[20,30]", "adapt.max_minutes=0.1", "adapt.replicas=2",
    "adapt.start_from=fresh", "hybrid.temperature_K=300", "hybrid.platform=Reference",
    "train.k_steps=8", "model.hidden_channels=16",
)  # fmt: skip


def configure(folder: Path, *more: str):
    return load_config([], [f"paths.run={folder}", f"paths.data={folder}", *SETTINGS, *more])


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, phenol):
    config = configure(tmp_path_factory.mktemp("adapt"))
    return config, adapt.run(config, [phenol])[0]


def record_of(config, phenol) -> dict:
    return json.loads((adaptation_folder(config, phenol) / "record.json").read_text())


def test_errors_on_states_not_yet_learned_from_fall(adapted, phenol) -> None:
    config, _ = adapted
    rounds = record_of(config, phenol)["rounds"]
    assert [entry["labels"] for entry in rounds] == [0, 20, 50]
    errors = [entry["force_error"] for entry in rounds]
    assert errors[0] > 2.0 * errors[-1]


def test_every_true_call_is_on_the_bill(adapted, phenol) -> None:
    config, _ = adapted
    record = record_of(config, phenol)
    assert record["calls"] == {"labels": 50, "trial": 2 * forces.TRIED}
    assert record["force_calls"] == 50 + 2 * forces.TRIED
    network = networks_for(config.model_copy(update={"hybrid": config.hybrid.model_copy(
        update={"network": "adapted"})}), [phenol])["phenol"]  # fmt: skip
    assert network.training_calls == record["force_calls"]


def test_labels_are_the_true_forces(adapted, phenol, make_dynamics) -> None:
    config, _ = adapted
    path = adaptation_folder(config, phenol) / "labels" / "round_1.npz"
    arrays, _ = read_npz(path, forces.SCHEMA, 1, forces.ARRAYS)
    assert arrays["x"].shape == (30, phenol.n_atoms, 3)
    assert np.abs(centre_of_mass(arrays["x"].astype(float), phenol.masses)).max() < 1e-6
    expected, _ = make_dynamics(phenol).evaluate(arrays["x"][7].astype(np.float64))
    np.testing.assert_allclose(arrays["forces"][7], expected, atol=2e-4 * np.abs(expected).max())


def test_what_comes_out_is_a_jump_for_the_molecule(adapted, phenol) -> None:
    config, path = adapted
    physics = load_jump(path).physics
    assert physics.fingerprints == {"phenol": phenol.fingerprint}
    assert physics.potential == "openff-2.2.1 in OBC2"
    jump = load_learned_jump(path, phenol, 16, config.md.dt_ps, "closing_kick")
    assert jump.k_steps == 16


def test_a_finished_adaptation_is_not_repeated(adapted, phenol, monkeypatch) -> None:
    config, path = adapted
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(TrueDynamics, "evaluate", lambda *_: pytest.fail("again"))
    assert adapt.run(config, [phenol]) == [path]
    assert path.stat().st_mtime_ns == before


def test_other_settings_are_refused(adapted, phenol) -> None:
    config, _ = adapted
    with pytest.raises(ArtifactError, match="belongs to an adaptation with other settings"):
        adapt.run(configure(config.paths.run, "adapt.candidates=2"), [phenol])
    with pytest.raises(ArtifactError, match="belongs to an adaptation with other settings"):
        adapt.run(configure(config.paths.run, "md.nonbonded_cutoff_nm=0.6"), [phenol])


def test_what_was_done_before_a_kill_is_not_done_again(phenol, tmp_path, monkeypatch) -> None:
    """Killed while it labels the second round: the first round's labels and network stay."""
    config = configure(tmp_path, "adapt.max_minutes=0.03")
    calls, true = [0], TrueDynamics.evaluate

    def evaluate(self, x):
        calls[0] += 1
        if calls[0] == 25:
            raise KeyboardInterrupt
        return true(self, x)

    monkeypatch.setattr(TrueDynamics, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        adapt.run(config, [phenol])
    folder = adaptation_folder(config, phenol)
    first = [folder / "labels" / "round_0.npz", folder / "train" / "round_0.ckpt"]
    before = [path.stat().st_mtime_ns for path in first]
    minutes = json.loads((folder / "timing.json").read_text())["minutes"]
    adapt.run(config, [phenol])
    assert [path.stat().st_mtime_ns for path in first] == before
    assert calls[0] == 25 + 30 + 2 * forces.TRIED
    assert json.loads((folder / "timing.json").read_text())["minutes"] > minutes


def test_those_in_doubt_are_labelled(phenol, tmp_path, monkeypatch) -> None:
    config = configure(tmp_path)
    own = forces.Adaptation(config, phenol, {}, tmp_path)
    networks = [
        start_model(config, phenol),
        start_model(configure(tmp_path, "train.seed=3"), phenol),
    ]
    found = explore(networks[0], phenol, own.dynamics, 300.0, 120, 4, np.random.default_rng(0))
    monkeypatch.setattr(own, "explored", lambda *_: found)
    chosen = own.chosen(1, networks)
    assert len(chosen) == 30
    centred = found - centre_of_mass(found, phenol.masses)[:, None]
    doubt = disagreement(*networks, own.tensors, centred.astype(np.float32))
    rows = [int(np.flatnonzero((found == x).all((1, 2)))[0]) for x in chosen]
    assert set(rows) == set(np.argsort(-doubt)[:30].tolist())


def test_exploring_costs_no_true_call(phenol, tmp_path) -> None:
    own = forces.Adaptation(configure(tmp_path), phenol, {}, tmp_path)
    x = explore(
        start_model(configure(tmp_path), phenol), phenol, own.dynamics, 300.0, 50, 4,
        np.random.default_rng(1),
    )  # fmt: skip
    assert own.dynamics.calls == 0
    assert x.shape == (50, phenol.n_atoms, 3)
    lengths = np.linalg.norm(
        x[:, phenol.constraints[:, 0]] - x[:, phenol.constraints[:, 1]], axis=-1
    )
    assert np.ptp(lengths, axis=0).max() < 1e-8
    assert x.std(0).max() > 0.005


def test_what_falls_into_a_hole_goes_back_to_the_conformer(phenol, tmp_path, monkeypatch) -> None:
    """One replica is torn apart by its jumps, faster and faster; the others are left alone."""

    def torn(model, molecule):
        def jump(x, v, forces):
            x, v = x.copy(), v.copy()
            v[0] *= 1.5
            x[0] += 0.016 * v[0]
            return x, v

        return jump

    monkeypatch.setattr(exploring, "learned_jump", torn)
    config = configure(tmp_path)
    own = forces.Adaptation(config, phenol, {}, tmp_path)
    found = explore(
        start_model(config, phenol), phenol, own.dynamics, 300.0, 60, 2, np.random.default_rng(1)
    )
    start = own.dynamics.constrain_positions(phenol.positions)
    assert np.abs(found[0::2] - start).max() < 1.0
    assert np.isfinite(found).all()
    assert np.array_equal(found[1], start)


def test_labels_without_energy_teach_nothing(phenol) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, phenol.n_atoms, 3)).astype(np.float32)
    f = rng.normal(size=x.shape).astype(np.float32)
    f[3], f[5] = np.nan, 100.0 * f[5]
    assert len(forces.sensible(LabelledStates(x, f), "phenol")) == 18
    with pytest.raises(SimulationError, match="phenol: the potential has no energy"):
        forces.sensible(LabelledStates(x, np.full_like(f, np.nan)), "phenol")


def test_the_error_does_not_depend_on_how_states_are_grouped(phenol, tmp_path) -> None:
    model = start_model(configure(tmp_path), phenol)
    tensors = OneMolecule.of(phenol.numbers, phenol.masses, phenol.terms)
    rng = np.random.default_rng(0)
    x = (phenol.positions + rng.normal(0, 0.002, (70, phenol.n_atoms, 3))).astype(np.float32)
    states = LabelledStates(x, rng.normal(0.0, 500.0, x.shape).astype(np.float32))
    twice = states.joined(states)
    assert force_error(model, tensors, twice) == pytest.approx(
        force_error(model, tensors, states), rel=1e-3
    )
    assert disagreement(model, model, tensors, x).max() == 0.0


def test_a_network_that_learns_to_feel_strains_begins_with_the_forces_it_had(
    tmp_path, phenol
) -> None:
    shipped = ("adapt.start_from=shipped", "model.hidden_channels=48")
    before = start_model(configure(tmp_path, *shipped), phenol)
    grown = start_model(configure(tmp_path, *shipped, "model.strains=true"), phenol)
    assert grown.config.strains
    assert not before.config.strains
    tensors = OneMolecule.of(phenol.numbers, phenol.masses, phenol.terms)
    x = phenol.positions + np.random.default_rng(0).normal(0, 0.003, (5, phenol.n_atoms, 3))
    assert disagreement(before, grown, tensors, x.astype(np.float32)).max() < 1e-2
    states = LabelledStates(x.astype(np.float32), np.ones_like(x, np.float32))
    loss = relative_error(
        tensors.known_to(grown.requires_grad_(True)), *states.tensors(np.array([0, 3]))
    )
    loss.backward()
    assert grown.learned.nonbonded.strain.weight.grad.abs().max() > 0.0


def test_fresh_weights_are_for_learned_potentials(tmp_path, phenol) -> None:
    config = configure(tmp_path, "model.kicks=direct")
    with pytest.raises(ConfigError, match=r"fresh is for model.arch splitting with conservative"):
        start_model(config, phenol)


def test_the_same_seed_gives_the_same_weights(tmp_path, phenol) -> None:
    one, other = (start_model(configure(tmp_path), phenol).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)

"""Adapting a network: its own states, true bursts, further training, an honest bill."""

import json
from pathlib import Path

import pytest

from kstep.artifacts import hash_file, read_npz
from kstep.config import load_config
from kstep.errors import ArtifactError, ConfigError
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.training.beginnings import inherited_physics, require_same_network
from kstep.surrogates.shipped import shipped_checkpoint
from kstep.system.prepared import load_molecule
from kstep.system.trajectory import load_trajectory
from kstep.workflow import adapt
from kstep.workflow.md.labelling import label
from kstep.workflow.networks import adaptation_folder
from regressed import PROPAGATOR

RAW = Path(__file__).parents[1] / "data" / "raw"
SETTINGS = (
    "adapt.replicas=2", "adapt.length_ps=1", "adapt.bursts=10", "adapt.steps=40",
    "adapt.equilibration_ps=0.2", "adapt.val_every_steps=20", "hybrid.platform=Reference",
    "md.platform=Reference", "hybrid.workers=1", "hybrid.save_interval_steps=9",
)  # fmt: skip


def configure(folder: Path, *more: str):
    return load_config(
        [PROPAGATOR], [f"paths.run={folder}", f"paths.data={folder}", *SETTINGS, *more]
    )


@pytest.fixture(scope="module")
def phenol():
    return load_molecule(RAW / "phenol")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, phenol):
    config = configure(tmp_path_factory.mktemp("adapt"))
    return config, adapt.run(config, [phenol])[0]


def test_it_starts_from_the_shipped_network_and_knows_what_that_knew(adapted, phenol) -> None:
    config, path = adapted
    start = load_jump(shipped_checkpoint(config))
    own = load_jump(path)
    assert own.physics.scales == start.physics.scales
    assert own.physics.elements == start.physics.elements
    assert set(start.physics.environments) <= set(own.physics.environments)
    assert own.physics.fingerprints == {"phenol": phenol.fingerprint}
    assert own.record["start_hash"] == hash_file(shipped_checkpoint(config))
    different = [
        name for name, value in own.model.state_dict().items()
        if not value.equal(start.model.state_dict()[name])
    ]  # fmt: skip
    assert different


def test_every_force_call_is_on_the_bill(adapted, phenol) -> None:
    config, _ = adapted
    folder = adaptation_folder(config, phenol)
    record = json.loads((folder / "record.json").read_text())
    visited = load_trajectory(folder / "hybrid" / "phenol.npz").record
    # The first state's force twice (to store it, and to step), and a step beyond the last state.
    steps = config.md.burst.length_steps + 3
    assert record["calls"] == {
        "equilibration": 2 * 100,
        "hybrid": visited["force_calls"],
        "bursts": 10 * steps,
    }
    assert record["force_calls"] == sum(record["calls"].values())


def test_bursts_start_where_the_hybrid_went(adapted, phenol) -> None:
    config, _ = adapted
    folder = adaptation_folder(config, phenol)
    visited = load_trajectory(folder / "hybrid" / "phenol.npz")
    path = folder / "data" / "md" / "phenol.npz"
    arrays, _ = read_npz(path, "kstep.trajectory", 2, ())
    frame = int(arrays["burst_frame"][3])
    centred = visited.pos[frame] - phenol.masses @ visited.pos[frame] / phenol.masses.sum()
    assert arrays["burst_pos"][3, 0] == pytest.approx(centred, abs=1e-6)


def test_a_finished_adaptation_is_not_repeated(adapted, phenol, monkeypatch) -> None:
    config, path = adapted
    before = path.stat().st_mtime_ns
    monkeypatch.setattr("kstep.integrators.plain.Sampler.bursts", lambda *_: pytest.fail("again"))
    assert adapt.run(config, [phenol]) == [path]
    assert path.stat().st_mtime_ns == before


def test_other_settings_are_refused(adapted, phenol) -> None:
    config, _ = adapted
    folder = adaptation_folder(config, phenol)
    visited, bursts = folder / "hybrid" / "phenol.npz", folder / "data" / "md" / "phenol.npz"
    with pytest.raises(ArtifactError, match="bursts from other states or with other settings"):
        label(config.md, phenol, visited, bursts)
    with pytest.raises(ArtifactError, match="was made with another configuration"):
        adapt.run(configure(config.paths.run, "adapt.length_ps=2"), [phenol])


def test_units_stay_only_where_the_jump_is_as_long(adapted) -> None:
    config, _ = adapted
    start = load_jump(shipped_checkpoint(config)).physics
    own = start.model_copy(update={"scales": start.scales.model_copy(update={"velocity": 9.0})})
    assert inherited_physics(own, start).scales == start.scales
    longer = own.model_copy(update={"k_steps": 16})
    assert inherited_physics(longer, start).scales == own.scales


def test_another_architecture_is_named() -> None:
    shipped = shipped_checkpoint(load_config([PROPAGATOR]))
    config = load_config([PROPAGATOR], [f"train.start_from={shipped}", "model.num_layers=5"])
    same = config.model_copy(update={"model": load_jump(shipped).model.config})
    require_same_network(same, load_jump(shipped), shipped)
    with pytest.raises(ConfigError, match=r"set model.num_layers=8, or leave train.start_from"):
        require_same_network(config, load_jump(shipped), shipped)

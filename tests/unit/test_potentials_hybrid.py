"""Adaptation and hybrid run with GFN2-xTB: the same bytes however often they are cut short."""

import pytest

from kstep.artifacts import hash_file
from kstep.config import load_config
from kstep.errors import ArtifactError
from kstep.regressed.networks.checkpoint import load_jump
from kstep.system.prepared import prepared_molecules
from kstep.system.trajectory import load_trajectory
from kstep.workflow import adapt, hybrid, prep
from kstep.workflow.networks import networks_for

SETTINGS = (
    "potential.name=gfn2-xtb", "adapt.labels=[30,30]", "adapt.steps=600",
    "adapt.start_from=fresh", "adapt.replicas=2", "train.k_steps=8", "md.temperature_K=300",
    "md.equilibration_ps=0.1", "hybrid.temperature_K=300", "hybrid.ensemble=ghmc",
    "hybrid.network=adapted", "hybrid.length_ps=0.8", "hybrid.replicas=2", "hybrid.nve_windows=1",
    "hybrid.nve_window_ps=0.2", "hybrid.motion.windows=1", "hybrid.motion.window_ps=0.2",
    "hybrid.map_samples=1", "hybrid.basin.starts=0", "hybrid.checkpoint_every_ps=0.2",
    "hybrid.workers=1", "hybrid.save_interval_steps=8",
)  # fmt: skip
FILES = (".npz", ".dcd", ".motion.npz", ".map.npz")


def configure(folder, *more):
    return load_config([], [f"paths.data={folder}", f"paths.run={folder}", *SETTINGS, *more])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Methanol prepared, adapted to and run."""
    folder = tmp_path_factory.mktemp("xtb")
    config = configure(folder)
    (folder / "list.smi").write_text("CO methanol\n")
    prep.run(config, folder / "list.smi")
    molecules = prepared_molecules(config)
    adapt.run(config, molecules)
    return config, molecules, hybrid.run(config, molecules, networks_for(config, molecules))[0]


def test_it_samples_with_one_true_call_a_jump(finished) -> None:
    record = load_trajectory(finished[2]).record
    assert record["potential"]["name"] == "gfn2-xtb"
    assert record["versions"]["tblite"]
    assert record["force_calls"] == record["macro_steps"] + record["fallback_calls"] + 2 + 1
    assert record["acceptance"] > 0.5
    # A force that is asked for again at the same place is remembered, not counted.
    assert 0 < record["potential_counts"]["evaluations"] <= record["force_calls"]


def test_a_run_that_was_cut_short_goes_on_to_the_same_bytes(finished, monkeypatch) -> None:
    config, molecules, whole = finished
    other = config.paths.model_copy(update={"run": config.paths.run / "again"})
    again = config.model_copy(update={"paths": other})
    networks = networks_for(config, molecules)
    blocks, save = [0], hybrid.batches.save_block

    def stop(*arguments) -> None:
        save(*arguments)
        blocks[0] += 1
        if blocks[0] in (2, 5, 6):
            raise KeyboardInterrupt

    monkeypatch.setattr(hybrid.batches, "save_block", stop)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            hybrid.run(again, molecules, networks)
    path = hybrid.run(again, molecules, networks)[0]
    for suffix in FILES:
        assert hash_file(path.with_suffix(suffix)) == hash_file(whole.with_suffix(suffix)), suffix


def test_a_network_of_another_potential_is_refused(finished) -> None:
    config, molecules, _ = finished
    adapted = networks_for(config, molecules)["methanol"].checkpoint
    assert load_jump(adapted).physics.potential == "gfn2-xtb"
    shipped = config.model_copy(
        update={"hybrid": config.hybrid.model_copy(update={"network": "shipped"})}
    )
    with pytest.raises(
        ArtifactError, match=r"learned the forces of openff-2.2.1 in OBC2, but methanol was"
    ):
        hybrid.run(shipped, molecules, networks_for(shipped, molecules))

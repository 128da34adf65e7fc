"""Which network jumps: the shipped ones are sound, and know their limits."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest

from kstep.artifacts import hash_file, write_json
from kstep.config import load_config
from kstep.errors import ArtifactError
from kstep.regressed.learned import load_learned_jump
from kstep.regressed.networks.checkpoint import load_jump
from kstep.surrogates.shipped import WEIGHTS, shipped_checkpoint
from kstep.system.prepared import load_molecule
from kstep.workflow.networks import adaptation_folder, check_potential, networks_for
from kstep.workflow.shipped import remarks
from regressed import PROPAGATOR

RAW = Path(__file__).parents[1] / "data" / "raw"
STRIDES = sorted(int(path.stem.rpartition("_k")[2]) for path in WEIGHTS.glob("propagator_k*.ckpt"))
MEGABYTE = 1e6


def configure(run: Path, *more: str):
    return load_config([PROPAGATOR], [f"paths.run={run}", *more])


@pytest.fixture(scope="module")
def phenol():
    return load_molecule(RAW / "phenol")


@pytest.mark.parametrize("k_steps", STRIDES)
def test_a_shipped_network_is_what_its_name_and_card_say(k_steps: int) -> None:
    config = configure(Path("runs"), f"train.k_steps={k_steps}")
    path = shipped_checkpoint(config)
    physics = load_jump(path).physics
    assert physics.k_steps == k_steps
    assert physics.landing == "half_step"
    assert {1, 6, 7, 8, 9, 16, 17} == set(physics.elements)
    assert len(physics.environments) > 500
    assert physics.fingerprints == {}
    card = path.with_suffix(".md").read_text()
    assert f"k = {k_steps}" in card
    assert hash_file(path) in card
    assert "Known failures" in card


def test_all_shipped_files_together_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 10 * MEGABYTE


@pytest.mark.parametrize("k_steps", [4, 8, 12, 16])
def test_the_shipped_splitting_serves_every_stride(tmp_path, phenol, k_steps: int) -> None:
    overrides = [f"paths.run={tmp_path}", "hybrid.network=shipped", f"train.k_steps={k_steps}"]
    config = load_config([], overrides)
    network = networks_for(config, [phenol])["phenol"]
    assert network.checkpoint == WEIGHTS / "splitting.ckpt"
    physics = load_jump(network.checkpoint).physics
    assert physics.landing == "closing_kick"
    assert physics.fingerprints == {}
    assert {1, 6, 7, 8, 9, 16, 17} == set(physics.elements)
    jump = load_learned_jump(network.checkpoint, phenol, k_steps, config.md.dt_ps, physics.landing)
    assert jump.k_steps == k_steps
    assert jump.closing_ps == pytest.approx(0.5 * config.md.dt_ps)
    card = network.checkpoint.with_suffix(".md").read_text()
    assert "molecules never seen" in card


def test_an_architecture_without_a_network_is_refused(tmp_path) -> None:
    config = configure(tmp_path, "model.arch=torchmdnet_et")
    with pytest.raises(ArtifactError, match="is shipped: choose another"):
        shipped_checkpoint(config)


def test_a_stride_without_a_network_is_refused(tmp_path: Path) -> None:
    config = configure(tmp_path, "train.k_steps=12")
    with pytest.raises(ArtifactError, match="no network is shipped for k = 12:"):
        shipped_checkpoint(config)


def test_the_shipped_network_is_chosen_and_costs_this_molecule_nothing(tmp_path, phenol, capsys):
    config = configure(tmp_path, "hybrid.network=shipped")
    network = networks_for(config, [phenol])["phenol"]
    assert network.checkpoint == shipped_checkpoint(config)
    assert network.training_calls == 0
    assert "warning" not in capsys.readouterr().err


def test_an_unknown_element_is_refused(tmp_path, phenol) -> None:
    config = configure(tmp_path, "hybrid.network=shipped")
    numbers = phenol.numbers.copy()
    numbers[0] = 35
    with pytest.raises(ArtifactError, match="phenol holds Br"):
        networks_for(config, [replace(phenol, numbers=numbers)])


def test_a_force_knows_of_neither_masses_nor_steps(tmp_path, phenol) -> None:
    """So a splitting takes heavy hydrogens and long steps; a regressed jump learned its own."""
    heavy = replace(phenol, masses=np.where(phenol.numbers == 1, 3.0, phenol.masses))
    shipped, long = "hybrid.network=shipped", "md.dt_fs=4"
    splitting = load_config([], [f"paths.run={tmp_path}", shipped, long])
    assert networks_for(splitting, [heavy])["phenol"].training_calls == 0
    with pytest.raises(ArtifactError, match="was trained with a base step of 2 fs, not 4 fs"):
        networks_for(configure(tmp_path, shipped, long), [phenol])
    with pytest.raises(ArtifactError, match="has H atoms of 3 Da"):
        networks_for(configure(tmp_path, shipped), [heavy])


def test_a_molecule_far_from_the_training_set_is_warned_of(tmp_path, phenol, capsys) -> None:
    config = configure(tmp_path, "hybrid.network=shipped")
    numbers = np.where(phenol.numbers == 6, 16, phenol.numbers)  # a ring of sulphur
    masses = np.where(phenol.numbers == 6, 32.0655, phenol.masses)
    networks_for(config, [replace(phenol, numbers=numbers, masses=masses)])
    warnings = capsys.readouterr().err
    assert "has never seen" in warnings
    assert "only 0% of its atoms" in warnings
    physics = load_jump(shipped_checkpoint(config)).physics
    assert remarks(physics, phenol) == []


def test_a_trained_network_and_a_file_are_taken_as_they_are(tmp_path, phenol) -> None:
    network = networks_for(configure(tmp_path), [phenol])["phenol"]
    assert network.checkpoint == tmp_path / "train" / "best.ckpt"
    assert network.training_calls is None
    config = configure(tmp_path, f"hybrid.network={tmp_path / 'other.ckpt'}")
    assert networks_for(config, [phenol])["phenol"].checkpoint == tmp_path / "other.ckpt"


@pytest.mark.parametrize("network", ["shipped", WEIGHTS / "splitting.ckpt"])
def test_a_network_of_another_potential_is_refused(tmp_path: Path, network: object) -> None:
    chosen = [f"paths.run={tmp_path}", f"hybrid.network={network}"]
    check_potential(load_config([], chosen))
    with pytest.raises(
        ArtifactError, match=r"the forces of openff-2.2.1 in OBC2, not those of gfn1-xtb"
    ):
        check_potential(load_config([], [*chosen, "potential.name=gfn1-xtb"]))


@pytest.mark.parametrize("network", ["trained", "adapted"])
def test_a_network_that_is_yet_to_be_made_is_not_asked(tmp_path: Path, network: str) -> None:
    chosen = [f"paths.run={tmp_path}", f"hybrid.network={network}", "potential.name=gfn1-xtb"]
    check_potential(load_config([], chosen))


def test_an_adapted_network_brings_its_cost(tmp_path, phenol) -> None:
    config = configure(tmp_path, "hybrid.network=adapted")
    with pytest.raises(ArtifactError, match="no finished adaptation to phenol: run `kstep adapt`"):
        networks_for(config, [phenol])
    folder = adaptation_folder(config, phenol)
    rounds = [{"labels": 0, "force_error": 0.5}]
    write_json(folder / "record.json", {"force_calls": 1234, "rounds": rounds})
    write_json(folder / "timing.json", {"minutes": 2.5})
    network = networks_for(config, [phenol])["phenol"]
    assert network.training_calls == 1234
    assert (network.training_minutes, network.training_rounds) == (2.5, tuple(rounds))
    assert network.checkpoint == folder / "train" / "best.ckpt"
    by_name = configure(tmp_path, f"hybrid.network={network.checkpoint}")
    assert networks_for(by_name, [phenol])["phenol"] == network


def test_a_network_that_learned_in_water_is_refused_in_vacuum(tmp_path, phenol) -> None:
    """The shipped ones say "openff", which was in OBC2: they hold there, and there alone."""
    shipped = load_jump(WEIGHTS / "splitting.ckpt").physics
    assert shipped.potential == phenol.potential_title == "openff-2.2.1 in OBC2"
    vacuum = ["prep.implicit_solvent=None", "md.implicit_solvent=None"]
    config = load_config([], [f"paths.run={tmp_path}", "hybrid.network=shipped", *vacuum])
    with pytest.raises(ArtifactError, match=r"not those of openff-2.2.1 in vacuum: use `kstep"):
        check_potential(config)
    settings = {**phenol.manifest["config"], "implicit_solvent": "None"}
    dry = replace(phenol, manifest={**phenol.manifest, "config": settings})
    assert dry.potential_title == "openff-2.2.1 in vacuum"
    with pytest.raises(ArtifactError, match=r"OBC2, but phenol was prepared for openff-2.2.1 in"):
        networks_for(config, [dry])
    with pytest.raises(ArtifactError, match=r"phenol was prepared for openff-2.2.1 in vacuum"):
        load_learned_jump(WEIGHTS / "splitting.ckpt", dry, 8, 0.002, "closing_kick")


def test_a_network_of_another_force_field_is_refused(tmp_path) -> None:
    sage = ["hybrid.network=shipped", "prep.force_field=openff-2.0.0.offxml"]
    with pytest.raises(ArtifactError, match=r"not those of openff-2.0.0 in OBC2"):
        check_potential(load_config([], [f"paths.run={tmp_path}", *sage]))


def given_system(phenol, folder: Path, add: object = None):
    """Phenol by a System of the user's, with another force where one is given."""
    system = openmm.XmlSerializer.deserialize(phenol.system)
    if add is not None:
        system.addForce(add)
    shutil.copytree(phenol.directory, folder)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    manifest = {**phenol.manifest, "potential": {"name": "system"}}
    return replace(phenol, directory=folder, manifest=manifest)


def test_a_users_system_of_usual_terms_is_warned_of(tmp_path, phenol, capsys) -> None:
    config = load_config([], [f"paths.run={tmp_path}", "hybrid.network=shipped",
                              "potential.name=system"])  # fmt: skip
    check_potential(config)
    own = given_system(phenol, tmp_path / "own")
    assert re.fullmatch("system [0-9a-f]{8}", own.potential_title)
    same = given_system(phenol, tmp_path / "same", openmm.CMMotionRemover())
    assert same.potential_title == own.potential_title
    networks_for(config, [own])
    warning = capsys.readouterr().err
    assert "phenol: the network learned the forces of openff-2.2.1 in OBC2, not those of" in warning
    load_learned_jump(WEIGHTS / "splitting.ckpt", own, 8, 0.002, "closing_kick")


def test_a_users_system_of_other_terms_is_refused(tmp_path, phenol) -> None:
    config = load_config([], [f"paths.run={tmp_path}", "hybrid.network=shipped",
                              "potential.name=system"])  # fmt: skip
    other = given_system(phenol, tmp_path / "other", openmm.CustomBondForce("r^4"))
    assert re.fullmatch("system [0-9a-f]{8} CustomBondForce", other.potential_title)
    with pytest.raises(ArtifactError, match=r"was prepared for system \w+ CustomBondForce: run"):
        networks_for(config, [other])

"""Preparation, baseline and controls under GFN2-xTB."""

import json
import shutil
from dataclasses import replace

import numpy as np
import openmm
import pytest
from openmm import app

from kstep.artifacts import hash_file, write_json
from kstep.config import load_config
from kstep.errors import ConfigError, MoleculeError
from kstep.potentials import CachedPotential
from kstep.potentials.systems import load_system
from kstep.potentials.xtb import MoleculeXtb
from kstep.system.motion import motion_of
from kstep.system.prepared import load_molecule, prepared_molecules
from kstep.system.trajectory import load_trajectory
from kstep.workflow import controls, md
from kstep.workflow.controls import stage as controls_stage
from kstep.workflow.md.stage import simulate
from kstep.workflow.prep import folder
from kstep.workflow.prep.stage import run as prepare

SETTINGS = [
    "potential.name=gfn2-xtb",
    "md.temperature_K=300",
    "md.replicas=1",
    "md.length_ns=0.0004",
    "md.equilibration_ps=0.1",
    "md.save_interval_steps=20",
    "md.nve_window_ps=0.08",
    "md.nve_every_ps=0.2",
    "md.motion.windows=2",
    "md.motion.window_ps=0.04",
    "md.burst.count=3",
    "md.workers=1",
    "controls.replicas=1",
    "controls.length_ns=0.0004",
    "controls.nve_windows=1",
    "controls.nve_window_ps=0.08",
    "controls.workers=1",
]


def configure(data, *more):
    return load_config([], [f"paths.data={data}", *SETTINGS, *more])


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A data folder with prepared methanol."""
    data = tmp_path_factory.mktemp("data")
    listed = data / "molecules.smi"
    listed.write_text("CO methanol\n")
    prepare(configure(data), listed)
    return data


@pytest.fixture(scope="module")
def methanol(raw):
    return load_molecule(raw / "raw" / "methanol")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, methanol):
    config = configure(tmp_path_factory.mktemp("md"))
    return config, md.run(config, [methanol])[0]


def test_constrained_lengths_are_those_of_the_minimum(methanol):
    system = load_system(methanol, 1.0, "HBonds", "OBC2")
    _, forces = system.potential(methanol.positions)
    assert np.abs(forces).max() < 2
    lengths = []
    for index in range(system.getNumConstraints()):
        first, second, length = system.getConstraintParameters(index)
        distance = float(np.linalg.norm(methanol.positions[first] - methanol.positions[second]))
        assert length._value == pytest.approx(distance, rel=1e-12)
        lengths.append(distance)
    hydroxyl = min(lengths)
    assert hydroxyl == pytest.approx(0.0963, abs=3e-4)  # nm; not the 0.0973 of OpenFF
    pdb = app.PDBFile(str(methanol.pdb)).getPositions(asNumpy=True)._value
    np.testing.assert_allclose(pdb, methanol.positions, atol=1e-4)


def test_the_manifest_says_which_potential_and_the_network_still_sees_terms(methanol):
    manifest = methanol.manifest
    assert manifest["potential"] == {"name": "gfn2-xtb", "solvent": "none", "accuracy": 0.1}
    assert manifest["versions"]["tblite"] == "0.8.0"
    assert manifest["conformer"]["minimiser"] == "gfn2-xtb"
    assert "conformer and constrained lengths are of the gfn2-xtb minimum" in manifest["remarks"][0]
    assert len(methanol.terms.bonds) == 5
    assert len(methanol.terms.angles) == 7


def test_another_potential_is_another_preparation(raw, tmp_path, phenol):
    shutil.copytree(raw, tmp_path / "data")
    listed, path = tmp_path / "data" / "molecules.smi", tmp_path / "data" / "raw" / "methanol"
    before = (path / "manifest.json").stat().st_mtime_ns
    prepare(configure(tmp_path / "data"), listed)
    assert (path / "manifest.json").stat().st_mtime_ns == before
    prepare(configure(tmp_path / "data", "potential.solvent=water"), listed)
    assert load_molecule(path).potential.solvent == "water"
    prepare(configure(tmp_path / "data", "potential.name=openff"), listed)
    assert load_molecule(path).potential.name == "openff"
    openff = configure(tmp_path, "potential.name=openff", "potential.accuracy=1")
    assert folder.settings_hash(openff) == phenol.manifest["config_hash"]  # made before there was
    assert phenol.potential.identity == {"name": "openff"}  # another than openff


def test_a_molecule_that_falls_apart_is_refused(tmp_path, monkeypatch, capsys):
    def repel(self: CachedPotential, x: np.ndarray) -> tuple[float, np.ndarray]:
        arms = x[:, None] - x[None]
        square = (arms**2).sum(axis=-1, keepdims=True)
        forces = 4e3 * ((1 - 2 * square) * arms).sum(axis=1)
        return 1e3 * float((square**2 - square).sum()), forces

    monkeypatch.setattr(CachedPotential, "__call__", repel)
    listed = tmp_path / "molecules.smi"
    listed.write_text("CO methanol\n")
    with pytest.raises(MoleculeError):
        prepare(configure(tmp_path), listed)
    said = capsys.readouterr().err
    assert "methanol: at the minimum of gfn2-xtb the bond between C1 and O2 is broken" in said


def test_a_minimum_where_a_force_is_left_is_none(tmp_path, monkeypatch, capsys):
    """Springs between all atoms, and a kink where the first two are at their distance."""
    rest: dict[str, np.ndarray] = {}

    def kinked(self: CachedPotential, x: np.ndarray) -> tuple[float, np.ndarray]:
        arms = x[:, None] - x[None]
        lengths = np.linalg.norm(arms, axis=-1) + np.eye(len(x))
        excess = lengths - rest.setdefault("lengths", lengths)
        forces = -1e5 * ((excess / lengths)[..., None] * arms).sum(axis=1)
        pull = -400.0 * np.sign(excess[0, 1] - 1e-4) * arms[0, 1] / lengths[0, 1]
        forces[0], forces[1] = forces[0] + pull, forces[1] - pull
        return 2.5e4 * float((excess**2).sum()) + 400.0 * abs(excess[0, 1] - 1e-4), forces

    monkeypatch.setattr(CachedPotential, "__call__", kinked)
    listed = tmp_path / "molecules.smi"
    listed.write_text("CO methanol\n")
    with pytest.raises(MoleculeError):
        prepare(configure(tmp_path), listed)
    said = capsys.readouterr().err
    assert "methanol: where gfn2-xtb is lowest a force of" in said
    assert "its energy is not smooth there" in said


def test_a_given_system_leaves_nothing_to_prepare(tmp_path):
    with pytest.raises(ConfigError, match="leaves nothing to prepare"):
        prepare(load_config([], ["potential.name=system"]), tmp_path / "molecules.smi")


@pytest.mark.parametrize(
    "wanted", ["potential.name=openff", "potential.accuracy=0.5", "potential.solvent=water"]
)
def test_molecules_of_another_potential_are_refused(raw, wanted):
    assert len(prepared_molecules(configure(raw))) == 1
    with pytest.raises(ConfigError, match="was prepared with potential") as caught:
        prepared_molecules(configure(raw, wanted))
    assert wanted in str(caught.value)


def test_the_baseline_is_of_the_potential(finished, methanol):
    trajectory = load_trajectory(finished[1])
    assert trajectory.record["potential"] == methanol.manifest["potential"]
    assert trajectory.record["versions"]["tblite"] == "0.8.0"
    assert trajectory.record["platform"] == "Reference"
    counts = trajectory.record["potential_counts"]
    steps = 50 + 200 + 80 + 3 * 49  # heating, sampling, windows, bursts
    assert steps < counts["evaluations"] < steps + 100  # and the quench before
    assert counts["failures"] == 0
    potential = load_system(methanol, 1.0, "HBonds", "OBC2").potential
    for x, epot in zip(trajectory.pos[::7], trajectory.epot[::7], strict=True):
        assert potential(x)[0] == pytest.approx(epot, abs=1e-3)
    bursts = np.load(finished[1])
    np.testing.assert_allclose(
        bursts["burst_forces"][1, 2], potential(bursts["burst_pos"][1, 2])[1], atol=0.5
    )


@pytest.mark.parametrize("reports", [8, 14, 20])
def test_a_resumed_baseline_is_the_same_to_the_byte(finished, tmp_path, methanol, reports):
    config, target = configure(tmp_path).md, tmp_path / "md" / "methanol.npz"
    count = 0

    def stop(_: float) -> None:
        nonlocal count
        count += 1
        if count == reports:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(config, methanol, target, stop)
    simulate(config, methanol, target, lambda _: None)
    assert hash_file(target) == hash_file(finished[1])
    assert hash_file(motion_of(target)) == hash_file(motion_of(finished[1]))


def test_controls_are_run_without_the_one_that_cannot_be(tmp_path, methanol, capsys):
    config = configure(tmp_path)
    paths = controls.run(config, [methanol])
    names = [path.stem for path in paths]
    assert names == ["half_fs", "ghmc", "langevin_middle", "hmr_3", "hmr_1.5"]
    assert "methanol: the control respa is left out" in capsys.readouterr().err
    heavy = load_trajectory(paths[3])
    assert heavy.masses[methanol.numbers == 1].tolist() == [3.0] * 4
    assert heavy.record["potential"]["name"] == "gfn2-xtb"
    assert heavy.epot.mean() == pytest.approx(load_trajectory(paths[0]).epot.mean(), abs=40)


def test_resumed_controls_are_the_same_to_the_byte(tmp_path, methanol, monkeypatch):
    settings = ["controls.integrators=[hmr_3]", "controls.replicas=2"]
    whole = controls.run(configure(tmp_path / "whole", *settings), [methanol])[0]
    written = []

    def write_one(path, *arguments):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write_block(path, *arguments)

    write_block = controls_stage.write_block
    monkeypatch.setattr(controls_stage, "write_block", write_one)
    own = configure(tmp_path / "resumed", *settings)
    with pytest.raises(KeyboardInterrupt):
        controls.run(own, [methanol])
    monkeypatch.undo()
    assert hash_file(controls.run(own, [methanol])[0]) == hash_file(whole)


def test_respa_is_kept_where_forces_can_be_split(phenol, methanol):
    config = load_config()
    assert "respa" in controls_stage._possible(config, phenol)
    assert "respa" not in controls_stage._possible(config, methanol)


def test_an_older_folder_is_openff_s(place, tmp_path):
    phenol = place(tmp_path)
    manifest = json.loads((phenol.directory / "manifest.json").read_text())
    assert "potential" not in manifest
    load_system(phenol, 1.0, "HBonds", "OBC2")
    assert len(prepared_molecules(load_config([], [f"paths.data={tmp_path}"]))) == 1
    write_json(phenol.directory / "manifest.json", {**manifest, "potential": {"name": "system"}})
    given = replace(phenol, manifest={**manifest, "potential": {"name": "system"}})
    forces = load_system(given, 1.0, "HBonds", "OBC2").getForces()
    assert any(isinstance(force, openmm.NonbondedForce) for force in forces)
    with pytest.raises(ConfigError, match=r"prepared with potential.name=system but"):
        prepared_molecules(load_config([], [f"paths.data={tmp_path}"]))


NOISE = iter(np.random.default_rng(1).normal(size=1000))


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (lambda energy, forces: (energy, -forces), "gives the gradient ∂U/∂x in place of forces"),
        (lambda energy, forces: (energy + next(NOISE), forces), "gives another energy or other"),
        (lambda energy, forces: (energy, 2 * forces), "gives forces that are 2 times −∂U/∂x"),
        (lambda energy, forces: (energy, forces + 2e3), "gives forces that are not the slope"),
        (
            lambda energy, forces: (0.0, np.zeros_like(forces)),
            "gives the same energy and forces at two",
        ),
    ],
)
def test_a_calculator_that_lies_is_named_before_anything_is_made(
    tmp_path, monkeypatch, capsys, lie, words
):
    honest = MoleculeXtb.single_point
    monkeypatch.setattr(MoleculeXtb, "single_point", lambda self, x: lie(*honest(self, x)))
    listed = tmp_path / "molecules.smi"
    listed.write_text("CO methanol\n")
    with pytest.raises(MoleculeError, match="none of the 1 molecules"):
        prepare(configure(tmp_path), listed)
    said = capsys.readouterr().err
    assert f"gfn2-xtb of methanol {words}" in said
    assert not (tmp_path / "raw" / "methanol" / "manifest.json").exists()

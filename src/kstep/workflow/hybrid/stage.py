"""The hybrid stage: every molecule's run, in parallel, resumable."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from kstep.artifacts import exclusive, hash_file
from kstep.config import Config
from kstep.errors import ConfigError
from kstep.parallel import ns_per_day, run_parallel
from kstep.regressed.learned import Network
from kstep.system.prepared import PreparedMolecule
from kstep.workflow.hybrid.outputs import outputs_of
from kstep.workflow.hybrid.simulation import picoseconds, simulate


def run(
    config: Config, molecules: Sequence[PreparedMolecule], networks: Mapping[str, Network]
) -> list[Path]:
    """Run the hybrid for every molecule; returns `<paths.run>/hybrid/<name>.npz`.

    `networks` has the one that makes the jumps of each molecule, by the molecule's name.

    Beside each lie its motion, `<name>.motion.npz`, and the quality of its map,
    `<name>.map.npz`. `hybrid.molecules` restricts the run to the molecules named there. Finished
    files are not made again; unfinished molecules go on after their last block.

    Raises ConfigError for a name that was not prepared, ArtifactError for a checkpoint that
    does not fit or a finished run of another configuration, SimulationError when the true
    dynamics fail.
    """
    chosen = _choose(config, molecules)
    _check_temperatures(config)
    _check_friction(config)
    folder = config.paths.run / "hybrid"
    with exclusive(folder):
        return _run_all(config, chosen, networks, folder)


def _run_all(
    config: Config, chosen: list[PreparedMolecule], networks: Mapping[str, Network], folder: Path
) -> list[Path]:
    targets = {molecule.name: folder / f"{molecule.name}.npz" for molecule in chosen}
    files = {molecule.name: networks[molecule.name].checkpoint for molecule in chosen}
    digests = {file: hash_file(file) for file in set(files.values())}
    waiting = [
        molecule
        for molecule in chosen
        if not outputs_of(config, targets[molecule.name]).are_finished(
            molecule, digests[files[molecule.name]]
        )
    ]
    if waiting:
        run_parallel(
            {
                m.name: partial(simulate, config, m, networks[m.name], targets[m.name])
                for m in waiting
            },
            config.hybrid.workers,
            f"hybrid ({len(waiting)} molecules)",
            [picoseconds(config.hybrid)] * len(waiting),
            "ps",
            ns_per_day,
        )
    return list(targets.values())


def _check_temperatures(config: Config) -> None:
    """Raise ConfigError where there would be nothing to judge the run by."""
    sampled = config.md.temperatures
    for temperature in config.hybrid.temperatures:
        if temperature not in sampled:
            raise ConfigError(
                f"hybrid.temperature_K {temperature:g} is not among md.temperature_K: "
                "without a baseline at the same temperature there is nothing to judge it by."
            )
    if config.hybrid.temperatures[0] != sampled[0]:
        raise ConfigError(
            f"hybrid.temperature_K begins with {config.hybrid.temperatures[0]:g} but "
            f"md.temperature_K with {sampled[0]:g}: NVE windows and motion belong to the first, "
            "so begin both with the same."
        )


def _check_friction(config: Config) -> None:
    """Raise ConfigError where the two sides would be dynamics of different kinds."""
    own, baseline = config.hybrid.friction_per_ps, config.md.friction_per_ps
    if config.hybrid.ensemble == "nvt" and own != baseline:
        raise ConfigError(
            f"hybrid.friction_per_ps is {own:g} but md.friction_per_ps {baseline:g}: rates of "
            "transitions, which are judged, depend on friction: give both the same, or sample "
            "averages alone with hybrid.ensemble=ghmc."
        )


def _choose(config: Config, molecules: Sequence[PreparedMolecule]) -> list[PreparedMolecule]:
    if config.hybrid.molecules is None:
        return list(molecules)
    by_name = {molecule.name: molecule for molecule in molecules}
    unknown = [name for name in config.hybrid.molecules if name not in by_name]
    if unknown:
        raise ConfigError(
            f"hybrid.molecules names {', '.join(unknown)}, which is not prepared: "
            f"choose among {', '.join(by_name)} or prepare it."
        )
    return [by_name[name] for name in config.hybrid.molecules]

"""The hybrid stage: every molecule's run, in parallel, resumable."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kstep.artifacts import exclusive, hash_file
from kstep.config import Config
from kstep.errors import ArtifactError, ConfigError
from kstep.hybrid.setup import run_hash
from kstep.hybrid.simulation import picoseconds, simulate
from kstep.molecule import Molecule
from kstep.parallel import ns_per_day, run_parallel
from kstep.trajectory import load_trajectory


def run(config: Config, molecules: Sequence[Molecule], checkpoint: Path) -> list[Path]:
    """Run the hybrid for every molecule; returns `<paths.run>/hybrid/<name>.npz`.

    `hybrid.molecules` restricts the run to the molecules named there. Finished molecules are
    not run again; unfinished ones go on after their last block.

    Raises ConfigError for a name that was not prepared, ArtifactError for a checkpoint that
    does not fit or a finished run of another configuration, SimulationError when the true
    dynamics fail.
    """
    chosen = _choose(config, molecules)
    digest = hash_file(checkpoint)
    if config.hybrid.temperature_K not in config.md.temperatures:
        raise ConfigError(
            f"hybrid.temperature_K {config.hybrid.temperature_K:g} is not among md.temperature_K: "
            "without a baseline at the same temperature there is nothing to judge it by."
        )
    folder = config.paths.run / "hybrid"
    with exclusive(folder):
        return _run_all(config, chosen, checkpoint, digest, folder)


def _run_all(
    config: Config, chosen: list[Molecule], checkpoint: Path, digest: str, folder: Path
) -> list[Path]:
    targets = {molecule.name: folder / f"{molecule.name}.npz" for molecule in chosen}
    waiting = [m for m in chosen if not _is_finished(targets[m.name], config, m, digest)]
    if waiting:
        run_parallel(
            {m.name: partial(simulate, config, m, checkpoint, targets[m.name]) for m in waiting},
            config.hybrid.workers,
            f"hybrid ({len(waiting)} molecules)",
            [picoseconds(config.hybrid)] * len(waiting),
            "ps",
            ns_per_day,
        )
    return list(targets.values())


def _choose(config: Config, molecules: Sequence[Molecule]) -> list[Molecule]:
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


def _is_finished(target: Path, config: Config, molecule: Molecule, checkpoint: str) -> bool:
    if not target.exists():
        return False
    record = load_trajectory(target).record
    expected = {
        "fingerprint": (molecule.fingerprint, "preparation of the molecule"),
        "config_hash": (run_hash(config), "configuration"),
        "checkpoint_hash": (checkpoint, "checkpoint"),
    }
    for key, (value, words) in expected.items():
        if record.get(key) != value:
            raise ArtifactError(
                f"{target} was made with another {words}: delete it to run again, "
                "or choose another paths.run."
            )
    return True

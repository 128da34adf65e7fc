"""From `hybrid.network` to a network for every molecule."""

from collections.abc import Sequence
from pathlib import Path

from kstep.artifacts import read_json
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.integrators.correctors import CORRECTORS
from kstep.regressed.learned import Network, load_learned_jump
from kstep.regressed.networks.checkpoint import load_jump
from kstep.surrogates.shipped import shipped_checkpoint
from kstep.system.prepared import PreparedMolecule
from kstep.workflow.shipped import check_molecules


def networks_for(config: Config, molecules: Sequence[PreparedMolecule]) -> dict[str, Network]:
    """The network of every molecule, by its name.

    The file of an adaptation brings its bill along, whichever molecule it was made for.

    Raises ArtifactError when a shipped network does not know a molecule's elements, or a
    molecule has not been adapted to. Whether a file is there and fits is for the hybrid to say.
    """
    choice = config.hybrid.network
    if choice == "shipped":
        checkpoint = shipped_checkpoint(config)
        check_molecules(config, molecules, checkpoint)
        return {molecule.name: Network(checkpoint, training_calls=0) for molecule in molecules}
    if choice == "adapted":
        return {molecule.name: _adapted(config, molecule) for molecule in molecules}
    path = config.paths.run / "train" / "best.ckpt" if choice == "trained" else Path(choice)
    network = _adaptation_in(path.parent.parent)
    if network is None or network.checkpoint != path:
        network = Network(path)
    return dict.fromkeys((molecule.name for molecule in molecules), network)


def check_potential(config: Config) -> None:
    """Ask of a network that is there already what needs no molecule, before one is prepared.

    Raises ArtifactError when it learned the forces of another potential than the configured one.
    """
    choice = config.hybrid.network
    if choice in ("trained", "adapted") or config.potential.name == "system":
        return  # a network is yet to be made, or the System yet to be read
    path = shipped_checkpoint(config) if choice == "shipped" else Path(choice)
    learned = load_jump(path).physics.potential
    wanted = config.potential.title(config.prep.force_field, config.prep.implicit_solvent)
    if learned != wanted:
        name = f"the shipped network {path.stem}" if choice == "shipped" else str(path)
        raise ArtifactError(
            f"{name} learned the forces of {learned}, not those of {wanted}: use `kstep adapt`, "
            "which makes a network for them first, with hybrid.network=adapted."
        )


def check_networks(config: Config, molecules: Sequence[PreparedMolecule]) -> None:
    """Ask of the networks of prepared molecules what a run will, before a baseline is run for it.

    Raises ArtifactError as `networks_for` and `load_learned_jump`.
    """
    hybrid = config.hybrid
    networks = networks_for(config, molecules)
    for molecule in molecules:
        load_learned_jump(
            networks[molecule.name].checkpoint,
            molecule,
            config.train.k_steps,
            config.md.dt_ps,
            CORRECTORS[hybrid.corrector].landing,
            hybrid.drifts_per_step,
            hybrid.impulse,
        )


def adaptation_folder(config: Config, molecule: PreparedMolecule) -> Path:
    """Where `kstep adapt` keeps what it makes of one molecule."""
    return config.paths.run / "adapt" / molecule.name


def _adapted(config: Config, molecule: PreparedMolecule) -> Network:
    folder = adaptation_folder(config, molecule)
    network = _adaptation_in(folder)
    if network is None:
        raise ArtifactError(
            f"{folder} holds no finished adaptation to {molecule.name}: run `kstep adapt` first, "
            "or choose another hybrid.network."
        )
    return network


def _adaptation_in(folder: Path) -> Network | None:
    """What `kstep adapt` made in a folder, with its bill; None where it did not finish any."""
    if not (folder / "record.json").exists():
        return None
    record, timing = read_json(folder / "record.json"), folder / "timing.json"
    return Network(
        folder / "train" / "best.ckpt",
        training_calls=int(record["force_calls"]),
        training_minutes=float(read_json(timing)["minutes"]) if timing.exists() else None,
        training_rounds=tuple(record.get("rounds", ())),
    )

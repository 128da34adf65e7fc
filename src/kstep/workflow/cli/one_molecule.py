"""One molecule from the command line, in place of a list and a folder of data."""

import argparse
from typing import Literal

from kstep.artifacts import hash_bytes, write_text
from kstep.config import Config
from kstep.errors import ConfigError
from kstep.system.names import check_name
from kstep.system.preparation.smiles_list import check_smiles

Network = Literal["shipped", "adapted"]
"""Who jumps where the configuration does not say."""


def of_smiles(config: Config, options: argparse.Namespace, network: Network) -> Config:
    """The configuration of a run of its own for the SMILES given, whose list it writes.

    Raises MoleculeError, before anything is written, for what is no one SMILES and for a name that
    is not fit to be a folder.
    """
    smiles = check_smiles(options.smiles)
    given: str | None = options.name
    unnamed = f"molecule-{hash_bytes(smiles.encode())[:8]}"
    name = check_name(unnamed if given is None else given)
    folder = config.paths.run / name
    smiles_list = folder / "molecule.smi"
    write_text(smiles_list, f"{smiles} {name}\n")
    paths = config.paths.model_copy(update={"data": folder / "data", "run": folder})
    prep = config.prep.model_copy(update={"molecules": smiles_list})
    return _alone(config.model_copy(update={"paths": paths, "prep": prep}), network)


def of_system(config: Config, options: argparse.Namespace, network: Network) -> Config:
    """The configuration of a run of its own for the System given, whose folder it writes."""
    from kstep.workflow import external

    if options.topology is None:
        raise ConfigError(
            "--system needs --topology too: without it nobody knows what was simulated."
        )
    return _alone(external.prepare(config, options.topology, options.system), network)


def _alone(config: Config, network: Network) -> Config:
    """Settings without what is for training on many molecules, and with one limit of small steps.

    A sampler that is exact would be blamed for the base step's own error without.
    """
    chosen = {"network": network} if config.hybrid.network == "trained" else {}
    bursts = config.md.burst.model_copy(update={"count": 0})
    return config.model_copy(
        update={
            "controls": config.controls.model_copy(update={"integrators": ["ghmc"]}),
            "md": config.md.model_copy(update={"burst": bursts}),
            "hybrid": config.hybrid.model_copy(update={**chosen, "molecules": None}),
        }
    )

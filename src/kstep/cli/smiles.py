"""One molecule from the command line: `--smiles` in place of a list and a folder of data."""

import argparse
from typing import Literal

from kstep.artifacts import hash_bytes, write_text
from kstep.config import Config


def add_smiles_options(parser: argparse.ArgumentParser) -> None:
    """The options with which one molecule goes from its SMILES to a report."""
    group = parser.add_argument_group("one molecule, from its SMILES to a report")
    group.add_argument(
        "--smiles", metavar="SMILES",
        help="prepare this molecule, simulate it with a network that comes with kstep, and judge "
        "the run against plain MD; files go to <paths.run>/<name>",
    )  # fmt: skip
    group.add_argument("--name", help="name of the molecule; default: a hash of the SMILES")


def of_one_molecule(
    config: Config, options: argparse.Namespace, network: Literal["shipped", "adapted"]
) -> Config:
    """The configuration of a run of its own for the SMILES given, whose list it writes."""
    name = options.name or f"molecule-{hash_bytes(options.smiles.encode())[:8]}"
    folder = config.paths.run / name
    smiles_list = folder / "molecule.smi"
    write_text(smiles_list, f"{options.smiles} {name}\n")
    paths = config.paths.model_copy(update={"data": folder / "data", "run": folder})
    chosen = {"network": network} if config.hybrid.network == "trained" else {}
    return config.model_copy(
        update={
            "paths": paths,
            "prep": config.prep.model_copy(update={"molecules": smiles_list}),
            "md": config.md.model_copy(
                update={"burst": config.md.burst.model_copy(update={"count": 0})}
            ),
            "hybrid": config.hybrid.model_copy(update={**chosen, "molecules": None}),
        }
    )

"""The options of the command line that are no settings."""

import argparse
from pathlib import Path


def add_smiles_options(parser: argparse.ArgumentParser) -> None:
    """The options with which one molecule goes from its SMILES to a report."""
    group = parser.add_argument_group("one molecule, from its SMILES to a report")
    group.add_argument(
        "--smiles", metavar="SMILES",
        help="prepare this molecule, simulate it with a network that comes with kstep, and judge "
        "the run against plain MD; files go to <paths.run>/<name>",
    )  # fmt: skip
    group.add_argument("--name", help="name of the molecule; default: a hash of the SMILES")


def add_system_options(parser: argparse.ArgumentParser) -> None:
    """The options with which one molecule goes from its OpenMM System to a report."""
    group = parser.add_argument_group("one molecule, from its OpenMM System to a report")
    group.add_argument(
        "--system", type=Path, metavar="XML",
        help="OpenMM System whose forces are the true ones, in place of prep's; files go to "
        "<paths.run>/<name>, named after its contents",
    )  # fmt: skip
    group.add_argument(
        "--topology", type=Path, metavar="PDB", help="elements, bonds and positions of its atoms"
    )


def add_external_options(parser: argparse.ArgumentParser) -> None:
    """The options with which `kstep eval` judges somebody else's integrator."""
    group = parser.add_argument_group("judging a trajectory of another program")
    group.add_argument(
        "--trajectory", type=Path, action="append", metavar="FILE",
        help="run at constant temperature: DCD, XTC, TRR, H5MD, MDTraj's HDF5 or NPZ; may be "
        "repeated: each file an independent run; give its friction with md.friction_per_ps",
    )  # fmt: skip
    group.add_argument(
        "--nve", type=Path, action="append", metavar="FILE",
        help="run at constant energy with the same integrator, with velocities: TRR, HDF5 or NPZ; "
        "may be repeated; with frames at most 0.064 ps apart its spectrum is judged too; default: "
        "none, and no verdict on energy and momenta",
    )  # fmt: skip
    group.add_argument("--topology", type=Path, metavar="FILE", help="PDB file of the molecule")
    group.add_argument("--system", type=Path, metavar="XML", help="OpenMM System it was run with")
    group.add_argument(
        "--temperature", type=float, metavar="K",
        help="of its thermostat, the only one the baseline is run at; default: the first of "
        "hybrid.temperature_K",
    )  # fmt: skip
    for name, of in (("--frame-ps", "--trajectory"), ("--nve-frame-ps", "--nve")):
        group.add_argument(
            name, type=float, metavar="PS",
            help=f"time between frames of {of}; default: as its files say, in their program's unit",
        )  # fmt: skip

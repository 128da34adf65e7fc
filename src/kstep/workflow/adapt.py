"""The stage: a network for each molecule, in the way that suits what it learns."""

from collections.abc import Sequence
from pathlib import Path

from kstep.adaptation import forces
from kstep.adaptation.beginnings import learns_forces, start_checkpoint
from kstep.artifacts import exclusive
from kstep.config import Config
from kstep.regressed.networks.checkpoint import load_jump
from kstep.system.prepared import PreparedMolecule
from kstep.workflow import adapt_by_bursts as bursts
from kstep.workflow.networks import adaptation_folder


def run(config: Config, molecules: Sequence[PreparedMolecule]) -> list[Path]:
    """Adapt the start network to every molecule; returns the checkpoints.

    A splitting with a learned potential learns from labelled states (`adapt.forces`), other
    networks from bursts (`adapt.bursts`). `<paths.run>/adapt/<name>/record.json` has the
    true-force calls this took. What is finished is not done again; `kstep run
    hybrid.network=adapted` uses it.

    Raises ArtifactError when the start network does not fit a molecule or a folder holds an
    adaptation with other settings.
    """
    return [_adapt(config, molecule) for molecule in molecules]


def _adapt(config: Config, molecule: PreparedMolecule) -> Path:
    folder, start = adaptation_folder(config, molecule), start_checkpoint(config)
    with exclusive(folder):
        if start is None or learns_forces(load_jump(start).model):
            return forces.adapt(config, molecule, folder)
        return bursts.adapt(config, molecule, start, folder)

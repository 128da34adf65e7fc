"""Whether a molecule is one that the networks that come with kstep can be trusted with."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from kstep.config import Config
from kstep.integrators.correctors import CORRECTORS
from kstep.regressed.learned import as_configured
from kstep.regressed.networks.checkpoint import load_jump
from kstep.regressed.networks.physics import JumpPhysics, require_match, resembles
from kstep.system.environments import environments, familiar_share, strange_shells
from kstep.system.prepared import PreparedMolecule

FAMILIAR = 0.5
"""Below this share of known environments a molecule is called far from the training set."""


def check_molecules(
    config: Config, molecules: Sequence[PreparedMolecule], checkpoint: Path
) -> None:
    """Warn on standard error of molecules that are unlike those of the training.

    Raises ArtifactError when one has elements or masses the network has not seen, or when the
    network was trained for other steps.
    """
    physics = as_configured(load_jump(checkpoint).model, config).physics
    for molecule in molecules:
        _check_molecule(config, molecule, physics, checkpoint.stem)


def _check_molecule(
    config: Config, molecule: PreparedMolecule, physics: JumpPhysics, name: str
) -> None:
    require_match(
        physics,
        f"the shipped network {name}",
        k_steps=config.stride,
        dt_ps=config.md.dt_ps,
        landing=CORRECTORS[config.hybrid.corrector].landing,
        elements=molecule.numbers.tolist(),
        masses=molecule.masses.tolist(),
        molecule=molecule.name,
        potential=molecule.potential_title,
    )
    for sentence in remarks(physics, molecule):
        tqdm.write(f"warning: {molecule.name}: {sentence}", file=sys.stderr)


def remarks(physics: JumpPhysics, molecule: PreparedMolecule) -> list[str]:
    """What is unusual about a molecule for a network, in sentences; none where nothing is."""
    own = environments(molecule.numbers, molecule.bonds)
    strange = strange_shells(own, physics.environments)
    share = familiar_share(own, physics.environments)
    found = []
    if resembles(physics, molecule.potential_title):
        found.append(
            f"the network learned the forces of {physics.potential}, not those of its System, "
            "whose terms it takes for such; consider `kstep adapt`."
        )
    if strange:
        found.append(
            f"the network has never seen {', '.join(strange)} (an atom and its neighbours); "
            "consider `kstep adapt`."
        )
    if share < FAMILIAR:
        found.append(
            f"only {share:.0%} of its atoms are in surroundings the network was trained on; "
            "consider `kstep adapt`."
        )
    return found

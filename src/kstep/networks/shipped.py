"""The networks that come with kstep, and whether a molecule is one they can be trusted with."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from kstep.config import Config
from kstep.environments import environments, familiar_share, strange_shells
from kstep.errors import ArtifactError
from kstep.hybrid.correctors import CORRECTORS
from kstep.hybrid.learned import as_configured
from kstep.model import JumpPhysics, load_jump, require_match
from kstep.molecule import Molecule

WEIGHTS = Path(__file__).parent / "weights"
FAMILIAR = 0.5
"""Below this share of known environments a molecule is called far from the training set."""


def weights_file(arch: str, k_steps: int) -> Path:
    """Where the shipped network of an architecture lies; a splitting has one for all strides."""
    return WEIGHTS / ("splitting.ckpt" if arch == "splitting" else f"{arch}_k{k_steps}.ckpt")


def shipped_checkpoint(config: Config) -> Path:
    """The shipped network for `model.arch` and `train.k_steps`; a splitting is for all strides.

    Raises ArtifactError where there is none.
    """
    arch, k_steps = config.model.arch, config.train.k_steps
    path = weights_file(arch, k_steps)
    if not path.exists():
        there = sorted(int(p.stem.rpartition("_k")[2]) for p in WEIGHTS.glob(f"{arch}_k*.ckpt"))
        if not there:
            raise ArtifactError(
                f"no network of model.arch={arch} is shipped: choose another, or train one and set "
                "hybrid.network=trained."
            )
        raise ArtifactError(
            f"no network is shipped for k = {k_steps}: set train.k_steps to "
            f"{' or '.join(map(str, there))}, or train one and set hybrid.network=trained."
        )
    return path


def check_molecules(config: Config, molecules: Sequence[Molecule], checkpoint: Path) -> None:
    """Warn on standard error of molecules that are unlike those of the training.

    Raises ArtifactError when one has elements or masses the network has not seen, or when the
    network was trained for other steps.
    """
    physics = as_configured(load_jump(checkpoint).model, config).physics
    for molecule in molecules:
        _check_molecule(config, molecule, physics, checkpoint.stem)


def _check_molecule(config: Config, molecule: Molecule, physics: JumpPhysics, name: str) -> None:
    require_match(
        physics,
        f"the shipped network {name}",
        k_steps=config.train.k_steps,
        dt_ps=config.md.dt_ps,
        landing=CORRECTORS[config.hybrid.corrector].landing,
        elements=molecule.numbers.tolist(),
        masses=molecule.masses.tolist(),
        molecule=molecule.name,
        potential=molecule.potential.title,
    )
    for sentence in remarks(physics, molecule):
        tqdm.write(f"warning: {molecule.name}: {sentence}", file=sys.stderr)


def remarks(physics: JumpPhysics, molecule: Molecule) -> list[str]:
    """What is unusual about a molecule for a network, in sentences; none where nothing is."""
    own = environments(molecule.numbers, molecule.bonds)
    strange = strange_shells(own, physics.environments)
    share = familiar_share(own, physics.environments)
    found = []
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

"""A System that was given in place of one that `kstep prep` made, as a prepared molecule."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from jaxtyping import Float

from kstep.artifacts import exclusive
from kstep.config import Config, PotentialConfig
from kstep.errors import ArtifactError
from kstep.integrators.openmm_steps import CONSTRAINT_TOLERANCE, velocity_verlet
from kstep.integrators.platforms import make_context
from kstep.interop.parts import Parts, read_parts
from kstep.interop.topology import read_positions
from kstep.potentials import minimise
from kstep.system.prepared import PreparedMolecule
from kstep.workflow.external.folder import find_molecule, molecule_name, write_molecule
from kstep.workflow.external.scoring import ANY_DT_PS, no_energy


@dataclass(frozen=True, eq=False)
class Start:
    """Where the search for an energy minimum begins.

    Attributes:
        x: nm [N, 3].
        source: the file it is from.
    """

    x: Float[np.ndarray, "N 3"]
    source: Path


def prepare(config: Config, topology: Path, system: Path) -> Config:
    """Make a molecule of a PDB file and its OpenMM System, in a folder of its own.

    It becomes `<paths.run>/<name>/data/raw/<name>`, named after both files; an earlier call's is
    kept. Returns the configuration with which all stages go on from there.

    Raises ArtifactError for files that cannot be read or do not fit each other, and for a System
    that kstep cannot simulate.
    """
    parts = read_parts(topology, system)
    name = molecule_name(topology, system)
    folder = config.paths.run / name
    start = Start(read_positions(topology), topology)
    with exclusive(folder):
        molecule_of(folder / "data" / "raw", name, parts, system, start)
    paths = config.paths.model_copy(update={"data": folder / "data", "run": folder})
    return used_as_it_is(config, parts).model_copy(update={"paths": paths})


def molecule_of(
    raw: Path, name: str, parts: Parts, system_xml: Path, start: Start
) -> PreparedMolecule:
    """`raw/<name>` as an earlier call left it, or made at the minimum under a start."""
    known = find_molecule(raw, name)
    if known is not None:
        return known
    return write_molecule(raw, name, parts, _minimum(parts.system, start), system_xml)


def used_as_it_is(config: Config, parts: Parts) -> Config:
    """The settings that say what is in a System, and cut nothing off."""
    bonded_hydrogen = bool((parts.numbers[parts.bonds] == 1).any())
    constrained = len(parts.constraints) > 0
    if constrained and not bonded_hydrogen:
        raise ArtifactError(
            "the System constrains bonds but has no hydrogen: make it without constraints."
        )
    solvated = any(isinstance(f, openmm.GBSAOBCForce) for f in parts.system.getForces())
    contents = {
        "constraints": "HBonds" if constrained else "None",
        "implicit_solvent": "OBC2" if solvated else "None",
    }
    return config.model_copy(
        update={
            "potential": PotentialConfig(name="system"),
            "prep": config.prep.model_copy(update=contents),
            "md": config.md.model_copy(update={"nonbonded_cutoff_nm": None, **contents}),
        }
    )


def _minimum(system: openmm.System, start: Start) -> Float[np.ndarray, "N 3"]:
    """The energy minimum under a start, nm; ArtifactError where there is no finite energy."""
    context = make_context(system, velocity_verlet(ANY_DT_PS), "Reference")
    context.setPositions(start.x)
    context.applyConstraints(CONSTRAINT_TOLERANCE)
    minimise(context)
    minimum = np.array(context.getState(positions=True).getPositions(asNumpy=True)._value)
    if not np.isfinite(minimum).all():
        raise no_energy(start.source)
    return minimum

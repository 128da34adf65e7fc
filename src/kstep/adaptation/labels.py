"""Labels in files: what the true potential said once need not be asked for again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kstep.artifacts import Record, hash_bytes, read_finished, read_npz, write_npz
from kstep.errors import ArtifactError, SimulationError
from kstep.protocols import Labels, PerReplica, Replicas
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.prepared import PreparedMolecule

SCHEMA, SCHEMA_VERSION = "kstep.labels", 2
ARRAYS = ("x", "energies", "forces")
ABSURD = 2.0
"""Labels whose forces are this many times as large as the median of their round teach nothing."""


def labels_at(
    x: Replicas, energies: PerReplica, forces: Replicas, masses: Float[np.ndarray, " N"]
) -> Labels:
    """Labels as files have them: about the centre of mass, in float32 but for the energies."""
    centred = remove_centre_of_mass(x, masses)
    return Labels(centred.astype(np.float32), energies, forces.astype(np.float32))


def save_labels(path: Path, labels: Labels, record: Record) -> None:
    """Write labels, with a record that `labels_record` began."""
    write_npz(path, {name: getattr(labels, name) for name in ARRAYS}, record)


def labels_record(**content: object) -> Record:
    """The record of a file of labels."""
    return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **content}


def finished_labels(path: Path, record: Record) -> Labels | None:
    """The labels of a file if it is whole and of this very record, else None."""
    arrays = read_finished(path, record, ARRAYS)
    return None if arrays is None else Labels(*(arrays[name] for name in ARRAYS))


def load_labels(path: Path) -> tuple[Labels, Record]:
    """The labels of a file, and its record; version 1 kept no energies, which are NaN.

    Raises ArtifactError for a file that is missing, truncated or something else.
    """
    try:
        arrays, record = read_npz(path, SCHEMA, SCHEMA_VERSION, ARRAYS)
    except ArtifactError as error:
        try:
            arrays, record = read_npz(path, SCHEMA, 1, ("x", "forces"))
        except ArtifactError:
            raise error from None
        arrays["energies"] = np.full(len(arrays["x"]), np.nan)
    return Labels(*(arrays[name] for name in ARRAYS)), record


def paid_for(
    folders: Sequence[Path], molecule: PreparedMolecule, cutoff_nm: float | None
) -> Labels:
    """All that can be learned from in folders of labels.

    Args:
        folders: in which adaptations to the molecule left their labels.
        molecule: as it was prepared for them.
        cutoff_nm: of its nonbonded forces, nm; None: there is none.

    Raises ArtifactError for a folder without labels, and for labels of another molecule,
    preparation, potential or cutoff.
    """
    found = no_labels(molecule.n_atoms)
    for folder in folders:
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise ArtifactError(
                f"{folder} holds no labels of {molecule.name}: give adapt.earlier_runs the "
                "paths.run of an adaptation to it, or leave that out."
            )
        for path in paths:
            labels, record = load_labels(path)
            settings = record.get("settings", {}).get("md", {})  # version 1 did not say them
            same_cutoff = settings.get("nonbonded_cutoff_nm", cutoff_nm) == cutoff_nm
            if record.get("fingerprint") != molecule.fingerprint or not same_cutoff:
                raise ArtifactError(
                    f"{path} has labels of another molecule, preparation, potential or cutoff "
                    f"than {molecule.name}'s: take its run out of adapt.earlier_runs."
                )
            found = found.joined(sensible(labels, molecule.name))
    return found


def no_labels(n_atoms: int) -> Labels:
    """None yet."""
    x, forces = np.zeros((2, 0, n_atoms, 3), np.float32)
    return Labels(x, np.zeros(0), forces)


def sensible(labels: Labels, name: str) -> Labels:
    """Those that can be learned from: finite, and not torn apart."""
    sizes = np.sqrt((labels.forces.astype(np.float64) ** 2).mean((1, 2)))
    finite = np.isfinite(sizes)
    if not finite.any():
        raise SimulationError(
            f"{name}: the potential has no energy at any of {len(labels)} geometries: check its "
            "settings and the molecule."
        )
    kept = finite & (sizes <= ABSURD * np.median(sizes[finite]))
    return Labels(labels.x[kept], labels.energies[kept], labels.forces[kept])


def digest(labels: Labels) -> str:
    """A hash of their numbers."""
    return hash_bytes(b"".join(getattr(labels, name).tobytes() for name in ARRAYS))

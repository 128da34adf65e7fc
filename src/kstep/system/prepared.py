"""Prepared molecules in folders: what `kstep prep` leaves of them, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from kstep.artifacts import hash_bytes, hash_file, read_json, write_json
from kstep.config import Config, PotentialConfig, PrepConfig
from kstep.errors import ArtifactError, ConfigError
from kstep.system.force_field import Terms, forces_hash, foreign_forces, read_terms
from kstep.system.invariance import external_forces
from kstep.system.molecule import Molecule
from kstep.system.names import check_name
from kstep.system.vibrations import check_step

SCHEMA = "kstep.molecule"
SCHEMA_VERSION = 1
INDEX_SCHEMA = "kstep.molecules"
_HASH_DIGITS = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedMolecule(Molecule):
    """A molecule as `prep` left it in `data/raw/<name>/`.

    Attributes:
        directory: the folder with `molecule.pdb`, `molecule.sdf`, `system.xml`, `manifest.json`.
        manifest: the whole of `manifest.json` (versions, hashes, charges, remarks).
    """

    directory: Path
    manifest: dict[str, Any]

    @property
    def system_xml(self) -> Path:
        """The serialised OpenMM System."""
        return self.directory / "system.xml"

    @cached_property
    def potential(self) -> PotentialConfig:
        """The potential it was prepared for; a folder that says nothing is openff's.

        Raises ArtifactError when this kstep does not know it.
        """
        try:
            return PotentialConfig.model_validate(self.manifest.get("potential", {}))
        except ValidationError:
            raise ArtifactError(
                f"{self.directory / 'manifest.json'} names a potential that this kstep does not "
                "know: run `kstep prep` again."
            ) from None

    @cached_property
    def potential_title(self) -> str:
        """What moves it, in few words: what a network must have learned to be of use with it.

        A System that was given is `system` and the first digits of a hash of its forces, and the
        kinds of those that no network's force-field terms stand for.
        """
        if self.potential.name == "system":
            text = self.system_xml.read_text(encoding="utf-8")
            return " ".join(["system", forces_hash(text)[:_HASH_DIGITS], *foreign_forces(text)])
        # Molecules made before other settings were kept have their defaults.
        prep = PrepConfig().model_copy(update=self.manifest.get("config", {}))
        return self.potential.title(prep.force_field, prep.implicit_solvent)

    @cached_property
    def terms(self) -> Terms:
        """The terms of its force field; ArtifactError where its file does not hold them."""
        return read_terms(self.system_xml)

    @cached_property
    def external_forces(self) -> tuple[str, ...]:
        """Kinds of forces in its System that act from outside, so that momenta do not stay.

        Raises ArtifactError when the file is missing or holds no System.
        """
        try:
            return external_forces(self.system_xml.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ArtifactError(
                f"{self.system_xml} is not an OpenMM System: delete its folder and run "
                "`kstep prep` again."
            ) from None

    @property
    def pdb(self) -> Path:
        """The minimised conformer as PDB: the topology of every trajectory."""
        return self.directory / "molecule.pdb"

    @property
    def fingerprint(self) -> str:
        """Hash of everything later stages read: the manifest and the System.

        The manifest records the hashes of the other files.
        """
        own = hash_file(self.directory / "manifest.json") + hash_file(self.system_xml)
        return hash_bytes(own.encode())


def describe(molecule: Molecule) -> dict[str, Any]:
    """What a manifest says of a molecule itself, as `load_molecule` reads it."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "name": molecule.name,
        "smiles": molecule.smiles,
        "charge": molecule.charge,
        "numbers": molecule.numbers.tolist(),
        "masses_Da": molecule.masses.tolist(),
        "positions_nm": molecule.positions.tolist(),
        "bonds": molecule.bonds.tolist(),
        "constraints": molecule.constraints.tolist(),
    }


def load_molecule(directory: Path) -> PreparedMolecule:
    """Read one prepared molecule.

    Raises ArtifactError when the folder is incomplete or its System is not the one that the
    manifest describes, MoleculeError for a name that cannot name files.
    """
    path = directory / "manifest.json"
    manifest = read_json(path)
    if (manifest.get("schema"), manifest.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise ArtifactError(f"{path} is not a manifest of this kstep: run `kstep prep` again.")
    for filename, expected in manifest["hashes"].items():
        if hash_file(directory / filename) != expected:
            raise ArtifactError(
                f"{directory / filename} was changed after `kstep prep` wrote it: "
                "delete the folder and run `kstep prep` again."
            )
    return PreparedMolecule(
        name=check_name(manifest["name"]),
        smiles=manifest["smiles"],
        directory=directory,
        numbers=np.array(manifest["numbers"], dtype=np.int64),
        masses=np.array(manifest["masses_Da"], dtype=np.float64),
        positions=np.array(manifest["positions_nm"], dtype=np.float64).reshape(-1, 3),
        charge=int(manifest.get("charge", 0)),  # folders of older ones hold neutral molecules
        bonds=np.array(manifest["bonds"], dtype=np.int64).reshape(-1, 2),
        constraints=np.array(manifest["constraints"], dtype=np.int64).reshape(-1, 2),
        system=(directory / "system.xml").read_text(encoding="utf-8", errors="replace"),
        manifest=manifest,
    )


def write_index(raw: Path, names: list[str], failures: list[dict[str, Any]]) -> None:
    """Write `index.json`: the molecules of the list last prepared, and its lines that failed."""
    content = {"schema": INDEX_SCHEMA, "schema_version": 1}
    write_json(raw / "index.json", {**content, "molecules": names, "failures": failures})


def load_molecules(raw: Path) -> list[PreparedMolecule]:
    """The molecules of the list last prepared in `data/raw`, in its order.

    Raises ArtifactError when nothing was prepared there or a folder is not as it was made,
    MoleculeError for a name that would lead out of it.
    """
    index = raw / "index.json"
    if not index.exists():
        raise ArtifactError(f"{raw} holds no prepared molecule: run `kstep prep` first.")
    content = read_json(index)
    if content.get("schema") != INDEX_SCHEMA:
        raise ArtifactError(f"{index} is not an index of kstep: run `kstep prep` again.")
    names = content.get("molecules")
    if not names:
        raise ArtifactError(
            f"{index} lists no molecule: run `kstep prep` again, on a list of which some can be "
            "prepared."
        )
    return [load_molecule(raw / check_name(name)) for name in names]


def prepared_molecules(config: Config) -> list[PreparedMolecule]:
    """The molecules of `<paths.data>/raw`, prepared for the configured potential.

    Raises ArtifactError as `load_molecules`, ConfigError for those of another potential and for a
    time step that their masses do not allow.
    """
    raw, wanted = config.paths.data / "raw", config.potential.identity
    molecules = load_molecules(raw)
    for molecule in molecules:
        found = molecule.potential.identity
        if found != wanted:
            raise ConfigError(
                f"{molecule.directory} was prepared with {_settings(found)} but the configuration "
                f"says {_settings(wanted)}: give the former to this command too, or run "
                "`kstep prep` with the latter and another paths.data."
            )
        check_step(molecule, config.md.dt_ps)
    return molecules


def _settings(identity: Mapping[str, object]) -> str:
    return " ".join(f"potential.{key}={value}" for key, value in identity.items())

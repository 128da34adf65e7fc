"""The bursts of one molecule: short NVE runs that the md stage stored with its trajectory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from kstep.artifacts import hash_file, read_npz
from kstep.config import OPENFF
from kstep.errors import ArtifactError
from kstep.system.force_field import TERM_ARRAYS, Terms
from kstep.system.mechanics import centre_of_mass
from kstep.system.trajectory import SCHEMA, SCHEMA_VERSION

STATES = ("burst_pos", "burst_vel", "burst_forces", "burst_vel_half")
KEYS = (
    *(*STATES, "burst_frame", "segment", "numbers", "masses"),
    *(f"terms_{name}" for name in TERM_ARRAYS),
)
REMEDY = "run `kstep md` again"


@dataclass(frozen=True, eq=False)
class Source:
    """What is to be known of a molecule's bursts before they are cut.

    Attributes:
        path: the NPZ of the md stage.
        hash: of its bytes.
        molecule: its name.
        fingerprint: of the prepared molecule that was simulated.
        potential: what moved it (`PreparedMolecule.potential_title`).
        dt_ps: base step, ps.
        temperatures: K.
        stride: base steps between stored states.
        length: base steps from the first to the last state of a burst.
        frame: trajectory frame that every burst started from [B].
        stretch: index of the continuous piece of trajectory that frame lies in [B].
        numbers: atomic numbers [N].
        masses: Da [N].
        terms: of its force field.
    """

    path: Path
    hash: str
    molecule: str
    fingerprint: str
    potential: str
    dt_ps: float
    temperatures: tuple[float, ...]
    stride: int
    length: int
    frame: Int[np.ndarray, " B"]
    stretch: Int[np.ndarray, " B"]
    numbers: Int[np.ndarray, " N"]
    masses: Float[np.ndarray, " N"]
    terms: Terms

    @property
    def n_states(self) -> int:
        """Stored states per burst."""
        return self.length // self.stride + 1


@dataclass(frozen=True, eq=False)
class States:
    """The stored states of all bursts of a molecule, relative to its centre of mass.

    Attributes:
        x: nm [B, S, N, 3].
        v: nm/ps.
        f: kJ/mol/nm.
        v_half: mean velocity over the base step that follows each state, nm/ps.
    """

    x: Float32[np.ndarray, "B S N 3"]
    v: Float32[np.ndarray, "B S N 3"]
    f: Float32[np.ndarray, "B S N 3"]
    v_half: Float32[np.ndarray, "B S N 3"]


def survey(path: Path) -> Source:
    """Check the bursts of one file and describe them.

    Raises ArtifactError for a file that is missing, truncated or not of the md stage, that
    holds no bursts, whose arrays disagree or are not finite.
    """
    arrays, record = read_npz(path, SCHEMA, SCHEMA_VERSION, KEYS)
    try:
        source = _describe(path, arrays, record)
    except (KeyError, TypeError, ValueError, IndexError):
        raise ArtifactError(
            f"{path} does not say how its bursts were made: delete it and {REMEDY}."
        ) from None
    if len(source.frame) == 0:
        raise ArtifactError(
            f"{path} holds no bursts: set md.burst.count above 0, delete the file and {REMEDY}."
        )
    shape = (len(source.frame), source.n_states, len(source.masses), 3)
    if any(arrays[key].shape != shape for key in STATES) or len(source.numbers) != shape[2]:
        raise ArtifactError(f"{path} has bursts of the wrong shape: delete it and {REMEDY}.")
    if not all(np.isfinite(arrays[key]).all() for key in STATES):
        raise ArtifactError(
            f"{path} has bursts that are not finite: delete it and {REMEDY} with a shorter "
            "md.dt_fs."
        )
    return source


def read_states(source: Source) -> States:
    """The states of a surveyed file, with the centre of mass at the origin and at rest.

    The half-step velocities lose the velocity of the centre of mass at their own state: no net
    force acts, so it is theirs too.
    """
    arrays, _ = read_npz(source.path, SCHEMA, SCHEMA_VERSION, KEYS)
    x, v, f, v_half = (arrays[key].astype(np.float64) for key in STATES)
    drift = centre_of_mass(v, source.masses)[..., None, :]
    x -= centre_of_mass(x, source.masses)[..., None, :]
    return States(*(array.astype(np.float32) for array in (x, v - drift, f, v_half - drift)))


def _describe(path: Path, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> Source:
    frame = arrays["burst_frame"].astype(np.int64)
    return Source(
        path=path,
        hash=hash_file(path),
        molecule=str(record["molecule"]),
        fingerprint=str(record["fingerprint"]),
        potential=str(record.get("potential_title", OPENFF)),  # older files do not say
        dt_ps=float(record["dt_ps"]),
        temperatures=tuple(float(value) for value in record["temperatures_K"]),
        stride=int(record["burst_stride_steps"]),
        length=int(record["burst_length_steps"]),
        frame=frame,
        stretch=arrays["segment"][frame].astype(np.int64),
        numbers=arrays["numbers"].astype(np.int64),
        masses=arrays["masses"].astype(np.float64),
        terms=Terms(**{name: arrays[f"terms_{name}"] for name in TERM_ARRAYS}),
    )

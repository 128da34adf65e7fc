"""The true energy of somebody's frames, and the trajectory that the referee reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from jaxtyping import Float

from kstep import __version__
from kstep.artifacts import hash_file
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.integrators.openmm_steps import velocity_verlet
from kstep.integrators.platforms import make_context, resolve_platform
from kstep.interop.precision import NOTABLE_NM
from kstep.interop.stretch import Stretch
from kstep.potentials.systems import load_system
from kstep.progress import progress
from kstep.system.mechanics import kinetic_energy
from kstep.system.motion import Motion, motion_record
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import NVE, Trajectory, trajectory_record

ANY_DT_PS = 0.001
"""Contexts need an integrator, even where no step is made."""


@dataclass(frozen=True, eq=False)
class Source:
    """One independent run of the candidate.

    Attributes:
        path: its file.
        kind: `kstep.system.trajectory.NVT` or `NVE`.
        spacing: time between frames, ps.
        stretch: the frames.
        remarks: what was found about their times, clauses.
    """

    path: Path
    kind: int
    spacing: float
    stretch: Stretch
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's, fit to be written down: bytes that are no UTF-8 become question marks."""
        return self.path.name.encode(errors="replace").decode()

    @property
    def told(self) -> dict[str, object]:
        """What was taken from the file: for the record, and so for the report."""
        return {
            "file": self.name,
            "frames": len(self.stretch.pos),
            "frame_ps": self.spacing,
            "remarks": list(self.remarks),
        }


def score(config: Config, molecule: PreparedMolecule, sources: Sequence[Source]) -> Trajectory:
    """The frames of all sources as one trajectory, a segment each.

    Positions are kept as they are; the potential energy is that of the molecule's System. Its
    record names the first file as the candidate and has no `k_steps`; nobody knows the force
    calls, so they are zero.

    Args:
        config: as the baseline is run.
        molecule: whose frames they are.
        sources: in the order of the segments; all hold velocities, or none does.
    """
    md, temperature = config.md, config.hybrid.temperatures[0]
    system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
    platform, _ = resolve_platform(config.hybrid.platform, system, molecule.positions, md.dt_ps)
    pos = np.concatenate([one.stretch.pos for one in sources])
    velocities = [one.stretch.vel for one in sources if one.stretch.vel is not None]
    vel = np.concatenate(velocities) if velocities else np.full_like(pos, np.nan)
    epot = np.concatenate([_energies(system, platform, s.stretch.pos, s.path) for s in sources])
    ekin = kinetic_energy(vel, molecule.masses)
    error = max(one.stretch.error for one in sources)
    lengths = [len(one.stretch.pos) for one in sources]
    files = dict.fromkeys(one.path for one in sources)
    return Trajectory(
        pos=pos,
        vel=vel,
        box=np.zeros((len(pos), 3, 3)),
        epot=epot,
        ekin=ekin,
        etot=epot + ekin,
        times=np.concatenate([s.spacing * np.arange(1.0, len(s.stretch.pos) + 1) for s in sources]),
        segment=np.repeat(np.arange(len(lengths)), lengths),
        segment_kind=np.array([one.kind for one in sources], dtype=np.int64),
        segment_temperature=np.full(len(lengths), temperature),
        force_calls=np.zeros(len(pos), dtype=np.int64),
        numbers=molecule.numbers,
        masses=molecule.masses,
        record=trajectory_record(
            molecule=molecule.name,
            fingerprint=molecule.fingerprint,
            candidate=sources[0].name,
            velocities=bool(velocities),
            force_calls="unknown",
            temperatures_K=[temperature],
            save_interval_ps=sources[0].spacing,
            position_error_nm=error,
            # XTC's 0.001 nm lifts the potential energy of a small molecule by some 0.5 kJ/mol and
            # scatters it by 1.5: too much to judge its distribution by.
            rounding_nm=2.0 * error if error >= NOTABLE_NM else 0.0,
            sources=[one.told for one in sources],
            constraints=md.constraints,
            n_constraints=system.getNumConstraints(),
            nonbonded_cutoff_nm=md.nonbonded_cutoff_nm,
            source_hashes=[hash_file(path) for path in files],
            platform=platform,
            versions={"kstep": __version__, "openmm": openmm.__version__},
        ),
    )


def motion_in(candidate: Trajectory, spacing: float) -> Motion:
    """The NVE windows of a candidate as densely saved ones, all as long as the shortest.

    Args:
        candidate: as `score` makes it.
        spacing: time between their frames, ps.
    """
    windows = candidate.segments(NVE)
    frames = np.stack([window[: min(map(len, windows))] for window in windows])
    record = motion_record(
        **candidate.record, temperature_K=float(candidate.segment_temperature[0])
    )
    vel = candidate.vel[frames].astype(np.float32)
    return Motion(vel, candidate.epot[frames], candidate.ekin[frames], spacing, record)


def _energies(
    system: openmm.System, platform: str, pos: Float[np.ndarray, "T N 3"], source: Path
) -> Float[np.ndarray, " T"]:
    """The true potential energy of every frame, kJ/mol."""
    context = make_context(system, velocity_verlet(ANY_DT_PS), platform)
    epot = np.empty(len(pos))
    with progress(f"energies of {source.name}", float(len(pos)), "frames") as bar:
        for index, x in enumerate(pos):
            context.setPositions(x)
            epot[index] = context.getState(energy=True).getPotentialEnergy()._value
            bar.update(1)
    if not np.isfinite(epot).all():
        raise no_energy(source)
    return epot


def no_energy(source: Path) -> ArtifactError:
    """What to raise when the System has no energy at a file's positions."""
    return ArtifactError(
        f"{source} has frames where the System has no finite energy: check that the System is of "
        "this molecule, with its atoms in the same order."
    )

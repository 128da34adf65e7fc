"""The files of one molecule's hybrid run, and whether they are finished."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kstep.artifacts import Record
from kstep.config import Config
from kstep.errors import ArtifactError
from kstep.system.motion import load_motion, motion_of
from kstep.system.prepared import PreparedMolecule
from kstep.system.trajectory import load_trajectory
from kstep.workflow.hybrid.map_file import load_map_record, map_of
from kstep.workflow.hybrid.setup import run_hash


@dataclass(frozen=True)
class Output:
    """One file of a run.

    Attributes:
        path: where it lies.
        wanted: whether the configuration asks for it.
        config_hash: of the settings that shape it.
        stride: of the run, base steps.
        read: gives its record; ArtifactError when it is not whole.
    """

    path: Path
    wanted: bool
    config_hash: str
    stride: int
    read: Callable[[Path], Record]

    def is_finished(self, molecule: PreparedMolecule, checkpoint_hash: str) -> bool:
        """Whether nothing is left to do for it.

        Raises ArtifactError when it was made from another molecule, configuration or checkpoint,
        or with another stride.
        """
        if not self.path.exists():
            return not self.wanted
        record = self.read(self.path)
        expected = {
            "fingerprint": (molecule.fingerprint, "preparation of the molecule"),
            "config_hash": (self.config_hash, "configuration"),
            "checkpoint_hash": (checkpoint_hash, "checkpoint"),
            "k_steps": (self.stride, f"stride than {self.stride} base steps"),
        }
        for key, (value, words) in expected.items():
            if record.get(key) != value:
                raise ArtifactError(
                    f"{self.path} was made with another {words}: delete it to run again, "
                    "or choose another paths.run."
                )
        return True


@dataclass(frozen=True)
class Outputs:
    """All files of a run that are tested for being finished."""

    trajectory: Output
    motion: Output
    map: Output

    def are_finished(self, molecule: PreparedMolecule, checkpoint_hash: str) -> bool:
        """Whether nothing is left to do; raises as `Output.is_finished`, whichever file it is."""
        finished = [
            file.is_finished(molecule, checkpoint_hash)
            for file in (self.trajectory, self.motion, self.map)
        ]
        return all(finished)


def outputs_of(config: Config, target: Path) -> Outputs:
    """The files of the run whose trajectory is `target`."""
    hybrid, stride = config.hybrid, config.stride
    return Outputs(
        trajectory=Output(
            target, True, run_hash(config), stride, lambda p: load_trajectory(p).record
        ),
        motion=Output(
            motion_of(target),
            hybrid.motion.windows > 0,
            run_hash(config, "motion"),
            stride,
            lambda p: load_motion(p).record,
        ),
        map=Output(
            map_of(target),
            hybrid.map_samples > 0,
            run_hash(config, "map_samples"),
            stride,
            load_map_record,
        ),
    )

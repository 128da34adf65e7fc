"""The networks that come with kstep."""

from pathlib import Path

from kstep.config import Config
from kstep.errors import ArtifactError

WEIGHTS = Path(__file__).parent / "weights"


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

"""The force-field-like potential of one molecule as a surrogate, and its file."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from kstep.artifacts import hash_bytes, write_bytes
from kstep.compiled.propagation import ByKernel, Kernel
from kstep.config import ModelConfig
from kstep.errors import ArtifactError
from kstep.protocols import Identity, Labels
from kstep.surrogates.force_field_like.fit import FitSettings, Report, fit_network
from kstep.surrogates.force_field_like.kernel import make_kernel
from kstep.surrogates.force_field_like.layers import silence
from kstep.surrogates.force_field_like.potential import LearnedPotential
from kstep.surrogates.shipped import WEIGHTS
from kstep.system.molecule import Molecule

SCHEMA, SCHEMA_VERSION = "kstep.surrogate", 1
JUMP_SCHEMA = "kstep.jump"
"""Of files by earlier versions, which kept the network inside a jump of some stride."""


@dataclass(frozen=True, eq=False)
class ForceFieldLike(ByKernel):
    """A learned potential in the form of a force field, for one molecule.

    Attributes:
        molecule: whose potential it is; it needs a force field to start from.
        network: what makes the coefficients.
        config: its sizes.
        settings: of the next fit.
        learned_from: hashes of the labels of all fits so far.
        report: told of the share of a fit that is done since it was last told.
    """

    molecule: Molecule
    network: LearnedPotential
    config: ModelConfig
    settings: FitSettings = field(default_factory=FitSettings)
    learned_from: tuple[str, ...] = ()
    report: Report = field(default=lambda share: None)

    @classmethod
    def fresh(cls, molecule: Molecule, config: ModelConfig, seed: int = 42) -> "ForceFieldLike":
        """Untrained: of forces it knows what the molecule's force field says of its terms."""
        with _seeded(seed):
            network = LearnedPotential(config)
        return cls(molecule, network.eval().requires_grad_(False), config)

    @classmethod
    def shipped(cls, molecule: Molecule) -> "ForceFieldLike":
        """The network that comes with kstep, which knows OpenFF's forces; strains are added.

        Strains couple the terms around an atom, which expensive potentials need. They are silent
        until it has learned.
        """
        loaded = cls.load(WEIGHTS / "splitting.ckpt", molecule)
        return loaded.with_strains(seed=42)

    def with_strains(self, seed: int) -> "ForceFieldLike":
        """The same potential, with atoms that may learn to feel the strains around them."""
        if self.config.strains:
            return self
        config = self.config.model_copy(update={"strains": True})
        with _seeded(seed):
            grown = LearnedPotential(config)
        grown.load_state_dict(self.network.state_dict(), strict=False)
        assert grown.nonbonded.strain is not None
        silence(grown.nonbonded.strain)
        return replace(self, network=grown.eval().requires_grad_(False), config=config)

    @property
    def identity(self) -> Identity:
        """Kind, sizes, a hash of the weights, and what they learned from."""
        weights = b"".join(
            value.numpy(force=True).tobytes() for value in self.network.state_dict().values()
        )
        return {
            "surrogate": "force_field_like",
            "config": self.config.model_dump(mode="json"),
            "weights": hash_bytes(weights),
            "learned_from": list(self.learned_from),
        }

    def fit(self, labels: Labels) -> "ForceFieldLike":
        """Trained further on labels, for `settings.steps` steps."""
        network = fit_network(self.network, self.molecule, labels, self.settings, self.report)
        digest = hash_bytes(labels.x.tobytes() + labels.energies.tobytes())
        learned_from = (*self.learned_from, digest)
        return replace(self, network=network, learned_from=learned_from)

    def save(self, path: Path) -> None:
        """Write weights, sizes and what they learned from, atomically."""
        content = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "model_config": self.config.model_dump(mode="json"),
            "learned_from": list(self.learned_from),
            "weights": {name: value.cpu() for name, value in self.network.state_dict().items()},
        }
        stream = io.BytesIO()
        torch.save(content, stream)
        write_bytes(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path, molecule: Molecule) -> "ForceFieldLike":
        """Read a file of `save`, or a checkpoint that held such a network before.

        Raises ArtifactError when it is missing, damaged or holds something else.
        """
        content = _read(path)
        config = ModelConfig.model_validate(content["model_config"])
        network = LearnedPotential(config)
        try:
            network.load_state_dict(content["weights"])
        except RuntimeError:
            raise ArtifactError(
                f"{path} does not fit the network it describes: fit the surrogate again."
            ) from None
        learned_from = tuple(content.get("learned_from", ()))
        frozen = network.eval().requires_grad_(False)
        return cls(molecule, frozen, config, learned_from=learned_from)

    @cached_property
    def _kernel(self) -> Kernel:
        molecule = self.molecule
        return make_kernel(self.network, molecule.numbers, molecule.masses, molecule.terms)


def _read(path: Path) -> Mapping[str, Any]:
    """The content of a file, upgraded to today's form."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: give a file that a surrogate saved.") from None
    except Exception:  # whatever a damaged pickle can raise
        raise ArtifactError(
            f"{path} is truncated or not a surrogate: fit and save it again."
        ) from None
    schema = content.get("schema") if isinstance(content, dict) else None
    learned = "learned."
    if schema == JUMP_SCHEMA and content["model_config"]["arch"] == "splitting":
        weights = {name.removeprefix(learned): w for name, w in content["weights"].items()}
        return {**content, "weights": weights}
    if (schema, content.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise ArtifactError(f"{path} holds no surrogate of this version of kstep: fit it again.")
    return dict(content)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Within, torch's random numbers are those of a seed; the caller's go on undisturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

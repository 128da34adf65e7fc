"""A class-II force field of one molecule as a surrogate, and its file."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kstep.artifacts import hash_bytes, read_npz, write_npz
from kstep.compiled.propagation import ByKernel, Kernel
from kstep.errors import ArtifactError, KstepError
from kstep.protocols import Identity, Labels, Replicas
from kstep.surrogates.class_two.design import design, seen_in
from kstep.surrogates.class_two.fit import expected, fit
from kstep.surrogates.class_two.form import Form, form_of
from kstep.surrogates.class_two.functions import FAR, Seen
from kstep.surrogates.class_two.kernel import make_kernel
from kstep.surrogates.class_two.regression import Posterior
from kstep.system.molecule import Molecule
from kstep.units import BOLTZMANN

SCHEMA, SCHEMA_VERSION = "kstep.class_two", 1
_ARRAYS = ("parameters", "mean", "low", "high")
_POSTERIOR = ("root", "centre", "noise")


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How far energies and forces may be from the true ones, as standard deviations.

    Attributes:
        energies: of true minus learned, about its mean over the labels, kJ/mol [R].
        forces: by what the parameters may still be, kJ/mol/nm [R, N, 3]; what no parameters
            explain comes on top.
    """

    energies: Float[np.ndarray, " R"]
    forces: Float[np.ndarray, "R N 3"]

    def spread(self, temperature_K: float) -> float:
        """Predicted standard deviation s of D = U_true − U_learned over the geometries, in kT."""
        return math.sqrt(np.square(self.energies).mean()) / (BOLTZMANN * temperature_K)

    def acceptance(self, temperature_K: float) -> float:
        """Share of independent proposals that a Metropolis test by D would accept: erfc(s/2)."""
        return math.erfc(0.5 * self.spread(temperature_K))


@dataclass(frozen=True, eq=False)
class ClassTwo(ByKernel):
    """A force field that is linear in its parameters, fitted in closed form.

    Attributes:
        molecule: whose energy it is; no force field is needed, only its bonds.
        form: the functions that its energy is a sum of.
        seen: values that its coordinates have had.
        parameters: kJ/mol [P].
        posterior: what the labels say of the parameters; None before there are labels.
        learned_from: hashes of the labels of the fit.
    """

    molecule: Molecule
    form: Form
    seen: Seen
    parameters: Float[np.ndarray, " P"]
    posterior: Posterior | None = None
    learned_from: tuple[str, ...] = ()

    @classmethod
    def of(cls, molecule: Molecule) -> "ClassTwo":
        """Before there are labels: springs about the molecule's conformer, and a repulsion."""
        form = form_of(molecule)
        conformer = seen_in(form, molecule.positions[None])
        everywhere = np.full_like(conformer.mean, FAR)
        return cls(molecule, form, Seen(conformer.mean, -everywhere, everywhere), expected(form))

    @property
    def identity(self) -> Identity:
        """Kind, a hash of what decides its energies, and what it learned from."""
        arrays = (self.parameters, self.seen.mean, self.seen.low, self.seen.high)
        content = b"".join(np.asarray(array).tobytes() for array in arrays)
        return {
            "surrogate": "class_two",
            "form": self._fingerprint,
            "parameters": hash_bytes(content),
            "learned_from": list(self.learned_from),
        }

    def fit(self, labels: Labels) -> "ClassTwo":
        """The force field that these labels ask for, whatever was learned before.

        Raises KstepError where they are fewer than two or not finite.
        """
        arrays = (labels.x, labels.energies, labels.forces)
        if len(labels) < 2 or not all(np.isfinite(array).all() for array in arrays):
            raise KstepError(
                f"{self.molecule.name}: {len(labels)} labels are too few or hold what is no "
                "number: give at least two, and leave out those whose evaluation failed."
            )
        seen = seen_in(self.form, labels.x)
        posterior = fit(self.molecule, self.form, seen, labels)
        digest = hash_bytes(b"".join(np.asarray(array).tobytes() for array in arrays))
        return replace(
            self,
            seen=seen,
            parameters=posterior.mean,
            posterior=posterior,
            learned_from=(digest,),
        )

    def uncertainty(self, x: Replicas) -> Uncertainty:
        """How far energies and forces at x, nm, may be off; unbounded before there are labels."""
        if self.posterior is None:
            return Uncertainty(np.full(len(x), np.inf), np.full(x.shape, np.inf))
        energies, forces = np.empty(len(x)), np.empty(x.shape)
        for number, one in enumerate(x):
            values, gradients = self.form.coordinates.measure(one[None])
            directions = gradients.reshape(*values.shape, -1)
            found = design(self.form, self.seen, values, directions)
            energies[number] = self.posterior.energy_spread(found.energies)[0]
            forces[number] = self.posterior.slope_spread(found.slopes[:, 0]).reshape(one.shape)
        return Uncertainty(energies, forces)

    def save(self, path: Path) -> None:
        """Write everything that it knows, atomically."""
        n_parameters = self.form.n_parameters
        arrays = {
            "parameters": self.parameters,
            "mean": self.seen.mean,
            "low": self.seen.low,
            "high": self.seen.high,
        }
        if self.posterior is not None:
            arrays |= {
                "root": self.posterior.root[np.triu_indices(n_parameters)].astype(np.float32),
                "centre": self.posterior.centre,
                "noise": np.array(self.posterior.noise),
            }
        record = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "form": self._fingerprint,
            "learned_from": list(self.learned_from),
        }
        write_npz(path, arrays, record)

    @classmethod
    def load(cls, path: Path, molecule: Molecule) -> "ClassTwo":
        """Read a file of `save`.

        Raises ArtifactError when it is missing, damaged, or of another molecule.
        """
        arrays, record = read_npz(path, SCHEMA, SCHEMA_VERSION, _ARRAYS)
        form = form_of(molecule)
        loaded = cls(
            molecule,
            form,
            Seen(arrays["mean"], arrays["low"], arrays["high"]),
            arrays["parameters"],
            learned_from=tuple(record["learned_from"]),
        )
        if record["form"] != loaded._fingerprint:
            raise ArtifactError(
                f"{path} is the force field of another molecule than {molecule.name}, or of its "
                "atoms in another order: fit it again."
            )
        if not set(_POSTERIOR) <= arrays.keys():
            return loaded
        root = np.zeros((form.n_parameters, form.n_parameters))
        root[np.triu_indices(form.n_parameters)] = arrays["root"]
        posterior = Posterior(
            mean=loaded.parameters,
            root=root,
            centre=arrays["centre"],
            noise=float(arrays["noise"]),
        )
        return replace(loaded, posterior=posterior)

    def to_openmm_forces(self) -> list[Any]:
        """The same energy as stock forces of OpenMM, to add to a System on any platform.

        Raises ModuleNotFoundError without OpenMM.
        """
        from kstep.surrogates.class_two.openmm_forces import openmm_forces

        coefficients = self.form.coefficients(self.parameters)
        return openmm_forces(self.form, self.seen, coefficients)

    @cached_property
    def _fingerprint(self) -> str:
        """A hash of the functions that its energy is a sum of."""
        form = self.form
        coordinates = [(kind, list(atoms)) for kind, atoms in form.coordinates]
        return hash_bytes(
            repr((coordinates, form.chosen.tolist(), form.products.tolist())).encode()
            + form.owner.tobytes()
            + form.sign.tobytes()
        )

    @cached_property
    def _kernel(self) -> Kernel:
        coefficients = self.form.coefficients(self.parameters)
        return make_kernel(self.molecule, self.form, self.seen, coefficients)

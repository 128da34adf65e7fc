"""A splitting adapted by labelled states: explore by the learned force, label, learn, and again.

A splitting learns forces alone, and forces need no dynamics: every true call goes to a geometry
that teaches something. Geometries come from dynamics by the force learned so far, which costs
nothing next to an expensive call and leads where the jumps will lead. With `adapt.candidates` above
1, more are found than labelled, and those are labelled on which the last two networks disagree most
(query by committee; Seung, Opper & Sompolinsky, COLT 1992); `benchmarks/labels.py` compares. What a
network errs by on the labels of the next round, before it learns from them, is an honest measure of
it: the record has it for every round.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kstep.adaptation.beginnings import start_hash, start_model
from kstep.adaptation.exploring import explore
from kstep.adaptation.record import conclude, is_finished, on_the_clock
from kstep.adaptation.trial import try_jumps
from kstep.artifacts import Record, hash_config, hash_file, read_finished, write_npz
from kstep.config import Config
from kstep.errors import SimulationError
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.platforms import resolve_platform
from kstep.integrators.state import Replicas
from kstep.potentials import forget
from kstep.potentials.systems import load_system
from kstep.progress import progress
from kstep.regressed.networks.checkpoint import load_jump, save_jump
from kstep.regressed.networks.splitting import SplittingJump
from kstep.regressed.training.specialist import (
    LabelledStates,
    OneMolecule,
    disagreement,
    force_error,
    learn_forces,
)
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.prepared import PreparedMolecule

SCHEMA, SCHEMA_VERSION = "kstep.labels", 1
ARRAYS = ("x", "forces")
ABSURD = 2.0
"""Labels whose forces are this many times as large as the median of their round teach nothing."""
TRIED = 50
"""Geometries from which the finished network's jumps are tried."""


def adapt(config: Config, molecule: PreparedMolecule, folder: Path) -> Path:
    """Rounds of `adapt.labels` true calls, with training after each; returns the checkpoint.

    Below `folder` every round leaves its labels and its network; a run that was cut short goes on
    after the last of them.

    Raises ArtifactError when the start network does not fit the molecule or the folder holds an
    adaptation with other settings, SimulationError when the potential has no energy anywhere.
    """
    best = folder / "train" / "best.ckpt"
    identity = {
        "fingerprint": molecule.fingerprint,
        "start_hash": start_hash(config),
        "config_hash": hash_config(config.adapt, config.train, exclude={"start_from"}),
        "strains": config.model.strains,
        "dt_ps": config.md.dt_ps,
        "nonbonded_cutoff_nm": config.md.nonbonded_cutoff_nm,
        "temperatures_K": list(config.hybrid.temperatures),
    }
    if not is_finished(folder, identity, best):
        with on_the_clock(folder):
            _adapt(Adaptation(config, molecule, identity, folder), best)
    return best


def _adapt(own: "Adaptation", best: Path) -> None:
    """All that is not done yet, to the record."""
    labels = own.config.adapt.labels
    start = start_model(own.config, own.molecule)
    assert isinstance(start, SplittingJump)
    networks = [start]
    states, rounds = LabelledStates.none(own.molecule.n_atoms), []
    for number in range(len(labels)):
        new = own.labels(number, networks)
        rounds.append(_judgement(networks[-1], own.tensors, new, sum(labels[:number])))
        states = states.joined(new)
        networks.append(own.network(number, networks[-1], states))
    geometries = own.explored(len(labels), networks, TRIED)
    trial = try_jumps(own.config, own.molecule, networks[-1], own.dynamics, geometries)
    rounds.append(_judgement(networks[-1], own.tensors, trial.states, sum(labels)))
    save_jump(best, networks[-1], own.identity)
    outcome = {"checkpoint_hash": hash_file(best), "rounds": rounds, "jumps": trial.outcome}
    bill = {"labels": sum(labels), "trial": trial.calls}
    conclude(own.folder, bill, own.identity | outcome)


def _judgement(
    network: SplittingJump, tensors: OneMolecule, new: LabelledStates, calls: int
) -> dict[str, Any]:
    """What a network errs by on states it has not learned from, said and kept."""
    error = force_error(network, tensors, new)
    tqdm.write(f"adapt: force error after {calls} labels {error:.1%}", file=sys.stderr)
    return {"labels": calls, "force_error": error}


class Adaptation:
    """One molecule's labels and networks, round by round."""

    def __init__(
        self, config: Config, molecule: PreparedMolecule, identity: Record, folder: Path
    ) -> None:
        md = config.md
        system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
        self.system = system
        platform, _ = resolve_platform(config.hybrid.platform, system, molecule.positions, md.dt_ps)
        self.dynamics = make_dynamics(system, md.dt_ps, platform, molecule.name)
        self.tensors = OneMolecule.of(molecule.numbers, molecule.masses, molecule.terms)
        self.config, self.molecule = config, molecule
        self.identity, self.folder = identity, folder

    def labels(self, number: int, networks: Sequence[SplittingJump]) -> LabelledStates:
        """The labels of a round: those of its file, or made now."""
        path = self.folder / "labels" / f"round_{number}.npz"
        earlier = [hash_file(self._network_file(before)) for before in range(number)]
        record = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            **self.identity,
            "networks": earlier,
        }
        arrays = read_finished(path, record, ARRAYS)
        if arrays is None:
            arrays = self.made(number, self.chosen(number, networks))
            write_npz(path, arrays, record)
        return sensible(LabelledStates(arrays["x"], arrays["forces"]), self.molecule.name)

    def network(self, number: int, before: SplittingJump, states: LabelledStates) -> SplittingJump:
        """The network of a round: that of its file, or trained now."""
        path = self._network_file(number)
        own = {**self.identity, "round": number, "labels_hash": states.digest()}
        if path.exists() and (loaded := load_jump(path)).record == own:
            assert isinstance(loaded.model, SplittingJump)
            return loaded.model
        labels, adapt = self.config.adapt.labels, self.config.adapt
        minutes = adapt.max_minutes * sum(labels[: number + 1]) / np.cumsum(labels).sum()
        settings = {
            "max_minutes": float(minutes),
            "batch_size": adapt.batch_size,
            "lr": adapt.lr,
            "lr_min": min(self.config.train.lr_min, adapt.lr),
        }
        training = self.config.train.model_copy(update=settings)
        with progress(f"adapt {self.molecule.name}: learning", 100.0, "%") as bar:

            def report(share: float) -> None:
                bar.update(min(100.0 * share, 100.0 - bar.n))  # sums of floats exceed

            learned = learn_forces(before, self.tensors, states, training, report)
        save_jump(path, learned, own)
        return learned

    def explored(self, number: int, networks: Sequence[SplittingJump], count: int) -> Replicas:
        """Geometries where the last network leads, from all temperatures in equal numbers."""
        temperatures = self.config.hybrid.temperatures
        rng = np.random.default_rng([self.config.train.seed, number])
        parts = [
            explore(
                networks[-1],
                self.molecule,
                self.dynamics,
                temperature,
                -(-count // len(temperatures)),
                self.config.adapt.replicas,
                rng,
            )
            for temperature in temperatures
        ]
        return np.concatenate(parts)

    def _network_file(self, number: int) -> Path:
        return self.folder / "train" / f"round_{number}.ckpt"

    def chosen(self, number: int, networks: Sequence[SplittingJump]) -> Replicas:
        """The geometries to be labelled in a round."""
        adapt = self.config.adapt
        count = adapt.labels[number]
        if len(networks) == 1:
            return self.explored(number, networks, count)[:count]
        found = self.explored(number, networks, count * adapt.candidates)
        centred = remove_centre_of_mass(found, self.molecule.masses).astype(np.float32)
        doubt = disagreement(networks[-1], networks[-2], self.tensors, centred)
        return found[np.sort(np.argsort(-doubt)[:count])]

    def made(self, number: int, geometries: Replicas) -> dict[str, np.ndarray]:
        """True forces at the geometries, one call each."""
        title = f"adapt {self.molecule.name}: labels {number + 1}"
        forces = np.empty(geometries.shape)
        forget(self.system)  # a resumed run begins here
        with progress(title, float(len(geometries)), "calls") as bar:
            for row, x in enumerate(geometries):
                forces[row], _ = self.dynamics.evaluate(x)
                bar.update(1)
        centred = remove_centre_of_mass(geometries, self.molecule.masses)
        return {"x": centred.astype(np.float32), "forces": forces.astype(np.float32)}


def sensible(states: LabelledStates, name: str) -> LabelledStates:
    """The states that can be learned from: finite, and not torn apart."""
    sizes = np.sqrt((states.forces.astype(np.float64) ** 2).mean((1, 2)))
    finite = np.isfinite(sizes)
    if not finite.any():
        raise SimulationError(
            f"{name}: the potential has no energy at any of {len(states)} geometries: check its "
            "settings and the molecule."
        )
    kept = finite & (sizes <= ABSURD * np.median(sizes[finite]))
    return LabelledStates(states.x[kept], states.forces[kept])

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
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from kstep.adaptation.beginnings import start_hash, start_model
from kstep.adaptation.exploring import explore
from kstep.adaptation.labels import (
    digest,
    finished_labels,
    labels_at,
    labels_record,
    paid_for,
    save_labels,
    sensible,
)
from kstep.adaptation.record import conclude, is_finished, on_the_clock
from kstep.adaptation.trial import try_jumps
from kstep.artifacts import Record, hash_file
from kstep.config import Config, TrainConfig
from kstep.integrators.compiled_dynamics import make_dynamics
from kstep.integrators.platforms import resolve_platform
from kstep.integrators.state import Replicas
from kstep.potentials import forget
from kstep.potentials.systems import load_system
from kstep.progress import progress
from kstep.protocols import Labels
from kstep.regressed.networks.checkpoint import load_jump, save_jump
from kstep.regressed.networks.splitting import SplittingJump
from kstep.regressed.training.specialist import (
    OneMolecule,
    disagreement,
    force_error,
    learn_forces,
)
from kstep.system.mechanics import remove_centre_of_mass
from kstep.system.prepared import PreparedMolecule

TRIED = 50
"""Geometries from which the finished network's jumps are tried."""
SHAPING: Final = {
    "adapt": {"labels", "candidates", "replicas", "steps", "max_minutes", "batch_size", "lr"},
    "train": {"seed", "optimiser", "lr_min", "weight_decay", "grad_clip"},
    "model": {"strains"},
    "md": {"dt_fs", "nonbonded_cutoff_nm"},
}
"""The settings that an adaptation's network depends on. The stride is none of them."""


def adapt(config: Config, molecule: PreparedMolecule, folder: Path) -> Path:
    """Rounds of `adapt.labels` true calls, with training after each; returns the checkpoint.

    Below `folder` every round leaves its labels and its network; a run that was cut short goes on
    after the last of them.

    Raises ArtifactError when the start network or earlier labels do not fit the molecule or the
    folder holds an adaptation with other settings, SimulationError when the potential has no energy
    anywhere.
    """
    best, own = folder / "train" / "best.ckpt", folder.relative_to(config.paths.run)
    folders = [run / own / "labels" for run in config.adapt.earlier_runs]
    earlier = paid_for(folders, molecule, config.md.nonbonded_cutoff_nm)
    identity = {
        "fingerprint": molecule.fingerprint,
        "start_hash": start_hash(config),
        "settings": config.model_dump(mode="json", include=SHAPING),
        "temperatures_K": list(config.hybrid.temperatures),
        "earlier_labels": digest(earlier),
    }
    if not is_finished(folder, identity, best):
        with on_the_clock(folder):
            _adapt(Adaptation(config, molecule, earlier, identity, folder), best)
    return best


def _adapt(own: "Adaptation", best: Path) -> None:
    """All that is not done yet, to the record."""
    labels = own.config.adapt.labels
    start = start_model(own.config, own.molecule)
    assert isinstance(start, SplittingJump)
    networks = [start]
    states, rounds = own.earlier, []
    for number in range(len(labels)):
        new = own.labels(number, networks)
        rounds.append(_judgement(networks[-1], own.tensors, new, sum(labels[:number])))
        states = states.joined(new)
        networks.append(own.network(number, networks[-1], states))
    geometries = own.explored(len(labels), networks, TRIED)
    trial = try_jumps(own.config, own.molecule, networks[-1], own.dynamics, geometries)
    rounds.append(_judgement(networks[-1], own.tensors, trial.starts, sum(labels)))
    own.keep(trial.starts.joined(trial.ends))
    save_jump(best, networks[-1], own.identity)
    outcome = {"checkpoint_hash": hash_file(best), "rounds": rounds, "jumps": trial.outcome}
    bill = {"labels": sum(labels), "trial": trial.calls}
    conclude(own.folder, bill, own.identity | outcome)


def _judgement(
    network: SplittingJump, tensors: OneMolecule, new: Labels, calls: int
) -> dict[str, Any]:
    """What a network errs by on states it has not learned from, said and kept."""
    error = force_error(network, tensors, new)
    tqdm.write(f"adapt: force error after {calls} labels {error:.1%}", file=sys.stderr)
    return {"labels": calls, "force_error": error}


class Adaptation:
    """One molecule's labels and networks, round by round."""

    def __init__(
        self,
        config: Config,
        molecule: PreparedMolecule,
        earlier: Labels,
        identity: Record,
        folder: Path,
    ) -> None:
        """`earlier` labels are learned from too, in every round."""
        md = config.md
        system = load_system(molecule, md.nonbonded_cutoff_nm, md.constraints, md.implicit_solvent)
        self.system = system
        platform, _ = resolve_platform(config.hybrid.platform, system, molecule.positions, md.dt_ps)
        self.dynamics = make_dynamics(system, md.dt_ps, platform, molecule.name)
        self.tensors = OneMolecule.of(molecule.numbers, molecule.masses, molecule.terms)
        self.config, self.molecule = config, molecule
        self.earlier, self.identity, self.folder = earlier, identity, folder

    def labels(self, number: int, networks: Sequence[SplittingJump]) -> Labels:
        """The labels of a round: those of its file, or made now."""
        path, record = self.folder / "labels" / f"round_{number}.npz", self._record(number)
        labels = finished_labels(path, record)
        if labels is None:
            labels = self.made(number, self.chosen(number, networks))
            save_labels(path, labels, record)
        return sensible(labels, self.molecule.name)

    def keep(self, tried: Labels) -> None:
        """Write down what the trial has paid for: labels of an adaptation to come."""
        record = self._record(len(self.config.adapt.labels))
        save_labels(self.folder / "labels" / "trial.npz", tried, record)

    def _record(self, number: int) -> Record:
        """Of the labels that the first so many networks led to."""
        networks = [hash_file(self._network_file(before)) for before in range(number)]
        return labels_record(**self.identity, networks=networks)

    def network(self, number: int, before: SplittingJump, states: Labels) -> SplittingJump:
        """The network of a round: that of its file, or trained now."""
        path = self._network_file(number)
        own = {**self.identity, "round": number, "labels_hash": digest(states)}
        if path.exists() and (loaded := load_jump(path)).record == own:
            assert isinstance(loaded.model, SplittingJump)
            return loaded.model
        training = self._training(number)
        with progress(f"adapt {self.molecule.name}: learning", 100.0, "%") as bar:

            def report(share: float) -> None:
                bar.update(min(100.0 * share, 100.0 - bar.n))  # sums of floats exceed

            learned = learn_forces(before, self.tensors, states, training, report)
        save_jump(path, learned, own)
        return learned

    def _training(self, number: int) -> TrainConfig:
        """Settings of a round's training, with its share of the budget: that of its labels."""
        adapt, train = self.config.adapt, self.config.train
        known = len(self.earlier) + np.cumsum(adapt.labels)
        share = float(known[number] / known.sum())
        settings = {
            "max_steps": max(1, round(share * adapt.steps)),
            "max_minutes": None if adapt.max_minutes is None else share * adapt.max_minutes,
            "batch_size": adapt.batch_size,
            "lr": adapt.lr,
            "lr_min": min(train.lr_min, adapt.lr),
        }
        return train.model_copy(update=settings)

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

    def made(self, number: int, geometries: Replicas) -> Labels:
        """True energies and forces at the geometries, one call each."""
        title = f"adapt {self.molecule.name}: labels {number + 1}"
        energies, forces = np.empty(len(geometries)), np.empty(geometries.shape)
        forget(self.system)  # a resumed run begins here
        with progress(title, float(len(geometries)), "calls") as bar:
            for row, x in enumerate(geometries):
                forces[row], energies[row] = self.dynamics.evaluate(x)
                bar.update(1)
        return labels_at(geometries, energies, forces, self.molecule.masses)

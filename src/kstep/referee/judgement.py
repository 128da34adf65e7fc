"""The referee in memory: two trajectories of one molecule in, a judgement out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from kstep.artifacts import hash_bytes, hash_config, write_text
from kstep.config import EvalConfig
from kstep.referee.claims.acceptance import (
    ACCEPTANCE_VERSION,
    OF_VELOCITIES,
    OPTIONAL,
    overall,
    verdict,
)
from kstep.referee.claims.checks import DYNAMICS
from kstep.referee.compared import make_side
from kstep.referee.metrics import Metrics, MoleculeMetrics, Outcome, Pair
from kstep.referee.scoring import Curves, compare
from kstep.referee.view import aligned_views
from kstep.system.molecule import Molecule
from kstep.system.trajectory import Trajectory


@runtime_checkable
class Run(Protocol):
    """Anything that gives its frames: a `Trajectory`, or what `kstep.sample` returns."""

    def trajectory(self) -> Trajectory:
        """Its frames."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the referee says of a candidate.

    Attributes:
        metrics: every number, with the verdict.
        curves: for the figures.
        settings: margins and bins that it was judged by.
    """

    metrics: MoleculeMetrics
    curves: Curves
    settings: EvalConfig

    @property
    def outcome(self) -> Outcome:
        """Accepted, rejected, or not enough data."""
        return self.metrics.verdict.outcome

    def __str__(self) -> str:
        """The verdict in a sentence."""
        return f"{self.metrics.name}: {self.outcome.value}: {self.metrics.verdict.sentence}"

    def to_html(self, path: Path | str) -> Path:
        """Write a self-contained report; returns its path."""
        # Drawing takes seconds to import.
        from kstep.referee.report.figures import draw_all
        from kstep.referee.report.page import page

        document = self._document()
        curves = {f"{self.metrics.name}/{key}": array for key, array in self.curves.items()}
        images = {one.name: one.images["svg"] for one in draw_all(document, curves)}
        digest = hash_bytes(document.model_dump_json().encode())
        write_text(Path(path), page(document, digest, images, curves))
        return Path(path)

    def _document(self) -> Metrics:
        outcome, sentence = overall([self.metrics])
        return Metrics(
            acceptance_version=ACCEPTANCE_VERSION,
            config_hash=hash_config(self.settings),
            config={"eval": self.settings.model_dump(mode="json")},
            source_hashes={},
            curves_hash="",
            provenance={},
            missing=[],
            molecules=[self.metrics],
            outcome=outcome,
            sentence=sentence,
        )


def judge(
    candidate: Run,
    reference: Run,
    molecule: Molecule,
    *,
    temperature_K: float | None = None,
    settings: EvalConfig | None = None,
) -> Judgement:
    """Whether a candidate's ensemble is that of a reference.

    Equilibration is cut off every run of both. Where the candidate's frames do not follow one
    another as motion does, nothing is claimed of dynamics.

    Args:
        candidate: what is judged.
        reference: what it is held against, at the same temperature.
        molecule: that both are of.
        temperature_K: K; the candidate's first where none is given.
        settings: margins and bins.

    Raises ArtifactError when one of them is too short to be scored.
    """
    settings = settings or EvalConfig()
    frames = candidate.trajectory()
    kelvin = float(frames.segment_temperature[0]) if temperature_K is None else temperature_K
    sides = (
        make_side(Path("the reference"), reference.trajectory(), kelvin),
        make_side(Path("the candidate"), frames, kelvin),
    )
    baseline, own = sides
    found = compare(settings, molecule, *sides)
    measured, optional = found.measured, list(OPTIONAL)
    if not own.is_dynamics:
        optional += OF_VELOCITIES
        measured = [one for one in measured if one.claim != DYNAMICS]
    record = frames.record
    metrics = MoleculeMetrics(
        name=molecule.name,
        smiles=molecule.smiles,
        n_atoms=molecule.n_atoms,
        candidate=str(record.get("candidate", "candidate")),
        k_steps=record.get("k_steps"),
        corrector=record.get("corrector"),
        acceptance=record.get("acceptance"),
        dt_ps=float(baseline.trajectory.record.get("dt_ps") or baseline.frame_ps),
        sampling=Pair(baseline=baseline.sampling, candidate=own.sampling),
        energy=found.energy,
        temperature=found.temperature,
        ensemble=found.ensemble,
        structure=found.structure,
        dynamics=found.dynamics,
        map=None,
        cost=None,
        efficiency=None,
        basin=None,
        methods=[],
        judged_against="the reference",
        external_forces=list(molecule.external_forces),
        verdict=verdict(measured, optional),
    )
    return Judgement(metrics, found.curves | aligned_views(molecule, *sides), settings)

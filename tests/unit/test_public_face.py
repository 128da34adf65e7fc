"""The library as a user writes it: only public names, no folder, a potential of one's own."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import kstep


@dataclass(frozen=True)
class Spring:
    """Two atoms on a spring about 0.15 nm; a surrogate of the same form learns its stiffness."""

    stiffness: float

    @property
    def identity(self) -> dict[str, object]:
        return {"spring": self.stiffness}

    def evaluate(self, x: np.ndarray) -> kstep.Evaluation:
        arm = x[:, 1] - x[:, 0]
        length = np.linalg.norm(arm, axis=1)
        pull = (self.stiffness * (length - 0.15) / length)[:, None] * arm
        energies = 0.5 * self.stiffness * (length - 0.15) ** 2
        return kstep.Evaluation(energies, np.stack([pull, -pull], axis=1))

    def fit(self, labels: kstep.Labels) -> "Spring":
        own = self.evaluate(labels.x).forces
        return Spring(self.stiffness * float((own * labels.forces).sum() / (own**2).sum()))


PAIR = kstep.Molecule(
    numbers=np.array([7, 7]),
    masses=np.array([14.0, 14.0]),
    positions=np.array([[0.0, 0.0, 0.0], [0.15, 0.0, 0.0]]),
    bonds=np.array([[0, 1]]),
    name="pair",
)


def test_a_potential_and_a_surrogate_of_ones_own_from_adapt_to_judge(tmp_path) -> None:
    true = Spring(50_000.0)
    fast = kstep.adapt(
        PAIR,
        true,
        Spring(20_000.0),
        settings=kstep.AdaptSettings(labels=(20, 20), rungs=2, settling_ps=0.1, spacing_ps=0.05),
        show_progress=False,
    )
    assert fast.stiffness == pytest.approx(50_000.0)
    settings = kstep.SampleSettings(
        chains=32, per_chain=300, spacing_ps=0.1, settling_ps=0.5, rungs=1
    )
    run = kstep.sample(PAIR, true, fast, settings=settings, show_progress=False)
    assert run.acceptance == 1.0
    assert run.true_calls == 32 * 301
    other = kstep.sample(
        PAIR, true, Spring(40_000.0), settings=replace(settings, seed=1), show_progress=False
    )
    assert 0.5 < other.acceptance < 1.0
    judgement = kstep.judge(other, run, PAIR)
    assert "pair" in str(judgement)
    page = judgement.to_html(tmp_path / "pair.html").read_text(encoding="utf-8")
    assert "pair" in page
    softer = kstep.sample(PAIR, Spring(25_000.0), fast, settings=settings, show_progress=False)
    assert kstep.judge(softer, run, PAIR).outcome.value == "rejected"

"""An adapted network on trial: jumps from states of its own dynamics, judged by true energies."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kstep.adaptation.exploring import thermal_velocities
from kstep.adaptation.labels import labels_at
from kstep.config import Config
from kstep.integrators.outer_step import MacroStep
from kstep.integrators.state import Replicas
from kstep.integrators.true_dynamics import TrueDynamics
from kstep.protocols import Labels
from kstep.regressed.learned import LearnedJump, as_configured
from kstep.regressed.networks.predictor import make_predictor
from kstep.regressed.networks.splitting import SplittingJump
from kstep.system.prepared import PreparedMolecule
from kstep.units import BOLTZMANN


@dataclass(frozen=True, eq=False)
class Trial:
    """How jumps went.

    Attributes:
        starts: where they started, with the true energies and forces there.
        ends: where they led, likewise: paid for as well.
        outcome: spread of the change of the total energy, kJ/mol, share that the guard lets
            through, and share that a Metropolis test would accept.
        calls: true-force calls it took.
    """

    starts: Labels
    ends: Labels
    outcome: dict[str, Any]
    calls: int


def try_jumps(
    config: Config,
    molecule: PreparedMolecule,
    network: SplittingJump,
    dynamics: TrueDynamics,
    geometries: Replicas,
) -> Trial:
    """One macro-step of the run's stride from every geometry, with thermal velocities."""
    model = as_configured(network, config)
    predictor = make_predictor(model, molecule.numbers, molecule.masses, molecule.terms)
    physics = model.physics
    ends = (physics.k_steps, physics.landing, physics.closing_ps)
    jump = LearnedJump(predictor, *ends, molecule.n_atoms)
    before, temperature = dynamics.calls, config.hybrid.temperatures[0]
    rng = np.random.default_rng(config.train.seed)
    v = thermal_velocities(geometries, dynamics, temperature, rng)
    step = MacroStep(jump, dynamics, config.hybrid, len(geometries))
    state = step.start(geometries, v)
    attempt = step.attempt(state)
    error = attempt.error[attempt.accepted]
    chance = np.exp(-np.clip(attempt.error / (BOLTZMANN * temperature), 0.0, None))
    end, masses = attempt.state, molecule.masses
    known = np.isfinite(end.epot) & (end.x != state.x).any((1, 2))  # others spent no call
    return Trial(
        starts=labels_at(state.x, state.epot, state.forces, masses),
        ends=labels_at(end.x[known], end.epot[known], end.forces[known], masses),
        outcome={
            "k_steps": physics.k_steps,
            "energy_spread_kJ_per_mol": float(error.std()) if len(error) else None,
            "kept_by_guard": float(attempt.accepted.mean()),
            "metropolis_acceptance": float(np.where(attempt.accepted, chance, 0.0).mean()),
        },
        calls=dynamics.calls - before,
    )

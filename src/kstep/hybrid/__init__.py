"""The hybrid: jump k steps with the network, correct with one step of true physics, guard.

`state` defines phase-space states and the `Jump` interface, `learned` puts a checkpoint behind
it, `dynamics` makes the true side; `conservation`, `correctors`, `guard` and `thermostat` are the
parts of a `macrostep`, which `ghmc` tries by its energy instead of guarding it; `blocks` chains
macro-steps, `simulation` runs one molecule (`setup`, `basin`, `export`), `stage` runs all;
`openmm_integrator` is the same for a stock OpenMM Simulation.
"""

from kstep.hybrid.dynamics import make_dynamics
from kstep.hybrid.learned import Network, load_learned_jump
from kstep.hybrid.openmm_integrator import KStepIntegrator
from kstep.hybrid.stage import run
from kstep.hybrid.state import Jump, PhaseState

__all__ = [
    "Jump",
    "KStepIntegrator",
    "Network",
    "PhaseState",
    "load_learned_jump",
    "make_dynamics",
    "run",
]

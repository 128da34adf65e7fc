"""Starting states: equilibrium by true dynamics, each replica on its own."""

from collections.abc import Callable

from kstep.integrators.plain import Sampler
from kstep.integrators.true_dynamics import Atoms
from kstep.system.prepared import PreparedMolecule

DECORRELATION_PS = 5.0
"""True Langevin dynamics between two starting states of one replica."""

Start = tuple[Atoms, Atoms]


def equilibrium_states(
    sampler: Sampler,
    molecule: PreparedMolecule,
    temperature: float,
    replicas: int,
    windows: int,
    seed: Callable[[int, int], int],
) -> list[Start]:
    """(x, v) of every replica, minimised and equilibrated on its own, then of the windows.

    The windows' states follow on the replicas' dynamics, dealt out among them, so that more
    windows change none of the states before.

    Args:
        sampler: of the true dynamics.
        molecule: whose conformer they start from.
        temperature: K.
        replicas: how many independent runs.
        windows: further states.
        seed: (0 for equilibration or 1 for what follows, replica) → seed.
    """
    states: list[Start] = []
    later: dict[int, Start] = {}
    for replica in range(replicas):
        x, v = sampler.equilibrate(molecule.positions, temperature, seed(0, replica))
        states.append((x, v))
        own = range(replica, windows, replicas)
        every = _decorrelation_steps(sampler)
        frames = sampler.sample(x, v, temperature, seed(1, replica), every * len(own), every)
        later |= dict(zip(own, zip(frames.pos, frames.vel, strict=True), strict=True))
    return states + [later[window] for window in range(windows)]


def starting_calls(sampler: Sampler, replicas: int, windows: int) -> int:
    """True-force calls of `equilibrium_states`, minimisations apart."""
    return replicas * sampler.equilibration_steps + windows * _decorrelation_steps(sampler)


def _decorrelation_steps(sampler: Sampler) -> int:
    return round(DECORRELATION_PS / sampler.dt_ps)

"""For whoever writes a part of kstep: checks of a potential and a surrogate, test doubles.

`check_potential` and `check_surrogate` say what is wrong with one. Oracle jumps stand in for
networks in the hybrid loop, faulty integrators (`faults`) have to be found by the referee.
"""

from kstep.testing.oracles import ExactJump, FreeFlight, MistakenJump, NaNJump, NoisyJump
from kstep.testing.potentials import check_potential
from kstep.testing.surrogates import check_surrogate

__all__ = [
    "ExactJump",
    "FreeFlight",
    "MistakenJump",
    "NaNJump",
    "NoisyJump",
    "check_potential",
    "check_surrogate",
]

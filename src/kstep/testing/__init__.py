"""For whoever writes a part of kstep: checks of a potential, test doubles.

`check_potential` says what is wrong with a potential. Oracle jumps stand in for networks in the
hybrid loop, faulty integrators (`faults`) have to be found by the referee.
"""

from kstep.testing.oracles import ExactJump, FreeFlight, MistakenJump, NaNJump, NoisyJump
from kstep.testing.potentials import check_potential

__all__ = ["ExactJump", "FreeFlight", "MistakenJump", "NaNJump", "NoisyJump", "check_potential"]

"""Public test doubles: oracle jumps for the hybrid loop, faulty integrators for the referee."""

from kstep.testing.oracles import ExactJump, FreeFlight, MistakenJump, NaNJump, NoisyJump

__all__ = ["ExactJump", "FreeFlight", "MistakenJump", "NaNJump", "NoisyJump"]

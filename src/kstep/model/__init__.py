"""The jump: a network that maps (x, v, F) over k base steps, and what surrounds it.

`batch`: what goes in and comes out · `physics`: stride, landing, scales, caps · `jump`: units,
free flight, caps and momenta, shared by both architectures · `terms`, `internal`, `pairs`,
`operators`, `propagator`: the operator network · `equivariant_transformer`: TorchMD-Net's ET
with vector inputs · `build`: configuration → model · `checkpoint`: one self-contained file ·
`splitting`, `constraints`: drifts and kicks · `potential`, `chemistry`, `bonded`, `nonbonded`: the
learned potential · `compiled`: both as machine code · `predictor`: NumPy in, NumPy out, for the
hybrid loop · `summary`: the model as text.
"""

from kstep.model.batch import JumpBatch, JumpPrediction
from kstep.model.build import build_model
from kstep.model.checkpoint import LoadedJump, load_jump, save_jump
from kstep.model.constraints import RigidBonds, rigid_bonds
from kstep.model.jump import JumpModel, RegressedJump
from kstep.model.physics import JumpPhysics, Scales, require_match
from kstep.model.predictor import JumpPredictor, make_predictor
from kstep.model.splitting import SplittingJump, SplittingMolecules, closing_weight
from kstep.model.summary import summarise
from kstep.model.terms import TermBatch, batch_terms

__all__ = [
    "JumpBatch",
    "JumpModel",
    "JumpPhysics",
    "JumpPrediction",
    "JumpPredictor",
    "LoadedJump",
    "RegressedJump",
    "RigidBonds",
    "Scales",
    "SplittingJump",
    "SplittingMolecules",
    "TermBatch",
    "batch_terms",
    "build_model",
    "closing_weight",
    "load_jump",
    "make_predictor",
    "require_match",
    "rigid_bonds",
    "save_jump",
    "summarise",
]

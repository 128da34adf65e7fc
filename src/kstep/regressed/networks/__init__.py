"""The jump: a network that maps (x, v, F) over k base steps, and what surrounds it.

`batch`: what goes in and comes out · `physics`: stride, landing, scales, caps · `jump`: units,
free flight, caps and momenta, shared by both regressing architectures · `internal`, `pairs`,
`operators`, `propagator`: the operator network · `equivariant_transformer`: TorchMD-Net's ET
with vector inputs · `splitting`: drifts and kicks, by `kstep.surrogates.force_field_like` or by
`direct_kicks` · `build`: configuration → model · `checkpoint`: one self-contained file ·
`predictor`: NumPy in, NumPy out, for the hybrid loop · `recording`: tensor operations played back ·
`summary`: the model as text.
"""

from kstep.regressed.networks.batch import JumpBatch, JumpPrediction
from kstep.regressed.networks.build import build_model
from kstep.regressed.networks.checkpoint import LoadedJump, load_jump, save_jump
from kstep.regressed.networks.jump import JumpModel, RegressedJump
from kstep.regressed.networks.physics import JumpPhysics, Scales, require_match
from kstep.regressed.networks.predictor import JumpPredictor, make_predictor
from kstep.regressed.networks.splitting import SplittingJump, SplittingMolecules, closing_weight
from kstep.regressed.networks.summary import summarise

__all__ = [
    "JumpBatch",
    "JumpModel",
    "JumpPhysics",
    "JumpPrediction",
    "JumpPredictor",
    "LoadedJump",
    "RegressedJump",
    "Scales",
    "SplittingJump",
    "SplittingMolecules",
    "build_model",
    "closing_weight",
    "load_jump",
    "make_predictor",
    "require_match",
    "save_jump",
    "summarise",
]

"""Training of the jump.

`run`: dataset and splits → `best.ckpt` · `data`: what it reads · `beginnings`: first weights ·
`windows`: starts and targets as tensors · `landings`: where they end · `reversal`: windows
backwards in time · `objective`: loss, scales, caps · `stream`: the order of batches · `module`: one
training step · `trainer`: Lightning's · `keeper`: validation, checkpoints, early stop · `scores`:
relative errors, chained jumps, histograms · `history`, `trackers`: where metrics go · `device`:
GPU, precision, threads · `provenance`: which training a folder holds · `specialist`: one
molecule's forces, for adaptations · `stage`: all of it together.
"""

from kstep.regressed.training.stage import run

__all__ = ["run"]

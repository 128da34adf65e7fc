"""Training of the jump.

`run`: dataset and splits → `best.ckpt` · `windows`: starts and targets as tensors ·
`reversal`: windows backwards in time · `objective`: loss, scales, caps · `stream`: the order of
batches · `module`: optimiser and schedule · `keeper`: validation, checkpoints, early stop ·
`scores`: relative errors, chained jumps, histograms · `history`, `trackers`: where metrics
go · `device`: GPU, precision, threads · `stage`: all of it together.
"""

from kstep.regressed.training.stage import run

__all__ = ["run"]

"""Windows of k base steps, cut from the bursts of the md stage, and their split.

Modules:
    `bursts`: the bursts of one molecule, read and checked.
    `windows`: `Dataset`, the windows of all molecules at one k; cutting and reading them.
    `splits`: `Split`, which bursts are for training, validation and test.
    `stage`: `run` over all molecules and strides.
"""

from kstep.regressed.windows.splits import KINDS, PARTS, Split, load_split, windows_of
from kstep.regressed.windows.stage import run
from kstep.regressed.windows.windows import ROLLOUT_JUMPS, Dataset, load_dataset

__all__ = [
    "KINDS",
    "PARTS",
    "ROLLOUT_JUMPS",
    "Dataset",
    "Split",
    "load_dataset",
    "load_split",
    "run",
    "windows_of",
]

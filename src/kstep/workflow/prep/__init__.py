"""Preparation: from a list of SMILES to OpenMM Systems that later stages read without OpenFF.

Modules:
    `settling`: the minimum of a Python potential, its conformer and bond lengths.
    `folder`: the files of one molecule, and whether they are still good.
    `stage`: `run` over a list, with resume and a report of the lines that failed.
"""

from kstep.workflow.prep.stage import Failure, Prepared, run

__all__ = ["Failure", "Prepared", "run"]

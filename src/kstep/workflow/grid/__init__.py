"""The ablation over k: `trials` says what is tried, `stage` tries it, `table` writes it down."""

from kstep.workflow.grid.stage import run

__all__ = ["run"]

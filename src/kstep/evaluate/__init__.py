"""The referee: scores a hybrid trajectory against the baseline and says whether it is right.

It sees two trajectories of one type and treats both alike; it never imports the model, the
trainer or a simulation engine.

Modules, in order of use: `sides` (what is scored, and refusals), `energy`, `temperature`,
`coordinates` + `symmetry` → `structure` (with `divergence`), `cost`, `basin`, `statistics`
(intervals), `acceptance` (the rule), `metrics` (the schema of `metrics.json`), `summary` (the
table for the terminal), `stage` (`run`).
"""

from kstep.evaluate.acceptance import ACCEPTANCE_VERSION, verdict
from kstep.evaluate.metrics import Metrics, Outcome, describe_metrics, load_metrics
from kstep.evaluate.stage import run
from kstep.evaluate.summary import summary_table

__all__ = [
    "ACCEPTANCE_VERSION",
    "Metrics",
    "Outcome",
    "describe_metrics",
    "load_metrics",
    "run",
    "summary_table",
    "verdict",
]

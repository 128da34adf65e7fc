"""The verdict for people: one self-contained HTML page, and its figures as PNG and SVG.

Modules: `stage` (`run`), `figures` (drawn from `metrics.json` and `curves.npz` alone), `lights`
(claims and cost in words), `tables`, `page` (all put into `templates/report.html.j2`).
"""

from kstep.report.stage import run

__all__ = ["run"]

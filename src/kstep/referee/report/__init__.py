"""The verdict for people: one self-contained HTML page, and its figures as PNG and SVG.

Modules: `figures` (drawn from `metrics.json` and `curves.npz` alone), `tables`,
`lights` (claims and cost in words), `viewer` (data of the moving picture), `chapter` (all of one
molecule, with `captions`), `page` (put into `templates/report.html.j2`); `reading` is how they
read the metrics.
"""

"""Stages, files and the command line: the only place that knows folders.

The stages in order: `prep` (SMILES → System) → `md` (baseline) → `regressed.windows` →
`regressed.training` → `adapt` → `hybrid` → `evaluate` → `report`; `grid` repeats them over k,
`controls` and `external` feed the same referee, `networks` decides which network jumps, `cli`
calls them all.
"""

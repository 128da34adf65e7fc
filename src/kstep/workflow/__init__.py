"""Stages, files and the command line: the only place that knows folders.

The stages in order: `prep` (SMILES → System) → `md` (baseline) → `regressed.windows` →
`regressed.training` → `adapt` → `hybrid` → `evaluate` → `report`; `grid` repeats them over k,
`controls` and `external` feed the same referee, `networks` decides which network jumps, `shipped`
warns of molecules unlike its training's, `adapt_by_bursts` is the way of `adapt` for networks of
whole jumps, `cli` calls them all.
"""

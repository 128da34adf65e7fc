"""Machine code for eight replicas in lockstep (Numba).

`machine`: how functions are compiled · `cache`: where the code is kept · `lanes`, `functions` of
them · `rigid`: RATTLE · `propagation`: drifts and kicks by any compiled force.
"""

"""Machine code for eight replicas in lockstep (Numba).

`lanes`, `functions` of them, RATTLE (`rigid`).
"""

"""Units inside kstep: nm, ps, Da, kJ/mol, e. Converted once, at the edge, with these factors.

In this system mass · (nm/ps)² is kJ/mol and (kJ/mol/nm) / Da is nm/ps², so no factor ever
appears inside an equation of motion.
"""

from typing import Final

BOLTZMANN: Final = 8.31446261815324e-3
"""Boltzmann (molar gas) constant, kJ/mol/K (CODATA 2018)."""

PS_PER_FS: Final = 1e-3
NM_PER_ANGSTROM: Final = 0.1
ANGSTROM_PER_NM: Final = 10.0
PS_PER_NS: Final = 1000.0
KJ_PER_KCAL: Final = 4.184
MEV_PER_KJ_PER_MOL: Final = 10.364269656262175
"""1 kJ/mol in meV (per particle)."""

SECONDS_PER_MINUTE: Final = 60.0
SECONDS_PER_DAY: Final = 86400.0

"""The tables of the report: `form` is what they are made of; one module per subject fills them."""

from kstep.referee.report.tables.checks import check_tables
from kstep.referee.report.tables.costs import (
    adaptation_table,
    basin_table,
    cost_table,
    efficiency_table,
    methods_table,
)
from kstep.referee.report.tables.form import Table
from kstep.referee.report.tables.overview import claims_table, overview_table
from kstep.referee.report.tables.physics import (
    energy_table,
    ensemble_table,
    map_table,
    memory_table,
    shares_table,
    spectrum_table,
    structure_table,
    temperature_table,
    torsion_table,
)

__all__ = [
    "Table",
    "adaptation_table",
    "basin_table",
    "check_tables",
    "claims_table",
    "cost_table",
    "efficiency_table",
    "energy_table",
    "ensemble_table",
    "map_table",
    "memory_table",
    "methods_table",
    "overview_table",
    "shares_table",
    "spectrum_table",
    "structure_table",
    "temperature_table",
    "torsion_table",
]

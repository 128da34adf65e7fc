"""From SMILES to a conformer (`chemistry`, RDKit) and an OpenMM System (`parameters`, OpenFF)."""

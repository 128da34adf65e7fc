"""What a molecule is, without a potential: atoms, bonds, constraints, force-field terms.

`molecule`: atoms, masses, bonds, constraints · `force_field`: the terms of an OpenMM System ·
`mechanics`: momenta, energies, temperature · `hydrogens`: repartitioned masses · `environments`:
the surroundings of atoms · `symmetry`: atoms that are alike · `trajectory`, `motion`: states along
a run · `preparation`: from SMILES (RDKit, OpenFF).
"""

"""What a molecule is, without a potential: atoms, bonds, constraints, force-field terms.

`molecule`: atoms, masses, bonds, constraints · `prepared`: molecules in folders · `names`: what
they may be called · `force_field`: the terms of an OpenMM System · `invariance`: forces from
outside in one · `mechanics`: momenta, energies, temperature · `vibrations`: the fastest one ·
`hydrogens`: repartitioned masses · `environments`: the surroundings of atoms · `symmetry`: atoms
that are alike · `trajectory`, `motion`: states along a run · `preparation`: from SMILES (RDKit,
OpenFF).
"""

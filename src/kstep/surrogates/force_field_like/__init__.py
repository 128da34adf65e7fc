"""A potential in the form of a force field, with coefficients that networks make of a molecule.

`potential`: the whole · `chemistry`: what an atom is · `bonded`, `nonbonded`, `strain`: its parts ·
`terms`: force-field terms as tensors · `kernel`: the same as machine code.
"""

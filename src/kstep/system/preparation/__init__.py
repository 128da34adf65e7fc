"""From SMILES to a molecule.

`smiles_list`: the list as lines · `chemistry`: what is accepted, with `notation` and `stereo` ·
`conformers`: ETKDGv3 and a minimum (RDKit) · `parameters`: the OpenMM System (OpenFF) ·
`geometry`: whether it can be that molecule · `assembly`: all put together · `in_memory`:
molecules without a folder.
"""
